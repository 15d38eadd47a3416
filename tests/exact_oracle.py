"""Loss and gradient of a ReLU network on a line, summed over the samples, and the scale of their rounding errors."""

import numpy as np


def split(theta):
    H = len(theta) // 3
    return theta[:H], theta[H : 2 * H], theta[2 * H : 3 * H], theta[3 * H]


def naive(x, y, s, theta):
    """Return the weighted mean of the squared residuals, and its gradient."""
    w, b, v, c = split(theta)
    inner = x[:, None] * w + b
    active = inner > 0
    residuals = np.where(active, inner, 0) @ v + c - y
    share = 2 * s * residuals / s.sum()
    slopes = [v * ((share * x) @ active), v * (share @ active), share @ np.where(active, inner, 0), [share.sum()]]
    return share @ residuals / 2, np.concatenate(slopes)


def absolute_terms(x, y, s, theta, reach=None):
    """Return the scales of the loss and the gradient, and the stricter one of the gradient with |r_i| left as it is."""
    w, b, v, c = split(theta)
    inner = x[:, None] * w + b
    active = inner > 0
    reach = np.abs(x) if reach is None else reach  # of the sample, in the units of x
    parts = reach[:, None] * np.abs(w) + np.abs(b)
    size = active * parts @ np.abs(v) + abs(c) + np.abs(y)
    residual = np.abs(np.maximum(inner, 0) @ v + c - y)
    gradients = []
    for factor, slope in ((size, parts), (residual, np.abs(inner))):
        share = 2 * s * factor / s.sum()
        by_weight = np.abs(v) * ((share * reach) @ active)
        gradients.append(
            np.concatenate([by_weight, np.abs(v) * (share @ active), share @ (active * slope), [share.sum()]])
        )
    return s @ size**2 / s.sum(), *gradients
