"""Exact and fast training of one-hidden-layer ReLU networks on a line.

The network is ``f(x) = sum_j v_j relu(w_j x + b_j) + c`` for a scalar x, and the loss is the (weighted) mean of the
squared residuals ``r = f(x) - y``. Each unit is active on one side of a single switch. Between neighbouring switches f
is a straight line, so that the sums of r and r x there follow from the sums of 1, x, x^2, y and x y, which are
differences of prefix sums over the sorted samples. A step of full-batch Adam then costs O(H) for H units, and O(log n)
more for each switch that has moved past some of the n samples. Nothing is approximated: against a loop over the
samples, only the order of the additions differs.

Weights are one flat vector of 3 H + 1 numbers: hidden weights w, hidden biases b, output weights v, output bias c.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from errref.checks import positive, whole
from errref.compiled import compiled
from errref.moments import Floats, Samples, network, prepare

__all__ = ["Samples", "adam", "find_switch", "gradient", "kernel", "prepare", "schedule", "train", "train_many"]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # as Kingma and Ba (2015) suggest and torch.optim.Adam has them

# Without fastmath: a product and a sum fused into one rounding could decide differently whether a unit is active.
kernel = compiled(error_model="numpy")


@kernel
def _is_active(w, b, x):
    """Whether a unit is on, by the comparison that autograd makes: the derivative of relu at 0 is 0."""
    return w * x + b > 0.0


@kernel
def find_switch(x, k, w, b):
    """Return how many samples lie before the switch of a unit, searching outwards from the previous answer k.

    The rounded w x + b is monotone in x, so that its sign at the samples decides every case as a loop over the samples
    would, breakpoints on a sample and duplicates included. Comparing the samples with -b / w would not.
    """
    n = x.size - 2
    if w == 0.0:
        return 0 if b > 0.0 else n
    after = w > 0.0  # whether the unit is active after its switch, or before it
    low, high, reach = k, k + 1, 1
    while low > 0 and _is_active(w, b, x[low]) == after:
        low, high, reach = max(low - reach, 0), low, 2 * reach
    while high <= n and _is_active(w, b, x[high]) != after:
        low, high, reach = high, min(high + reach, n + 1), 2 * reach
    while high - low > 1:
        middle = (low + high) // 2
        if _is_active(w, b, x[middle]) == after:
            high = middle
        else:
            low = middle
    return low


@kernel
def _sort_units(x, state, switches, units):
    """Find the switches again, and restore the order of the units by insertion, moments of Adam and all."""
    H = switches.size
    for j in range(H):
        w, b, k = state[0, j], state[0, H + j], switches[j]
        if _is_active(w, b, x[k]) == (w > 0.0) or _is_active(w, b, x[k + 1]) != (w > 0.0):
            switches[j] = find_switch(x, k, w, b)
        i = j
        while i > 0 and switches[i - 1] > switches[i]:
            switches[i - 1], switches[i] = switches[i], switches[i - 1]
            units[i - 1], units[i] = units[i], units[i - 1]
            for row in range(3):
                for p in (i, H + i, 2 * H + i):
                    state[row, p - 1], state[row, p] = state[row, p], state[row, p - 1]
            i -= 1


@kernel
def _gradient(samples, theta, switches, segments, gradient):
    """Write the gradient and return the loss; units are sorted by their switches, segments is (H + 1, 2) scratch.

    No sum over units or segments is a difference of larger ones: what counts to the left of a switch is summed from
    the left end, what counts to its right from the right end.
    """
    H, n = switches.size, samples.x.size - 2
    moments, totals, centre = samples.moments, samples.totals, samples.centre
    w, b, v = theta[:H], theta[H : 2 * H], theta[2 * H : 3 * H]

    slope, height = 0.0, 0.0  # of f at the centre, as far as units that are active on the left make it
    for j in range(H - 1, -1, -1):
        segments[j + 1, 0], segments[j + 1, 1] = slope, height
        if w[j] < 0.0:
            slope += w[j] * v[j]
            height += (w[j] * centre + b[j]) * v[j]
    segments[0, 0], segments[0, 1] = slope, height

    slope, height = 0.0, theta[3 * H]  # as far as the others make it
    left0, left1, loss, start = 0.0, 0.0, samples.squares, 0
    for j in range(H + 1):
        stop = switches[j] if j < H else n
        across = 1 if start <= n // 2 < stop else 0
        s = moments[stop, 0] - moments[start, 0] + totals[across, 0]
        sz = moments[stop, 1] - moments[start, 1] + totals[across, 1]
        szz = moments[stop, 2] - moments[start, 2] + totals[across, 2]
        sy = moments[stop, 3] - moments[start, 3] + totals[across, 3]
        szy = moments[stop, 4] - moments[start, 4] + totals[across, 4]
        a, d = slope + segments[j, 0], height + segments[j, 1]
        r0 = a * sz + d * s - sy  # the sums of s r and s r z over the segment
        r1 = a * szz + d * sz - szy
        loss += a * (r1 - szy) + d * (r0 - sy)
        left0, left1 = left0 + r0, left1 + r1
        segments[j, 0], segments[j, 1] = r0, r1
        if j < H:
            gradient[j], gradient[H + j] = left1, left0
            if w[j] >= 0.0:
                slope += w[j] * v[j]
                height += (w[j] * centre + b[j]) * v[j]
        start = stop
    gradient[3 * H] = left0

    right0, right1 = 0.0, 0.0
    for j in range(H - 1, -1, -1):
        right0, right1 = right0 + segments[j + 1, 0], right1 + segments[j + 1, 1]
        r0 = gradient[H + j] if w[j] < 0.0 else right0
        r1 = gradient[j] if w[j] < 0.0 else right1
        gradient[j] = v[j] * (r1 + centre * r0)
        gradient[H + j] = v[j] * r0
        gradient[2 * H + j] = w[j] * r1 + (w[j] * centre + b[j]) * r0
    return 0.5 * loss


@kernel
def adam(theta, mean, square, gradient, step_size, epsilon):
    """Take one step of Adam in place (Kingma and Ba 2015, algorithm 1, in the cheaper order that ends its section 2).

    Parameters
    ----------
    theta, mean, square : ndarray of shape (p,), float64
        The weights, and the running means of the gradient and of its square, which begin as zeros. All are overwritten.
    gradient : ndarray of shape (p,), float64
        Of the loss by the weights.
    step_size, epsilon : float
        Those of this step, as `schedule` gives them.

    Examples
    --------
    >>> theta, mean, square = np.ones(2), np.zeros(2), np.zeros(2)
    >>> step_sizes, epsilons = schedule(steps=1, learning_rate=0.1)
    >>> adam(theta, mean, square, np.array([4.0, -0.5]), step_sizes[0], epsilons[0])
    >>> theta.round(6)
    array([0.9, 1.1])
    """
    for i in range(theta.size):
        g = gradient[i]
        mean[i] += (1.0 - BETA1) * (g - mean[i])
        square[i] = BETA2 * square[i] + (1.0 - BETA2) * g * g
        theta[i] -= step_size * mean[i] / (np.sqrt(square[i]) + epsilon)


@kernel
def _train(samples, step_sizes, epsilons, weights, losses, gradient):
    """Train the weights in place; write the loss before each step and after the last, and the gradient there."""
    H, steps = weights.size // 3, step_sizes.size
    state = np.zeros((3, weights.size))  # the weights and the two moments of Adam
    state[0] = weights
    switches, units = np.zeros(H, dtype=np.int64), np.arange(H)
    segments, work = np.empty((H + 1, 2)), np.empty(weights.size)
    for step in range(steps + 1):
        _sort_units(samples.x, state, switches, units)
        losses[step] = _gradient(samples, state[0], switches, segments, work)
        if step < steps:
            adam(state[0], state[1], state[2], work, step_sizes[step], epsilons[step])
    for j in range(H):  # back to the places of the units
        for i in (0, H, 2 * H):
            weights[i + units[j]], gradient[i + units[j]] = state[0, i + j], work[i + j]
    weights[3 * H], gradient[3 * H] = state[0, 3 * H], work[3 * H]


def schedule(steps: int, learning_rate: float) -> tuple[Floats, Floats]:
    """Step sizes and epsilons of Adam, with the bias corrections of torch.optim.Adam in them.

    Parameters
    ----------
    steps, learning_rate
        As in `train`.

    Returns
    -------
    step_sizes, epsilons : ndarray of shape (steps,)
        What `adam` takes, an entry a step.

    Examples
    --------
    >>> step_sizes, epsilons = schedule(steps=3, learning_rate=0.1)
    >>> step_sizes.round(4)
    array([0.0316, 0.0235, 0.0202])
    """
    positive(learning_rate, "learning_rate")
    t = np.arange(1, whole(steps, "steps", 0) + 1)
    root = np.sqrt(1 - BETA2**t)
    return learning_rate * root / (1 - BETA1**t), EPSILON * root


def gradient(samples: Samples, weights: ArrayLike) -> tuple[float, Floats]:
    """Loss and its gradient.

    Parameters
    ----------
    samples : Samples
        As `prepare` makes them.
    weights : array-like of shape (3 H + 1,)
        Hidden weights, hidden biases, output weights, output bias; H >= 1.

    Returns
    -------
    loss : float
        Weighted mean of the squared residuals, in units of y^2. Its rounding error is about 1e-16 of the mean of y^2,
        so that a loss below that may come out slightly negative.
    gradient : ndarray of shape (3 H + 1,)
        What autograd gives, up to rounding in x and in its mean; exactly 0 for a unit that is active on no sample.

    Examples
    --------
    >>> samples = prepare([-1, 1], [0, 1])
    >>> gradient(samples, [1, 0, 0.5, 0])  # of f(x) = relu(x) / 2
    (0.125, array([-0.25, -0.25, -0.5 , -0.5 ]))
    """
    theta, losses, result = network(weights), np.empty(1), np.empty(np.size(weights))
    _train(samples, np.empty(0), np.empty(0), theta, losses, result)
    return float(losses[0]), result


def train(samples: Samples, weights: ArrayLike, steps: int, learning_rate: float) -> tuple[Floats, Floats]:
    """Train one network by full-batch Adam.

    Parameters
    ----------
    samples, weights
        As in `gradient`; training starts at these weights.
    steps : int
        Number of steps, 0 or more.
    learning_rate : float
        Step size of Adam.

    Returns
    -------
    weights : ndarray of shape (3 H + 1,)
        Trained weights; not finite if training diverged.
    losses : ndarray of shape (steps + 1,)
        Loss before each step and after the last, rounded as in `gradient`.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 100)
    >>> start = np.random.default_rng(2).normal(size=3 * 10 + 1)
    >>> weights, losses = train(prepare(x, np.abs(x)), start, steps=2000, learning_rate=1e-2)
    >>> losses.shape, bool(losses[-1] < 1e-3)
    ((2001,), True)
    """
    trained, how = network(weights), schedule(steps, learning_rate)
    losses = np.empty(steps + 1)
    _train(samples, *how, trained, losses, np.empty_like(trained))
    return trained, losses


def train_many(
    samples: Samples, weights: ArrayLike, steps: int, learning_rate: float, n_threads: int | None = None
) -> tuple[Floats, Floats]:
    """Train R networks on the same samples, on several threads; each comes out as `train` would leave it.

    Parameters
    ----------
    samples, steps, learning_rate
        As in `train`.
    weights : array-like of shape (R, 3 H + 1)
        Starting weights, a row for each network.
    n_threads : int, default None
        Number of threads; None means one for each processor. The result does not depend on it.

    Returns
    -------
    weights, losses : ndarray of shape (R, 3 H + 1) and (R, steps + 1)
        What `train` returns, a row for each network.

    Examples
    --------
    >>> samples = prepare([-1, 0, 1], [1, 0, 1])
    >>> starts = np.random.default_rng(0).normal(size=(5, 3 * 10 + 1))
    >>> weights, _ = train_many(samples, starts, steps=100, learning_rate=1e-2)
    >>> bool(np.array_equal(weights[4], train(samples, starts[4], steps=100, learning_rate=1e-2)[0]))
    True
    """
    trained, steps_and_epsilons = network(weights, 2), schedule(steps, learning_rate)
    losses, gradients = np.empty((len(trained), steps + 1)), np.empty_like(trained)
    with ThreadPoolExecutor(n_threads or os.cpu_count()) as pool:
        list(pool.map(partial(_train, samples, *steps_and_epsilons), trained, losses, gradients))
    return trained, losses
