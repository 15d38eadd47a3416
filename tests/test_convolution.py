"""ConvClassifier is a scikit-learn estimator, trains as a plain PyTorch loop does, and keeps within its parameters."""

import copy
import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from errref.networks import ConvClassifier, convolution, count_parameters, size, widest
from errref.networks.architectures import PositionalPooling, ResidualBlock
from errref.networks.building import new_module

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"width": 4, "epochs": 2, "min_steps": 0, "batch_size": 32, "n_jobs": 1, "random_state": 0}


@parametrize_with_checks([ConvClassifier(**SMALL | {"min_steps": 60})])
def test_scikit_learn_estimator_checks(estimator, check):
    if getattr(check, "func", check).__name__ == "check_methods_subset_invariance":
        pytest.skip("its tolerance is that of float64; the next test has that of float32")
    check(estimator)


def test_the_answer_for_an_image_hangs_on_the_others_by_rounding_at_most(digits):
    """Which kernel torch takes can hang on the number of images: then float32 is rounded otherwise, and no more."""
    X, y = digits
    model = ConvClassifier(**SMALL | {"min_steps": 60}).fit(X, y)
    together, alone = model.predict_proba(X), np.concatenate([model.predict_proba(row[None]) for row in X])
    logits = np.abs(np.log(together)).max()
    assert np.abs(np.log(together) - np.log(alone)).max() <= 8 * np.finfo(np.float32).eps * logits
    assert np.array_equal(model.predict(X), model.classes_[alone.argmax(axis=1)])


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].astype(np.uint8), y[:300]


def weights_of(model):
    return [tensor.numpy() for tensor in model.module_.state_dict().values()]


