"""A network with one hidden layer on a line: its outputs and their derivatives by the weights, for many at once.

The network is ``f(x) = sum_j v_j a(w_j x + b_j) + c`` for a scalar x, with a = relu or tanh. Weights are one flat
vector of 3 H + 1 numbers, as in `errref.exact`: hidden weights w, hidden biases b, output weights v, output bias c.
Where an array of weights has leading axes, so has the result.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
ACTIVATIONS = ("relu", "tanh")


def parts(weights: Array) -> tuple[Array, Array, Array, Array]:
    """Hidden weights, hidden biases and output weights, (..., H) each, and output bias (..., 1)."""
    hidden = weights.shape[-1] // 3
    w, b, v = (weights[..., k * hidden : (k + 1) * hidden] for k in range(3))
    return w, b, v, weights[..., -1:]


def units(weights: Array, x: Array, activation: str) -> tuple[Array, Array]:
    """Answers a(z) of the hidden units, and their slopes a'(z), (..., n, H) each."""
    w, b, _, _ = parts(weights)
    z = w[..., None, :] * x[:, None] + b[..., None, :]
    if activation == "relu":
        return np.maximum(z, 0.0), (z > 0.0).astype(float)
    active = np.tanh(z)
    return active, 1 - active * active


def outputs(weights: Array, active: Array) -> Array:
    """Outputs (..., n) of networks whose hidden units answer so."""
    _, _, v, c = parts(weights)
    return (active @ v[..., None])[..., 0] + c


def predict(weights: Array, x: Array, activation: str) -> Array:
    """Outputs (..., n) of networks with weights (..., 3 H + 1)."""
    return outputs(weights, units(weights, x, activation)[0])


def linearise(weights: Array, x: Array, activation: str) -> tuple[Array, Array]:
    """Outputs (..., n), and their derivatives by the weights, (..., n, 3 H + 1)."""
    active, slopes = units(weights, x, activation)
    back = parts(weights)[2][..., None, :] * slopes
    J = np.concatenate([back * x[:, None], back, active, np.ones((*active.shape[:-1], 1))], axis=-1)
    return outputs(weights, active), J
