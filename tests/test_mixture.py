"""The mixture of experts: its gradient is autograd's, its steps are torch's, and what is wrong is refused."""

import numpy as np
import pytest
import torch

from errref.networks import MixtureRegressor, mixture

M, H = 3, 4


@pytest.fixture
def problem():
    """Sorted inputs with duplicates, targets, and weights of three networks and a gate."""
    rng = np.random.default_rng(3)
    x = np.sort(np.r_[rng.uniform(-1, 1, 30), 0.25, 0.25])
    return x, np.sign(x) + x**2, rng.uniform(-1, 1, 4 * M * H + 2 * H + 2 * M)


def outputs(theta, x):
    """Answers (n, M) and logits (n, M) by torch, from the documented layout of the weights."""
    sizes = [(M + 1) * H, (M + 1) * H, 2 * M * H, 2 * M]
    w, b, v, c = torch.split(theta, sizes)
    hidden = torch.relu(x[:, None] * w + b).reshape(len(x), M + 1, H)
    v = v.reshape(2, M, H)
    answers = (hidden[:, :M] * v[0]).sum(2) + c[:M]
    return answers, (hidden[:, M:] * v[1]).sum(2) + c[M:]


def loss_of(theta, x, y, hard, variance):
    """The loss whose gradient is meant, and the mean squared residual."""
    answers, logits = outputs(theta, x)
    logs = torch.log_softmax(logits, dim=1)
    if not hard:
        loss = torch.mean(((logs.exp() * answers).sum(1) - y) ** 2)
        return loss, loss
    squares = (answers - y[:, None]) ** 2
    chosen = torch.argmax((logs - squares / (2 * variance)).detach(), dim=1)[:, None]
    left = torch.gather(squares, 1, chosen).mean()
    return left - torch.gather(logs, 1, chosen).mean(), left


def gradient(theta, x, y, hard, variance, switches=None):
    result = np.empty_like(theta)
    switches = np.zeros((M + 1) * H, dtype=np.int64) if switches is None else switches
    left = mixture.gradient(np.r_[-np.inf, x, np.inf], y, M, hard, variance, theta, switches, result)
    return left, result


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("variance", [10.0, 0.01])
def test_the_gradient_is_that_of_autograd(problem, hard, variance):
    x, y, theta = problem
    for at in (theta, np.where(np.arange(len(theta)) == 1, 0.0, theta)):  # also with a hidden weight of 0
        weights = torch.tensor(at, requires_grad=True)
        loss, left = loss_of(weights, torch.tensor(x), torch.tensor(y), hard, variance)
        (expected,) = torch.autograd.grad(loss, weights)
        found, by_hand = gradient(at, x, y, hard, variance)
        assert found == pytest.approx(left.item(), rel=1e-12)
        np.testing.assert_allclose(by_hand, expected.numpy(), atol=1e-13)
        warm = np.full((M + 1) * H, 17)
        np.testing.assert_array_equal(gradient(at, x, y, hard, variance, warm)[1], by_hand)


@pytest.mark.parametrize("hard", [False, True])
def test_training_takes_the_steps_of_a_plain_loop(problem, hard):
    x, y, _ = problem
    order = np.random.default_rng(0).permutation(len(x))
    arguments = {"n_networks": M, "hidden": H, "hard": hard, "learning_rate": 1e-2, "random_state": 5}
    start = MixtureRegressor(**arguments, steps=0).fit(x[order, None], y[order])
    model = MixtureRegressor(**arguments, steps=200).fit(x[order, None], y[order])
    weights, variance, curve = torch.tensor(start.weights_, requires_grad=True), y.var(), []
    optimizer = torch.optim.Adam([weights], lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        loss, left = loss_of(weights, torch.tensor(x), torch.tensor(y), hard, variance)
        loss.backward()
        optimizer.step()
        variance = left.item()
        curve.append(variance)
    np.testing.assert_allclose(model.loss_curve_[:-1], curve, rtol=1e-8)
    np.testing.assert_allclose(model.weights_, weights.detach().numpy(), rtol=1e-6, atol=1e-9)


def test_the_soft_answer_is_a_mean_and_the_hard_answer_one_network(problem):
    x, y, _ = problem
    X = x[:, None]
    for hard in (False, True):
        model = MixtureRegressor(M, H, hard=hard, steps=20, random_state=1).fit(X, y)
        answers, logits = outputs(torch.tensor(model.weights_), torch.tensor(x))
        each, gates = answers.numpy(), torch.softmax(logits, dim=1).numpy()
        expected = each[np.arange(len(x)), gates.argmax(axis=1)] if hard else (gates * each).sum(axis=1)
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)
        assert np.mean((model.predict(X) - y) ** 2) == pytest.approx(model.loss_curve_[-1]) or hard
        assert model.n_parameters_ == len(model.weights_) == M * (3 * H + 1) + 2 * H + M * (H + 1)
        assert mixture.units(model.n_parameters_, M) == H


def test_two_networks_share_a_jump():
    # A network of one unit is a ramp, so that a jump needs two of them; not every start finds that.
    x = np.linspace(-1, 1, 60)
    found = []
    for seed in range(8):
        model = MixtureRegressor(2, 1, hard=True, steps=4000, learning_rate=1e-2, random_state=seed)
        model.fit(x[:, None], np.sign(x))
        chosen = mixture.evaluate(model.weights_, x[:, None], 2)[1].argmax(axis=1)
        found.append(np.all(chosen[x < -0.1] == chosen[0]) and np.all(chosen[x > 0.1] == 1 - chosen[0]))
    assert sum(found) >= 2


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_trained_is_named(problem):
    x, y, _ = problem
    with pytest.raises(ValueError, match="takes one column and X has 2"):
        MixtureRegressor(steps=1).fit(np.c_[x, x], y)
    with pytest.raises(FloatingPointError, match=r"diverged with learning_rate=1e\+200; lower it"):
        MixtureRegressor(steps=10, learning_rate=1e200).fit(x[:, None], y)