def assert_same(ours, theirs):
    for a, b in zip(weights_of(ours), weights_of(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


# -- parameters --------------------------------------------------------------------------------------------------------


def by_hand(width, places, classes):
    """Parameters of "separable": convolutions, scale and shift of each batch normalisation, pooling, linear layer."""
    last = round(1.75 * width)
    first = 9 * width + 2 * width
    blocks = 9 * width + width * width + 2 * width + 9 * width + width * last + 2 * last
    return first + blocks + last * places + last * classes + classes


def test_the_defaults_have_2918_parameters_on_images_of_28_by_28():
    X = np.random.default_rng(0).integers(0, 256, (20, 784), dtype=np.uint8)
    model = ConvClassifier(epochs=1, min_steps=0).fit(X, np.arange(20) % 10)
    counted = sum(part.numel() for part in model.module_.parameters())
    assert model.n_parameters_ == count_parameters(model) == counted == by_hand(16, 7 * 7, 10) == 2918 <= 3000


@pytest.mark.parametrize("width, image_shape, classes", [(1, (8, 8), 2), (5, (9, 30), 3), (16, (28, 28), 10)])
def test_the_size_is_counted_by_hand_and_is_that_of_a_built_network(width, image_shape, classes):
    built = new_module("separable", image_shape, classes, width, seed=0)
    places = -(-image_shape[0] // 4) * -(-image_shape[1] // 4)
    assert sum(part.numel() for part in built.parameters()) == by_hand(width, places, classes)
    assert size("separable", width, classes, image_shape) == by_hand(width, places, classes)


@pytest.mark.parametrize("budget", [220, 600, 2917, 2918, 3000, 20_000])
@pytest.mark.parametrize("shape", [(10, (28, 28)), (2, (9, 30))])
def test_the_widest_network_fits_and_the_next_does_not(budget, shape):
    width = widest(budget, *shape)
    assert size("separable", width, *shape) <= budget < size("separable", width + 1, *shape)


def test_what_is_larger_than_every_budget_is_refused():
    least = size("separable", 1)
    assert widest(least) == 1
    with pytest.raises(ValueError, match=f"width 1 has more than {least - 1} parameters; allow more"):
        widest(least - 1)


@pytest.mark.parametrize("name, parameters, last", [("resnet18", 11_172_810, 4), ("vgg", 4_506_570, 2)])
def test_the_large_networks_are_those_that_they_are_named_after(name, parameters, last):
    assert size(name, 64) == parameters
    module, seen = new_module(name, (28, 28), 10, 4, seed=0), []
    module[-3].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    assert module(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert seen == [(2, 32, last, last)], "eight times the width, halved three (ResNet) or four times (VGG)"
    assert isinstance(module[-1], torch.nn.Linear)
    convolutions = [part.kernel_size for part in module.modules() if isinstance(part, torch.nn.Conv2d)]
    assert convolutions.count((3, 3)) == {"resnet18": 17, "vgg": 6}[name]


def test_a_residual_block_adds_its_input_projected_where_the_shape_changes():
    torch.manual_seed(0)
    images = torch.randn(3, 4, 7, 7)
    for outputs, stride in ((4, 1), (8, 2), (8, 1)):
        block = ResidualBlock(4, outputs, stride).eval()
        shortcut = images
        if (outputs, stride) != (4, 1):
            (weight,) = (part.weight for part in block.shortcut if isinstance(part, torch.nn.Conv2d))
            shortcut = block.shortcut[-1](torch.nn.functional.conv2d(images, weight, stride=stride))
        torch.testing.assert_close(block(images), torch.relu(block.convolutions(images) + shortcut))


def test_a_large_network_is_trained_by_the_same_class(digits):
    model = ConvClassifier("resnet18", **SMALL).fit(*digits)
    assert model.n_parameters_ == size("resnet18", 4, 10, (8, 8))
    assert model.loss_curve_[1] < model.loss_curve_[0]


def test_positional_pooling_is_a_depthwise_convolution_over_the_whole_map():
    torch.manual_seed(0)
    pooling, convolved = PositionalPooling(6, (5, 4)), torch.nn.Conv2d(6, 6, (5, 4), groups=6, bias=False)
    with torch.no_grad():
        pooling.weight.copy_(convolved.weight[:, 0])
    maps = torch.randn(3, 6, 5, 4, requires_grad=True)
    theirs = maps.detach().clone().requires_grad_()
    a, b = pooling(maps), convolved(theirs)[:, :, 0, 0]
    torch.testing.assert_close(a, b)
    (a**2).sum().backward()
    (b**2).sum().backward()
    torch.testing.assert_close(maps.grad, theirs.grad)
    torch.testing.assert_close(pooling.weight.grad, convolved.weight.grad[:, 0])


def test_starting_weights_are_orthogonal_where_channels_mix_and_those_of_torch_elsewhere():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = new_module("separable", (28, 28), 10, 200, seed=0)
        theirs = copy.deepcopy(ours)
        for layer in theirs.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                layer.reset_parameters()
    mixing = [f"{name}.weight" for name, m in ours.named_modules() if isinstance(m, torch.nn.Conv2d) and m.groups == 1]
    assert len(mixing) == 3
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if name in mixing:
            a = a.detach().flatten(1)
            product = a @ a.T if len(a) <= a.shape[1] else a.T @ a
            np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-5)
        elif len(a) > 10:  # not the last layer's biases
            a, b = (np.quantile(part.detach().numpy(), [0, 0.25, 0.5, 0.75, 1]) for part in (a, b))
            np.testing.assert_allclose(a, b, atol=0.1 * b[-1], err_msg=name)
    assert 0.5 < float(ours[-1].bias.detach().abs().max()) * 350**0.5 <= 1
    assert bool((ours[-2].weight == 1 / 49).all())  # the mean of 7 x 7 places


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [None, {k: 1.0 + k for k in range(10)}])
def test_training_is_a_plain_loop(digits, class_weight):
    X, y = digits[0][:150], digits[1][:150]
    settings = SMALL | {"learning_rate": 0.01, "weight_decay": 0.1, "class_weight": class_weight}
    model = ConvClassifier(**settings).fit(X, y)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    module = new_module("separable", (8, 8), 10, 4, seed)
    images = torch.tensor((X - X.mean()) / X.std(), dtype=torch.float32).reshape(-1, 1, 8, 8)
    labels, order = torch.tensor(y), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01, weight_decay=0.1, fused=False)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=8)
    weight = torch.tensor(list(class_weight.values())) if class_weight else None
    losses = []
    for _ in range(2):
        chosen = torch.randperm(150, generator=order)[:128]  # four batches of 32; the other 22 wait
        for some in chosen.reshape(4, 32):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(module(images[some]), labels[some], weight)
            loss.backward()
            optimizer.step()
            cycle.step()
            losses.append(loss.item())
    for ours, theirs in zip(model.module_.state_dict().values(), module.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.loss_curve_, np.reshape(losses, (2, 4)).mean(axis=1), atol=1e-5)
    with torch.no_grad():
        expected = module.eval()(images).softmax(dim=1)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-5)


