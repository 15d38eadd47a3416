"""Small convolutional networks as a scikit-learn classifier."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from math import ceil, isqrt
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state, compute_class_weight, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from errref.networks.backend import has_gpu, load_torch
from errref.networks.building import new_module
from errref.parts import check_labels
from errref.progress import bar

ARCHITECTURES = {"separable", "resnet18", "vgg"}
_AT_ONCE = 1000  # images that a fitted network looks at together


class ConvClassifier(ClassifierMixin, BaseEstimator):
    """A convolutional network for images of one channel, trained by AdamW with a one-cycle learning rate.

    With the defaults it has 2,918 parameters on images of 28 x 28 and ten classes.

    Parameters
    ----------
    architecture : {"separable", "resnet18", "vgg"}, default="separable"
        Depthwise-separable blocks (Chollet 2017), ResNet-18 (He et al. 2016), or six convolutions as in VGG (Simonyan
        and Zisserman 2015); a function of ``errref.networks.architectures``.
    width : int, default=16
        Channels of its first layer; the others follow.
    image_shape : (int, int) or None, default=None
        Height and width of the images that the rows of X hold, row by row. None: square, if the number of columns is a
        square number, else a strip of height 1.
    epochs : int, default=12
        Passes over the training samples.
    min_steps : int, default=100
        At least so many steps are taken: more epochs, where the samples are few.
    batch_size : int, default=128
        Samples a step, at least 2; all of them where there are fewer. What does not fill the last batch of an epoch
        waits for the next, which has another order.
    learning_rate : float, default=0.03
        The largest of the cycle (Smith and Topin 2019; the shape is that of torch.optim.lr_scheduler.OneCycleLR).
    weight_decay : float, default=0.01
        Of AdamW (Loshchilov and Hutter 2019).
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as scikit-learn has them.
    keep_stages : bool, default=False
        Keep the weights after each epoch, for `stage` and `staged_predict_proba`.
    device : str, default="auto"
        A device of torch. "auto": "cuda" if there is one, else "cpu".
    n_jobs : int or None, default=None
        Threads of the CPU. None: as many as torch is set to. Another number can move the last digits.
    verbose : bool or str, default=False
        A bar with an estimate of the time left, named by the string if there is one; see `errref.progress.bar`.
    random_state : int, RandomState or None, default=None
        Draws the starting weights and the order of the samples. No global random state is touched.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
    module_ : torch.nn.Sequential
    n_parameters_, n_iter_, n_steps_, n_features_in_ : int
        Trained numbers (of batch normalisation scale and shift, not the running moments); epochs; steps; pixels.
    fit_seconds_ : float
        Seconds that training took.
    loss_curve_ : list of float
        Mean training loss of each epoch, while it was trained.
    mean_, scale_ : float
        Mean and standard deviation of all training pixels; images are standardised by them.
    image_shape_ : (int, int)
    stages_ : list of dict
        With ``keep_stages``: the module's state after each epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> model = ConvClassifier(width=8, batch_size=32, n_jobs=1, random_state=0)
    >>> model = model.fit(X[::2], y[::2])
    >>> model.n_parameters_, bool(model.score(X[1::2], y[1::2]) > 0.9)
    (553, True)
    """

    _parameter_constraints: dict = {
        "architecture": [StrOptions(ARCHITECTURES)],
        "width": [Interval(Integral, 1, None, closed="left")],
        "image_shape": [tuple, list, None],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "min_steps": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "keep_stages": ["boolean"],
        "device": [str],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["boolean", str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        architecture: str = "separable",
        *,
        width: int = 16,
        image_shape: tuple[int, int] | None = None,
        epochs: int = 12,
        min_steps: int = 100,
        batch_size: int = 128,
        learning_rate: float = 0.03,
        weight_decay: float = 0.01,
        class_weight: dict | str | None = None,
        keep_stages: bool = False,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: bool | str = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.architecture, self.width, self.image_shape = architecture, width, image_shape
        self.epochs, self.min_steps, self.batch_size = epochs, min_steps, batch_size
        self.learning_rate, self.weight_decay, self.class_weight = learning_rate, weight_decay, class_weight
        self.keep_stages, self.device, self.n_jobs = keep_stages, device, n_jobs
        self.verbose, self.random_state = verbose, random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on images X, (n, height * width), uint8 or float, and their classes y, (n,).

        Raises
        ------
        ValueError
            For a parameter out of its range, or data that are not finite numbers of these shapes.
        FloatingPointError
            If training diverges.
        """
        images, labels = validate_data(self, X, y, dtype=[np.float32, np.uint8], ensure_min_samples=2)
        check_labels(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        self.image_shape_ = self._image_shape()
        self.mean_, self.scale_ = _moments(images)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        start = time.perf_counter()
        with _threads(self.n_jobs):
            self.module_ = new_module(self.architecture, self.image_shape_, len(self.classes_), self.width, seed)
            self.n_parameters_ = sum(p.numel() for p in self.module_.parameters())
            self._train(images, targets, seed)
        self.fit_seconds_ = time.perf_counter() - start
        if not np.isfinite(self.loss_curve_).all():
            del self.module_
            raise FloatingPointError(f"Training diverged with learning_rate={self.learning_rate}; lower it.")
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the most probable class of each image of X, (n, height * width); shape (n,)."""
        best = self._look(self._images(X)).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of every class for each image of X; shape (n, C)."""
        return _softmax(self._look(self._images(X)))

    def staged_predict_proba(self, X: ArrayLike) -> Iterator[NDArray[np.float64]]:
        """Yield `predict_proba` as it was after each epoch; needs ``keep_stages``."""
        images = self._images(X)
        yield from (_softmax(self.stage(epoch)._look(images)) for epoch in range(1, self.n_iter_ + 1))

    def stage(self, epoch: int) -> Self:
        """Return the classifier as it was after an epoch, 1 to ``n_iter_``; needs ``keep_stages``."""
        check_is_fitted(self, "module_")
        if not hasattr(self, "stages_"):
            raise AttributeError("No stages were kept; fit with keep_stages=True.")
        if not 1 <= epoch <= self.n_iter_:
            raise ValueError(f"There is no epoch {epoch}; choose one from 1 to {self.n_iter_}.")
        then = copy(self)
        then.module_ = deepcopy(self.module_)
        then.module_.load_state_dict(self.stages_[epoch - 1])
        return then

    def embed(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the penultimate features, which the last, linear layer sees; shape (n, features)."""
        return self._look(self._images(X), layers=-1)

    def _image_shape(self) -> tuple[int, int]:
        d = self.n_features_in_
        side = isqrt(d)
        shape = self.image_shape or ((side, side) if side * side == d else (1, d))
        if len(shape) != 2 or not all(isinstance(n, Integral) for n in shape) or shape[0] * shape[1] != d:
            raise ValueError(f"image_shape={shape} does not hold the {d} columns of X; height times width must be {d}.")
        return int(shape[0]), int(shape[1])

    def _images(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "module_")
        return validate_data(self, X, dtype=[np.float32, np.uint8], reset=False)

    def _standardise(self, pixels: Any) -> Any:
        """Turn pixels (n, d), a tensor, into what the module takes: (n, 1, height, width), standardised."""
        torch = load_torch()

        images = ((pixels.float() - self.mean_) / self.scale_).view(-1, 1, *self.image_shape_)
        return images.contiguous(memory_format=torch.channels_last)

    def _train(self, images: NDArray, targets: NDArray, seed: int) -> None:
        torch = load_torch()

        device = self._device()
        module = self.module_.to(device, memory_format=torch.channels_last).train()
        pixels, codes = torch.tensor(images, device=device), torch.tensor(targets, device=device)  # all stay there
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[targets])
        loss = torch.nn.CrossEntropyLoss(torch.tensor(weights, dtype=torch.float32, device=device))
        batch = min(self.batch_size, len(images))
        per_epoch = len(images) // batch
        self.n_iter_ = max(self.epochs, ceil(self.min_steps / per_epoch))
        self.n_steps_ = self.n_iter_ * per_epoch
        decay = {"lr": self.learning_rate, "weight_decay": self.weight_decay}
        optimizer = torch.optim.AdamW(module.parameters(), **decay, fused=True)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, max(2, self.n_steps_))
        order = torch.Generator().manual_seed(seed)
        self.loss_curve_, stages = [], []
        name = self.verbose if isinstance(self.verbose, str) else "training"
        for _ in bar(range(self.n_iter_), desc=name, unit="epoch", disable=not self.verbose):
            total = torch.zeros((), device=device)
            chosen = torch.randperm(len(images), generator=order)[: per_epoch * batch].to(device)
            for some in chosen.split(batch):
                optimizer.zero_grad()
                value = loss(module(self._standardise(pixels[some])), codes[some])
                value.backward()
                optimizer.step()
                cycle.step()
                total += value.detach()
            self.loss_curve_.append(float(total) / per_epoch)
            if self.keep_stages:
                stages.append(_copy(module.state_dict()))
        module.eval()
        self.__dict__.pop("stages_", None)
        if self.keep_stages:
            self.stages_ = stages

    def _look(self, images: NDArray, layers: int | None = None) -> NDArray[np.float32]:
        """Return what the network, or its first layers, make of images; shape (n, outputs)."""
        torch = load_torch()

        module = self.module_[:layers]
        device = next(self.module_.parameters()).device
        with _threads(self.n_jobs), torch.inference_mode():
            batches = (torch.tensor(images[some], device=device) for some in gen_batches(len(images), _AT_ONCE))
            return np.concatenate([module(self._standardise(batch)).cpu().numpy() for batch in batches])

    def _device(self) -> str:
        name = ("cuda" if has_gpu() else "cpu") if self.device == "auto" else self.device
        try:
            load_torch().empty(0, device=name)
        except (RuntimeError, AssertionError):  # the latter: a torch that was built without it
            raise ValueError(f"device={name!r} is none that torch has here; name 'auto', 'cpu' or 'cuda'.") from None
        return name


@contextmanager
def _threads(n_jobs: int | None) -> Iterator[None]:
    """Let torch use so many threads of the CPU inside, and as many as before outside."""
    torch = load_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(int(n_jobs or before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _moments(images: NDArray) -> tuple[float, float]:
    """Mean and standard deviation of all pixels (1 where that is 0), without a copy of all of them as floats."""
    mean = images.mean(dtype=np.float64)
    squares = sum(float(np.square(images[some] - mean).sum()) for some in gen_batches(len(images), _AT_ONCE))
    return float(mean), (squares / images.size) ** 0.5 or 1.0


def _softmax(logits: NDArray) -> NDArray[np.float64]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return odds / odds.sum(axis=1, keepdims=True)


def _copy(state: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in state.items()}
