"""Exact and fast training of one-hidden-layer ReLU networks on a line.

The network is ``f(x) = sum_j v_j relu(w_j x + b_j) + c`` for a scalar x, and the loss is the (weighted) mean of the squared
residuals ``r_i = f(x_i) - y_i``. Each unit is active on one side of a single switch, so between neighbouring switches f is a
straight line, and the sums of r and r x over the samples there follow from the sums of 1, x, x^2, y and x y, which
differences of prefix sums over the sorted samples give without looking at the samples. A step of full-batch Adam then costs
O(H) for H units, plus O(log n) for each switch that has moved past some of the n samples: nothing is approximated, only the
order of the additions differs from a loop over the samples.

Weights are one flat vector of 3 H + 1 numbers: hidden weights w, hidden biases b, output weights v, output bias c.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # the defaults of Kingma and Ba (2015) and of torch.optim.Adam

Floats = NDArray[np.float64]


class Samples(NamedTuple):
    """Sorted samples and their moments, as `prepare` makes them.

    Attributes
    ----------
    x : ndarray of shape (n + 2,)
        The sorted inputs between -inf and inf, so that a search for a switch needs no special case at the ends.
    moments : ndarray of shape (n + 1, 8)
        Row k holds the sums of s, s z, s z^2, s y and s z y over the samples before the k-th (k <= n // 2), or minus the sums
        from the k-th on (k > n // 2), where z = x - centre. Summing from the nearer end keeps the digits of short sums.
        Three unused columns make a row one cache line.
    totals : ndarray of shape (8,)
        The sums over all samples, in the order of `moments`; the sixth is the sum of s y^2.
    centre : float
        Weighted mean of x. Moments about it do not cancel when the samples lie far from the origin.
    """

    x: Floats
    moments: Floats
    totals: Floats
    centre: float


def prepare(x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Samples:
    """Sort the samples and sum their moments.

    Parameters
    ----------
    x, y : array-like of shape (n,)
        Finite inputs and targets, in any order, with or without duplicates; n >= 1.
    sample_weight : array-like of shape (n,), default None
        Non-negative weights with a positive sum; None means equal weights.

    Returns
    -------
    Samples
        About 72 bytes a sample. The weights s in it sum to 2: the loss is half of sum s r^2, and its gradient has no other
        factor.
    """
    x = np.asarray(x, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    weight = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    # Extended precision where the platform has it: a prefix sum of 100,000 samples is then right to the last digit.
    s = weight[order].astype(np.longdouble)
    s *= 2 / s.sum()
    x = x[order]
    centre = float(s @ x / 2)
    z = x.astype(np.longdouble) - centre
    t = np.asarray(y, dtype=np.float64)[order].astype(np.longdouble)
    terms = np.stack([s, s * z, s * z * z, s * t, s * z * t], axis=1)
    half = len(x) // 2
    moments = np.zeros((len(x) + 1, 8))
    moments[1 : half + 1, :5] = np.cumsum(terms[:half], axis=0)
    moments[half + 1 : -1, :5] = -np.cumsum(terms[:half:-1], axis=0)[::-1]
    totals = np.zeros(8)
    totals[:5], totals[5] = terms.sum(axis=0), s @ (t * t)
    return Samples(np.concatenate([[-np.inf], x, [np.inf]]), moments, totals, centre)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _is_active(w, b, x):
    """Whether a unit is on, by the comparison that autograd makes: the derivative of relu at 0 is 0."""
    return w * x + b > 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _find_switch(x, k, w, b):
    """Return how many samples lie before the switch of a unit, searching from the previous answer k.

    The rounded w x + b is monotone in x, so that comparing it with 0 at samples decides every case as a loop over the
    samples would, breakpoints on a sample and duplicates included; -b / w would not.
    """
    n = x.size - 2
    if w == 0.0:
        return 0 if b > 0.0 else n
    after = w > 0.0
    low, high = k, k + 1  # x[low] is before the switch, x[high] after it
    reach = 1
    if _is_active(w, b, x[high]) != after:
        low = high
        high = min(low + reach, n + 1)
        while high <= n and _is_active(w, b, x[high]) != after:
            reach *= 2
            low = high
            high = min(low + reach, n + 1)
    elif _is_active(w, b, x[low]) == after:
        high = low
        low = max(high - reach, 0)
        while low > 0 and _is_active(w, b, x[low]) == after:
            reach *= 2
            high = low
            low = max(high - reach, 0)
    while high - low > 1:
        middle = (low + high) // 2
        if _is_active(w, b, x[middle]) == after:
            high = middle
        else:
            low = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_units(x, state, switches, units):
    """Find the switches again and restore the order of the units by insertion, moments of Adam and all."""
    H = switches.size
    for j in range(H):
        k = _find_switch(x, switches[j], state[0, j], state[0, H + j])
        switches[j] = k
        while j > 0 and switches[j - 1] > switches[j]:
            switches[j - 1], switches[j] = switches[j], switches[j - 1]
            units[j - 1], units[j] = units[j], units[j - 1]
            for row in range(3):
                for i in (j, H + j, 2 * H + j):
                    state[row, i - 1], state[row, i] = state[row, i], state[row, i - 1]
            j -= 1


@njit(cache=True, nogil=True, error_model="numpy")
def _gradient(samples, theta, switches, segments, gradient):
    """Write the gradient and return the loss; units are sorted by their switches, segments is (H + 1, 2) scratch.

    No sum is the difference of larger ones: what is active to the left of a switch is summed from the left end, what is
    active to its right from the right end.
    """
    H = switches.size
    n = samples.x.size - 2
    half = n // 2
    moments, totals, centre = samples.moments, samples.totals, samples.centre
    w, b, v = theta[:H], theta[H : 2 * H], theta[2 * H : 3 * H]

    slope, height = 0.0, 0.0  # of f at the centre, units that are active on the left only
    for j in range(H - 1, -1, -1):
        segments[j + 1, 0] = slope
        segments[j + 1, 1] = height
        if w[j] < 0.0:
            slope += w[j] * v[j]
            height += (w[j] * centre + b[j]) * v[j]
    segments[0, 0] = slope
    segments[0, 1] = height

    slope, height = 0.0, theta[3 * H]
    left0, left1, loss = 0.0, 0.0, totals[5]
    start = 0
    for j in range(H + 1):
        stop = switches[j] if j < H else n
        s = moments[stop, 0] - moments[start, 0]
        sz = moments[stop, 1] - moments[start, 1]
        szz = moments[stop, 2] - moments[start, 2]
        sy = moments[stop, 3] - moments[start, 3]
        szy = moments[stop, 4] - moments[start, 4]
        if start <= half < stop:
            s += totals[0]
            sz += totals[1]
            szz += totals[2]
            sy += totals[3]
            szy += totals[4]
        a = slope + segments[j, 0]
        d = height + segments[j, 1]
        r0 = a * sz + d * s - sy
        r1 = a * szz + d * sz - szy
        loss += a * (r1 - szy) + d * (r0 - sy)
        left0 += r0
        left1 += r1
        segments[j, 0] = r0
        segments[j, 1] = r1
        if j < H:
            gradient[j] = left1
            gradient[H + j] = left0
            if w[j] >= 0.0:
                slope += w[j] * v[j]
                height += (w[j] * centre + b[j]) * v[j]
        start = stop
    gradient[3 * H] = left0

    right0, right1 = 0.0, 0.0
    for j in range(H - 1, -1, -1):
        right0 += segments[j + 1, 0]
        right1 += segments[j + 1, 1]
        r0 = gradient[H + j] if w[j] < 0.0 else right0
        r1 = gradient[j] if w[j] < 0.0 else right1
        gradient[j] = v[j] * (r1 + centre * r0)
        gradient[H + j] = v[j] * r0
        gradient[2 * H + j] = w[j] * r1 + (w[j] * centre + b[j]) * r0
    return 0.5 * loss


@njit(cache=True, nogil=True, error_model="numpy")
def _adam(theta, mean, square, gradient, step_size, epsilon):
    """One step of Adam (Kingma and Ba 2015, algorithm 1, in the cheaper order of the end of its section 2)."""
    for i in range(theta.size):
        g = gradient[i]
        mean[i] += (1.0 - BETA1) * (g - mean[i])
        square[i] = BETA2 * square[i] + (1.0 - BETA2) * g * g
        theta[i] -= step_size * mean[i] / (np.sqrt(square[i]) + epsilon)


@njit(cache=True, nogil=True, error_model="numpy")
def _unsort(values, units, result):
    """Put the numbers of sorted units back in the places of the units."""
    H = units.size
    for j in range(H):
        for i in (0, H, 2 * H):
            result[i + units[j]] = values[i + j]
    result[3 * H] = values[3 * H]


@njit(cache=True, nogil=True, error_model="numpy")
def _train(samples, step_sizes, epsilons, weights, losses, gradient):
    """Train the weights in place; write the loss before each step and after the last, and the gradient there."""
    H = weights.size // 3
    state = np.zeros((3, weights.size))  # the weights and the two moments of Adam
    state[0] = weights
    switches = np.zeros(H, dtype=np.int64)
    units = np.arange(H)
    segments = np.empty((H + 1, 2))
    work = np.empty(weights.size)
    steps = step_sizes.size
    for step in range(steps):
        _sort_units(samples.x, state, switches, units)
        losses[step] = _gradient(samples, state[0], switches, segments, work)
        _adam(state[0], state[1], state[2], work, step_sizes[step], epsilons[step])
    _sort_units(samples.x, state, switches, units)
    losses[steps] = _gradient(samples, state[0], switches, segments, work)
    _unsort(state[0], units, weights)
    _unsort(work, units, gradient)


def _adam_schedule(steps: int, learning_rate: float) -> tuple[Floats, Floats]:
    """Step sizes and epsilons with the bias corrections of torch.optim.Adam in them."""
    t = np.arange(1, steps + 1)
    root = np.sqrt(1 - BETA2**t)
    return learning_rate * root / (1 - BETA1**t), EPSILON * root


def gradient(samples: Samples, weights: ArrayLike) -> tuple[float, Floats]:
    """Loss and its gradient at given weights.

    Parameters
    ----------
    samples : Samples
        As `prepare` makes them.
    weights : array-like of shape (3 H + 1,)
        Hidden weights, hidden biases, output weights, output bias; H >= 1.

    Returns
    -------
    loss : float
        Weighted mean of the squared residuals, in units of y^2. Its rounding error is about 1e-16 of the mean of y^2.
    gradient : ndarray of shape (3 H + 1,)
        What autograd gives up to rounding; exactly 0 for a unit that is active on no sample.
    """
    theta, losses = np.array(weights, dtype=np.float64), np.empty(1)
    result = np.empty_like(theta)
    _train(samples, np.empty(0), np.empty(0), theta, losses, result)
    return float(losses[0]), result


def train(samples: Samples, weights: ArrayLike, steps: int, learning_rate: float) -> tuple[Floats, Floats]:
    """Train a network by steps of full-batch Adam.

    Parameters
    ----------
    samples : Samples
        As `prepare` makes them.
    weights : array-like of shape (3 H + 1,)
        Starting weights: hidden weights, hidden biases, output weights, output bias; H >= 1.
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
    """
    theta, losses = np.array(weights, dtype=np.float64), np.empty(steps + 1)
    _train(samples, *_adam_schedule(steps, learning_rate), theta, losses, np.empty_like(theta))
    return theta, losses


def train_many(
    samples: Samples, weights: ArrayLike, steps: int, learning_rate: float, n_threads: int | None = None
) -> tuple[Floats, Floats]:
    """Train several networks on the same samples, each as `train` would, on several threads.

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
    weights : ndarray of shape (R, 3 H + 1)
        Trained weights.
    losses : ndarray of shape (R, steps + 1)
        Loss of each network before each step and after the last.
    """
    theta = np.array(weights, dtype=np.float64)
    losses = np.empty((len(theta), steps + 1))
    schedule = _adam_schedule(steps, learning_rate)
    with ThreadPoolExecutor(n_threads or os.cpu_count()) as pool:
        runs = [pool.submit(_train, samples, *schedule, *row, np.empty_like(row[0])) for row in zip(theta, losses, strict=True)]
        for run in runs:
            run.result()
    return theta, losses