def test_training_learns_digits(digits):
    model = ConvClassifier(width=8, batch_size=64, random_state=0, n_jobs=1).fit(digits[0][:200], digits[1][:200])
    assert model.score(digits[0][200:], digits[1][200:]) > 0.8


@pytest.mark.parametrize(
    "settings, epochs, steps",
    [
        ({}, 2, 6),
        ({"min_steps": 10}, 4, 12),
        ({"min_steps": 9}, 3, 9),
        ({"min_steps": 6}, 2, 6),
        ({"epochs": 5, "min_steps": 10}, 5, 15),
        ({"batch_size": 256}, 2, 2),
        ({"batch_size": 256, "min_steps": 7}, 7, 7),
        ({"epochs": 1, "batch_size": 100}, 1, 1),
    ],
)
def test_few_samples_are_passed_over_more_often(digits, settings, epochs, steps):
    model = ConvClassifier(**SMALL | settings).fit(digits[0][:100], digits[1][:100])
    assert (model.n_iter_, model.n_steps_, len(model.loss_curve_)) == (epochs, steps, epochs)
    assert model.module_[1].num_batches_tracked == steps
    assert 0 < model.fit_seconds_ < 60


def test_the_seed_decides_everything(digits):
    first, again, other = (ConvClassifier(**SMALL | {"random_state": seed}).fit(*digits) for seed in (1, 1, 2))
    assert_same(first, again)
    assert first.loss_curve_ == again.loss_curve_
    assert not np.array_equal(weights_of(first)[0], weights_of(other)[0])
    drawn = [ConvClassifier(**SMALL | {"random_state": None}).fit(*digits).loss_curve_ for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_no_global_random_state_is_touched(digits):
    before = torch.get_rng_state(), np.random.get_state()
    ConvClassifier(**SMALL).fit(*digits).predict_proba(digits[0])
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_equal(np.random.get_state(), before[1])


@pytest.mark.parametrize("n_jobs, inside", [(2, 2), (None, 1)])
def test_the_number_of_threads_is_restored(digits, monkeypatch, n_jobs, inside):
    seen, standardise = set(), ConvClassifier._standardise

    def spy(self, pixels):
        seen.add(torch.get_num_threads())
        return standardise(self, pixels)

    monkeypatch.setattr(ConvClassifier, "_standardise", spy)
    X, y = digits[0][:64], digits[1][:64]
    model = ConvClassifier(**SMALL | {"epochs": 1, "n_jobs": n_jobs}).fit(X, y)
    assert (seen, torch.get_num_threads()) == ({inside}, 1)
    seen.clear()
    model.predict(X)
    assert (seen, torch.get_num_threads()) == ({inside}, 1)


def test_training_in_two_threads_at_once_is_training_one_after_the_other(digits):
    models = [ConvClassifier(**SMALL | {"random_state": seed, "epochs": 8}) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda model: clone(model).fit(*digits), models))
    for model, other in zip(models, together, strict=True):
        assert_same(model.fit(*digits), other)


def test_balanced_weights_are_those_of_the_sample_counts_and_help_the_rare_class():
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 20 == 0).astype(int)
    X = rng.normal(size=(400, 64)) + 0.25 * y[:, None]
    models = {
        name: ConvClassifier(**SMALL | {"epochs": 10, "class_weight": weight}).fit(X, y)
        for name, weight in {"plain": None, "balanced": "balanced", "by hand": {0: 400 / 760, 1: 400 / 40}}.items()
    }
    assert_same(models["balanced"], models["by hand"])
    found = {name: model.predict(X)[y == 1].mean() for name, model in models.items()}
    assert found["balanced"] > found["plain"] + 0.1


@pytest.mark.filterwarnings("error")
def test_divergence_names_its_mend(digits):
    with pytest.raises(FloatingPointError, match=r"diverged with learning_rate=1e\+30; lower it"):
        ConvClassifier(**SMALL | {"learning_rate": 1e30}).fit(*digits)


