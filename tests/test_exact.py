"""The exact trainer takes the steps of PyTorch: gradients against autograd, and whole runs against torch.optim.Adam.

Gradients are compared relative to the sum of the absolute elementary terms. With the residual multiplied out,
r_i = sum_k v_k w_k x_i + v_k b_k + c - y_i over the active units k, the derivative by v_j, say, is a sum of products of
one elementary term of r_i with w_j x_i or b_j; the scale is the same sum with every product made positive. This is the
scale of the rounding errors of any float64 evaluation, autograd's included: with residuals of 1e-4 or samples at 1e6, a
stricter one would test autograd as much as the trainer. Where the scale is 0, as for a dead unit, the gradient has to
be exactly 0.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from errref import exact
from tests.exact_oracle import absolute_terms, split

pytestmark = pytest.mark.usefixtures("one_thread")


def starting_weights(H, rng):
    outer = 1 / np.sqrt(H)
    return np.concatenate([rng.uniform(-1, 1, 2 * H), rng.uniform(-outer, outer, H + 1)])


def torch_outputs(x, theta):
    # Elementwise, not torch.nn.Linear: whether a matrix product rounds w x before it adds b is up to the library, and
    # decides whether a breakpoint on a sample is active.
    w, b, v, c = split(theta)
    return torch.relu(x[:, None] * w + b) @ v + c


def torch_gradient(x, y, s, theta):
    theta = torch.tensor(theta, requires_grad=True)
    loss = (torch.tensor(s) * (torch_outputs(torch.tensor(x), theta) - torch.tensor(y)) ** 2).sum() / s.sum()
    loss.backward()
    return loss.item(), theta.grad.numpy()


def random_state(rng, H=None, n=None):
    n, H = n or rng.integers(3, 300), H or rng.integers(1, 50)
    x = rng.uniform(-1, 1, n)
    return x, np.sin(4 * x) + 0.1 * rng.standard_normal(n), np.ones(n), starting_weights(H, rng)


def put_on_samples(x, theta, rng):
    """Move every breakpoint to a sample, so that w x + b is 0 there."""
    H = len(theta) // 3
    theta[H : 2 * H] = -theta[:H] * rng.choice(x, H)
    assert (x[:, None] * theta[:H] + theta[H : 2 * H] == 0).any(axis=0).all()


def breakpoints_on_samples(rng):
    x, y, s, theta = random_state(rng)
    put_on_samples(x, theta, rng)
    return x, y, s, theta


def duplicates(rng):
    x, _, s, theta = random_state(rng, n=200)
    x = np.round(x, 1)
    put_on_samples(x, theta, rng)
    return x, np.sin(4 * x) + 0.1 * rng.standard_normal(200), s, theta


def descending(rng):
    x, y, s, theta = random_state(rng)
    order = np.argsort(-x)
    return x[order], y[order], s, theta


def clustered(rng):
    _, _, s, theta = random_state(rng, H=20, n=100)
    x = rng.choice([-0.7, 0.2, 0.9], 100) + 1e-7 * rng.standard_normal(100)
    theta[20:40] = -theta[:20] * (rng.choice(x, 20) + 1e-8 * rng.standard_normal(20))
    return x, np.sin(4 * x), s, theta


def one_sample(rng):
    return random_state(rng, n=1)


def two_samples(rng):
    return random_state(rng, n=2)


def dead_units(rng):
    x, y, s, theta = random_state(rng, H=12)
    theta[12:18] = -1 - np.abs(theta[:6])
    theta[18:20], theta[:2] = 0.0, 0.0  # w x + b is exactly 0 everywhere
    return x, y, s, theta


def zero_weights(rng):
    x, y, s, theta = random_state(rng, H=12)
    theta[:8] = [0.0, -0.0] * 4
    theta[12:16] = [0.0, -0.0, 0.5, -0.5]
    return x, y, s, theta


def weighted(rng):
    x, y, s, theta = random_state(rng)
    return x, y, rng.exponential(size=len(x)) * (rng.random(len(x)) < 0.8) + 1e-3 * (s.cumsum() == 1), theta


def late(rng):
    """States after real training, to a loss below 1e-6, of a target that such a network can fit."""
    x, _, s, theta = random_state(rng, H=20, n=200)
    y = np.abs(x - 0.3) - np.maximum(x + 0.5, 0)
    samples = exact.prepare(x, y)
    theta, losses = exact.train(samples, theta, 10_000, 1e-3)
    theta, losses = exact.train(samples, theta, 5_000, 1e-5)
    assert losses[-1] < 1e-6
    return x, y, s, theta


def far_from_origin(rng):
    x, y, s, theta = random_state(rng, H=20)
    x += rng.choice([-1, 1]) * 10 ** rng.uniform(1, 6)
    theta[20:40] = -theta[:20] * rng.choice(x, 20)
    return x, y, s, theta


def large(rng):
    """Among the units, ones that are active on few of the samples, at either end."""
    x, y, s, theta = random_state(rng, H=16, n=100_000)
    ends = np.sort(x)[[2, 20, 200, 2000, -2001, -201, -21, -3]]
    theta[16:24] = -np.abs(theta[:8]) * ends * np.repeat([-1, 1], 4)
    theta[:8] = np.abs(theta[:8]) * np.repeat([-1, 1], 4)
    return x, y, s, theta


FAMILIES: dict[Callable, int] = {
    random_state: 200,
    breakpoints_on_samples: 100,
    duplicates: 100,
    descending: 80,
    clustered: 80,
    one_sample: 60,
    two_samples: 60,
    dead_units: 60,
    zero_weights: 60,
    weighted: 80,
    late: 40,
    far_from_origin: 70,
    large: 10,
}


def test_a_thousand_states_are_compared():
    assert sum(FAMILIES.values()) == 1000


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_gradient_is_that_of_autograd(family):
    worst, strictly = 0.0, 0.0
    for seed in range(FAMILIES[family]):
        x, y, s, theta = family(np.random.default_rng(seed))
        loss, gradient = exact.gradient(exact.prepare(x, y, None if family is random_state else s), theta)
        reference_loss, reference = torch_gradient(x, y, s, theta)
        loss_scale, scale, strict_scale = absolute_terms(x, y, s, theta)
        errors = np.abs(gradient - reference)
        assert abs(loss - reference_loss) <= 1e-12 * loss_scale
        assert (gradient[scale == 0] == 0).all()
        worst = max(worst, (errors[scale > 0] / scale[scale > 0]).max())
        strictly = max(strictly, (errors[strict_scale > 0] / strict_scale[strict_scale > 0]).max())
    print(
        f"{family.__name__}: {FAMILIES[family]} states, worst error {worst:.1e}, on the stricter scale {strictly:.1e}"
    )
    assert worst < 1e-12


def test_dead_units_have_no_gradient():
    x, y, s, theta = dead_units(np.random.default_rng(0))
    _, gradient = exact.gradient(exact.prepare(x, y), theta)
    H = 12
    for dead in (gradient[:8], gradient[H : H + 8], gradient[2 * H : 2 * H + 8]):
        assert (dead[:6] == 0).all()


@pytest.mark.parametrize("H, n", [(1, 30), (8, 200), (40, 500)])
def test_gradient_is_the_slope_of_the_loss(H, n):
    # Independent of autograd. Units with a breakpoint nearer to a sample than the step are left out, for a kink.
    x, y, s, theta = random_state(np.random.default_rng(H), H=H, n=n)

    def loss(theta):
        w, b, v, c = split(theta)
        return np.mean((np.maximum(x[:, None] * w + b, 0) @ v + c - y) ** 2)

    step = 1e-6
    w, b, _, _ = split(theta)
    smooth = np.append(np.tile(np.abs(x[:, None] * w + b).min(axis=0) > 2 * step, 3), True)
    slopes = [(loss(theta + step * e) - loss(theta - step * e)) / (2 * step) for e in np.eye(3 * H + 1)]
    _, gradient = exact.gradient(exact.prepare(x, y), theta)
    assert smooth.sum() > 0.9 * len(theta)
    np.testing.assert_allclose(gradient[smooth], np.array(slopes)[smooth], rtol=1e-6, atol=1e-8)


def test_a_unit_that_sees_few_of_many_samples_keeps_its_digits():
    # A difference of sums over all 100,000 samples would leave an error of about 1e-12 here.
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 100_000)
    y = 1 + 0.1 * rng.standard_normal(len(x))
    for side in (-1, 1):
        theta = np.array([side * 1.0, -x[-4], 1.0, 0.5])
        _, gradient = exact.gradient(exact.prepare(x, y), theta)
        seen = slice(-3, None) if side == 1 else slice(0, 3)
        residual = np.maximum(theta[0] * x[seen] + theta[1], 0) + 0.5 - y[seen]
        assert gradient[1] == pytest.approx(2 * residual.sum() / len(x), rel=1e-13, abs=0)


def test_samples_far_from_the_origin_keep_their_digits():
    # Moved exactly, samples and breakpoints are the same problem. Moments about 0 would leave an error of about 1e-4.
    offset = 2.0**20
    x, y, _, theta = random_state(np.random.default_rng(0), H=10, n=300)
    x, theta = np.round(x * 2**16) / 2**16, np.round(theta * 2**12) / 2**12
    near_loss, near = exact.gradient(exact.prepare(x, y), theta)
    theta[10:20] -= theta[:10] * offset
    far_loss, far = exact.gradient(exact.prepare(x + offset, y), theta)
    assert far_loss == pytest.approx(near_loss, rel=1e-8)
    np.testing.assert_allclose(far[10:], near[10:], rtol=0, atol=1e-8)
    np.testing.assert_allclose(far[:10], near[:10] + offset * near[10:20], rtol=1e-8)


def torch_run(x, y, s, theta, steps, learning_rate):
    """Train by torch; return the weights and how often a breakpoint of a unit passed a sample."""
    x, y, s = torch.tensor(x), torch.tensor(y), torch.tensor(s / s.sum())
    theta = torch.tensor(theta, requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=learning_rate)
    H = len(theta) // 3
    crossings, before = 0, None
    for _ in range(steps):
        optimizer.zero_grad()
        (s @ (torch_outputs(x, theta) - y) ** 2).backward()
        with torch.no_grad():
            active = x[:, None] * theta[:H] + theta[H : 2 * H] > 0
            crossings += 0 if before is None else int((active != before).sum())
            before = active
        optimizer.step()
    return theta.detach().numpy(), crossings


@pytest.mark.parametrize(
    "H, n, seed", [(3, 100, 0), (10, 256, 1), (10, 256, 2), (30, 100, 3), (5, 1000, 4), (100, 300, 5)]
)
@pytest.mark.parametrize("weight", ["equal", "weighted"])
def test_a_thousand_steps_end_where_torch_ends(H, n, seed, weight):
    rng = np.random.default_rng(seed)
    x, y, s, theta = random_state(rng, H=H, n=n)
    s = s if weight == "equal" else rng.exponential(size=n)
    expected, crossings = torch_run(x, y, s, theta, 1000, 1e-2)
    trained, losses = exact.train(exact.prepare(x, y, s), theta, 1000, 1e-2)
    print(f"{H} units, {n} samples: {crossings} crossings, difference {np.abs(trained - expected).max():.1e}")
    assert crossings >= 100
    assert len(losses) == 1001
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(trained, expected, rtol=0, atol=1e-9)


def test_sorting_the_samples_does_not_matter():
    x, y, _, theta = random_state(np.random.default_rng(0), H=10, n=100)
    order = np.argsort(x)
    np.testing.assert_array_equal(
        exact.train(exact.prepare(x, y), theta, 100, 1e-2)[0],
        exact.train(exact.prepare(x[order], y[order]), theta, 100, 1e-2)[0],
    )


def test_no_steps_return_the_starting_weights():
    x, y, _, theta = random_state(np.random.default_rng(0))
    trained, losses = exact.train(exact.prepare(x, y), theta, 0, 1e-2)
    np.testing.assert_array_equal(trained, theta)
    assert losses == [exact.gradient(exact.prepare(x, y), theta)[0]]


def test_weights_that_are_those_of_no_network_are_refused():
    samples = exact.prepare([0.0, 1.0], [0.0, 1.0])
    for shape in ((4, 1), (4, 3), (4, 5), (7, 6)):
        with pytest.raises(ValueError, match=r"weights must be 3 H \+ 1 numbers .* got shape \(\d, \d\)"):
            exact.train_many(samples, np.zeros(shape), 1, 0.01)


@pytest.mark.parametrize("n_threads", [1, 2, 5, None])
def test_many_networks_are_trained_as_one_is(n_threads):
    rng = np.random.default_rng(0)
    x, y, _, _ = random_state(rng, n=64)
    weights = np.stack([starting_weights(6, rng) for _ in range(7)])
    samples = exact.prepare(x, y)
    trained, losses = exact.train_many(samples, weights, 200, 1e-2, n_threads=n_threads)
    for start, end, curve in zip(weights, trained, losses, strict=True):
        one, its_curve = exact.train(samples, start, 200, 1e-2)
        np.testing.assert_array_equal(end, one)
        np.testing.assert_array_equal(curve, its_curve)


def test_training_that_diverges_ends():
    x, y, _, theta = random_state(np.random.default_rng(0), H=10)
    trained, losses = exact.train(exact.prepare(x, y), theta, 50, 1e300)
    assert not np.isfinite(losses).all()
