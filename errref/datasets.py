"""The data of the two sources: the toy of section 2, the functions of section 4.2, and the images of Fashion-MNIST.

The toy and the functions are exact and noise-free; nothing is drawn at random, so that a seed means the same thing
everywhere: the starting weights of the networks. The images are read as they were published, every byte verified.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from errref.checks import numbers, whole
from errref.imagesets import FASHION_CLASSES, IMAGE_SETS, Images, available, fashion_mnist, image_set, mnist_digits

__all__ = [
    "FASHION_CLASSES",
    "FUNCTIONS",
    "IMAGE_SETS",
    "Function",
    "Images",
    "available",
    "even",
    "fashion_mnist",
    "image_set",
    "mnist_digits",
    "samples",
    "toy",
    "two_tasks",
]

Array = np.ndarray


@dataclass(frozen=True)
class Function:
    """A target on [-1, 1): a polynomial on each side of 0, and whether the paper's table prints it.

    Parameters
    ----------
    name : str
        The word that configurations and claims use.
    formula : str
        As a reader writes it, in LaTeX.
    left, right : Polynomial
        The target for x < 0 and for x >= 0; the same object for a function of one piece.
    row : int or None
        Row of the paper's table (section 4.2), or None for a function that we supply.

    Examples
    --------
    >>> step = Function("step", "0 or 1", Polynomial([0]), Polynomial([1]))
    >>> step([-0.5, 0, 0.5]), step.jumps(), step.mean_square()
    (array([0., 1., 1.]), (1.0, 0.0, 0.0), 0.5)
    """

    name: str
    formula: str
    left: Polynomial
    right: Polynomial
    row: int | None = None

    def __call__(self, x: ArrayLike) -> Array:
        """Values of the target at ``x``, any shape."""
        x = np.asarray(x, dtype=float)
        return np.where(x < 0, self.left(x), self.right(x))

    def jumps(self) -> tuple[float, float, float]:
        """Jump at 0 of the value, of the slope and of the curvature: right limit minus left limit."""
        left, right = self.left, self.right
        return tuple(
            float(right.deriv(k)(0.0) - left.deriv(k)(0.0)) if k else float(right(0.0) - left(0.0)) for k in range(3)
        )  # type: ignore[return-value]

    def mean_square(self) -> float:
        """Mean of f(x)^2 over [-1, 1), by integration: the loss of a network that always answers 0."""
        left, right = (self.left**2).integ(), (self.right**2).integ()
        return float(left(0.0) - left(-1.0) + right(1.0) - right(0.0)) / 2


def _whole(name: str, formula: str, coefficients: list[float], row: int) -> Function:
    polynomial = Polynomial(coefficients)
    return Function(name, formula, polynomial, polynomial, row)


_ROW_4 = (Polynomial([0, 0, -0.6, 1, 1]), Polynomial([0, 0, 0, -0.5, 1, 1]))

#: The four functions of the paper's table (section 4.2) and two of ours, by name.
#:
#: The paper gives a domain for its fourth row only, [-1, 1); the other rows are taken on the same one.
#: The two functions with a jump are a printed row plus a unit step at 0, so that only the jump differs.
#:
#: Examples
#: --------
#: >>> list(FUNCTIONS)
#: ['linear', 'cubic', 'quartic', 'piecewise', 'jump-linear', 'jump-piecewise']
#: >>> FUNCTIONS["jump-linear"]([-0.5, 0.5])
#: array([-0.5,  1.5])
FUNCTIONS: dict[str, Function] = {
    f.name: f
    for f in (
        _whole("linear", "x", [0, 1], 1),
        _whole("cubic", "x^3 - 0.2x - 0.35", [-0.35, -0.2, 0, 1], 2),
        _whole("quartic", "x^4 + 0.2x^3 - 0.67x^2", [0, 0, -0.67, 0.2, 1], 3),
        Function("piecewise", "x^4 + x^3 - 0.6x^2,\\ x<0;\\ x^5 + x^4 - 0.5x^3,\\ x\\ge 0", *_ROW_4, 4),
        Function("jump-linear", "x,\\ x<0;\\ x + 1,\\ x\\ge 0", Polynomial([0, 1]), Polynomial([1, 1])),
        Function(
            "jump-piecewise", "x^4 + x^3 - 0.6x^2,\\ x<0;\\ x^5 + x^4 - 0.5x^3 + 1,\\ x\\ge 0", _ROW_4[0], _ROW_4[1] + 1
        ),
    )
}


def even(n_samples: int) -> Array:
    """The midpoints of equal parts of [-1, 1), ascending.

    Parameters
    ----------
    n_samples : int
        Number of parts; for an even number, 0 is none of the midpoints.

    Returns
    -------
    ndarray of shape (n_samples,)

    Examples
    --------
    >>> even(4)
    array([-0.75, -0.25,  0.25,  0.75])
    """
    n_samples = whole(n_samples, "n_samples", 1)
    return (np.arange(n_samples) + 0.5) * (2.0 / n_samples) - 1.0


def samples(function: Callable[[Array], Array], n_samples: int) -> tuple[Array, Array]:
    """Training data of a function, evenly spaced on [-1, 1).

    Parameters
    ----------
    function : callable
        Takes and returns an array of shape (n_samples,); such as one of `FUNCTIONS`.
    n_samples : int

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        The inputs, as `even` gives them.
    y : ndarray of shape (n_samples,)

    Examples
    --------
    >>> X, y = samples(np.square, 4)
    >>> X.shape, y
    ((4, 1), array([0.5625, 0.0625, 0.0625, 0.5625]))
    """
    x = even(n_samples)
    return x[:, None], function(x)


def two_tasks(n_samples: int) -> tuple[Array, Array]:
    """Two tasks in one set: every input twice, once with the cubic's value and once with the quartic's.

    The input does not say which task is meant, so no function of x can answer both: the best mean squared error
    is the mean of ((cubic - quartic) / 2)^2.

    Parameters
    ----------
    n_samples : int
        Number of different inputs, as `even` gives them.

    Returns
    -------
    X : ndarray of shape (2 * n_samples, 1)
    y : ndarray of shape (2 * n_samples,)

    Examples
    --------
    >>> X, y = two_tasks(2)
    >>> X[:, 0], y.round(3)
    (array([-0.5, -0.5,  0.5,  0.5]), array([-0.375, -0.13 , -0.325, -0.08 ]))
    """
    x = even(n_samples)
    y = np.stack([FUNCTIONS["cubic"](x), FUNCTIONS["quartic"](x)], axis=1)
    return np.repeat(x, 2)[:, None], y.ravel()


def toy(zeros: Sequence[float] | Array = (-2, -1, 0)) -> tuple[Array, Array]:
    """Return the toy of section 2: y = 0 at the ``zeros``, and y = 1 at x = 1, 4, 4.5.

    The paper's domain x <= 0 is infinite, and 0 < x < 1 has no target: which x are taken is a choice that a page must
    state.

    Parameters
    ----------
    zeros : sequence of float, default=(-2, -1, 0)

    Returns
    -------
    X : ndarray of shape (len(zeros) + 3, 1), ascending
    y : ndarray of shape (len(zeros) + 3,)

    Raises
    ------
    ValueError
        If one of the ``zeros`` is 1 or more.

    Examples
    --------
    >>> X, y = toy()
    >>> X[:, 0], y
    (array([-2. , -1. ,  0. ,  1. ,  4. ,  4.5]), array([0., 0., 0., 1., 1., 1.]))
    """
    zeros = numbers(zeros, "zeros")
    if (zeros >= 1).any():
        raise ValueError(f"The target is 1 from x = 1 on: zeros must lie below 1, and the largest is {zeros.max():g}.")
    x = np.sort(np.concatenate([zeros, [1.0, 4.0, 4.5]]))
    return x[:, None], (x >= 1).astype(float)