def test_a_progress_bar_is_shown_on_request(digits, capsys):
    ConvClassifier(**SMALL).fit(*digits)
    assert capsys.readouterr() == ("", "")
    ConvClassifier(**SMALL | {"verbose": True}).fit(*digits)
    out, err = capsys.readouterr()
    assert out == "" and "training: 100%" in err and "2/2" in err
    ConvClassifier(**SMALL | {"verbose": "gate"}).fit(*digits)
    assert "gate: 100%" in capsys.readouterr().err


# -- images ------------------------------------------------------------------------------------------------------------


def test_bytes_and_floats_give_the_same_network(digits):
    X, y = digits
    whole, floats = ConvClassifier(**SMALL).fit(X, y), ConvClassifier(**SMALL).fit(X.astype(np.float32), y)
    assert_same(whole, floats)
    assert (whole.mean_, whole.scale_) == pytest.approx((X.mean(), X.std()), rel=1e-12)
    np.testing.assert_array_equal(whole.predict_proba(X), whole.predict_proba(X.astype(np.float64)))


def test_images_stay_bytes_until_their_batch_is_looked_at(digits, monkeypatch):
    seen, standardise = [], ConvClassifier._standardise

    def spy(self, pixels):
        seen.append((pixels.dtype, len(pixels)))
        return standardise(self, pixels)

    monkeypatch.setattr(ConvClassifier, "_standardise", spy)
    model = ConvClassifier(**SMALL).fit(*digits)
    assert set(seen) == {(torch.uint8, 32)}
    seen.clear()
    monkeypatch.setattr(convolution, "_AT_ONCE", 80)
    model.predict(digits[0])
    assert seen == [(torch.uint8, 80)] * 3 + [(torch.uint8, 60)]


def test_what_is_looked_at_in_parts_is_what_is_looked_at_whole(digits, monkeypatch):
    model = ConvClassifier(**SMALL).fit(*digits)
    whole = model.predict_proba(digits[0])
    assert whole.dtype == np.float64
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-12)
    monkeypatch.setattr(convolution, "_AT_ONCE", 7)
    np.testing.assert_allclose(model.predict_proba(digits[0]), whole, atol=1e-6)


@pytest.mark.parametrize(
    "columns, image_shape, expected",
    [(64, None, (8, 8)), (60, None, (1, 60)), (60, (6, 10), (6, 10)), (60, [10, 6], (10, 6)), (64, (4, 16), (4, 16))],
)
def test_rows_hold_images_row_by_row(columns, image_shape, expected):
    X = np.random.default_rng(0).integers(0, 9, (40, columns), dtype=np.uint8)
    model = ConvClassifier(**SMALL | {"image_shape": image_shape}).fit(X, np.arange(40) % 2)
    assert model.image_shape_ == expected
    assert model.n_parameters_ == size("separable", 4, 2, expected)
    seen = []
    model.module_[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    model.predict(X)
    images = (X.astype(float) - X.mean()) / X.std()
    np.testing.assert_allclose(seen[0], images.reshape(40, 1, *expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("image_shape", [(8, 9), (64,), (4, 4, 4)])
def test_an_image_shape_that_does_not_hold_the_columns_is_refused(digits, image_shape):
    with pytest.raises(ValueError, match="does not hold the 64 columns of X; height times width must be 64"):
        ConvClassifier(**SMALL | {"image_shape": image_shape}).fit(*digits)


@pytest.mark.parametrize(
    "settings", [{"width": 0}, {"batch_size": 1}, {"learning_rate": 0}, {"architecture": "lenet"}, {"n_jobs": -1}]
)
def test_settings_out_of_range_are_refused(digits, settings):
    with pytest.raises(ValueError, match=f"'{next(iter(settings))}' parameter of ConvClassifier must be"):
        ConvClassifier(**SMALL | settings).fit(*digits)


# -- what a fitted network tells ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def staged(digits):
    return ConvClassifier(**SMALL | {"epochs": 3, "keep_stages": True}).fit(*digits)


def test_stages_are_the_epochs(digits, staged):
    X, y = digits
    found = list(staged.staged_predict_proba(X))
    assert len(found) == len(staged.stages_) == staged.n_iter_ == 3
    np.testing.assert_array_equal(found[-1], staged.predict_proba(X))
    assert all(np.abs(a - b).max() > 1e-3 for a, b in pairwise(found))
    assert_same(staged, ConvClassifier(**SMALL | {"epochs": 3}).fit(X, y))


def test_an_abandoned_look_at_the_stages_leaves_the_network_as_it_was(digits, staged):
    before = [part.copy() for part in weights_of(staged)]
    stages = staged.staged_predict_proba(digits[0])
    next(stages)
    stages.close()
    for now, then in zip(weights_of(staged), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_stage_is_a_classifier_of_its_own(digits, staged):
    X, y = digits
    for epoch, proba in enumerate(staged.staged_predict_proba(X), start=1):
        np.testing.assert_array_equal(staged.stage(epoch).predict_proba(X), proba)
    first = staged.stage(1)
    assert len(first.module_) == len(staged.module_) and first.module_[-1] is not staged.module_[-1]
    for epoch in (0, 4):
        with pytest.raises(ValueError, match=f"no epoch {epoch}; choose one from 1 to 3"):
            staged.stage(epoch)


def test_stages_that_were_not_kept_are_missed(digits, staged):
    with pytest.raises(AttributeError, match="fit with keep_stages=True"):
        next(ConvClassifier(**SMALL).fit(*digits).staged_predict_proba(digits[0]))
    again = clone(staged).fit(*digits).set_params(keep_stages=False).fit(*digits)
    assert not hasattr(again, "stages_")


def test_the_last_layer_makes_logits_of_the_penultimate_features(digits, staged):
    found, last = staged.embed(digits[0]), staged.module_[-1]
    assert found.shape == (300, round(1.75 * 4)) and found.dtype == np.float32
    logits = found @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    odds = np.exp(logits)
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), staged.predict_proba(digits[0]), atol=1e-6)
    np.testing.assert_array_equal(staged.classes_[logits.argmax(axis=1)], staged.predict(digits[0]))


def test_a_fitted_network_can_be_pickled_and_cloned(digits, staged):
    copied = pickle.loads(pickle.dumps(staged))
    np.testing.assert_array_equal(copied.predict_proba(digits[0]), staged.predict_proba(digits[0]))
    np.testing.assert_array_equal(next(copied.staged_predict_proba(digits[0])).sum(axis=1).round(9), 1)
    unfitted = clone(staged)
    assert not hasattr(unfitted, "module_") and unfitted.get_params() == staged.get_params()


WITHOUT_TORCH = """
import sys
class Blocker:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ImportError("blocked")
sys.meta_path.insert(0, Blocker)
from errref.networks import ConvClassifier, device_name, has_gpu, size
assert (has_gpu(), device_name()) == (False, "cpu")
for use in (lambda: ConvClassifier().fit([[0.0] * 16, [1.0] * 16], [0, 1]), lambda: size("separable", 3)):
    try:
        use()
    except ImportError as error:
        print(error)
"""


def test_without_torch_the_sentence_says_how_to_install_it():
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["This needs torch; install it with `pip install errref[torch]`."] * 2, done


def test_importing_the_networks_does_not_import_torch():
    code = "import sys, errref.networks, errref.experiments.fashion; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done


def test_training_takes_no_copy_of_all_images_as_floats():
    X = np.random.default_rng(0).integers(0, 256, (5000, 784), dtype=np.uint8)
    tracemalloc.start()
    ConvClassifier(**SMALL | {"epochs": 1, "batch_size": 2500}).fit(X, np.arange(5000) % 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * X.nbytes


def test_what_diverged_is_not_fitted(digits):
    model = ConvClassifier(**SMALL).fit(*digits).set_params(learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="diverged"):
        model.fit(*digits)
    with pytest.raises(NotFittedError):
        model.predict(digits[0])


def test_between_two_stages_the_network_is_the_last(digits, staged):
    expected = staged.predict_proba(digits[0])
    for _ in staged.staged_predict_proba(digits[0]):
        np.testing.assert_array_equal(staged.predict_proba(digits[0]), expected)
