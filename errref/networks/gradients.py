"""The gradient of a fitted network's loss on some of its samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import gen_batches

from errref.networks.backend import load_torch
from errref.networks.convolution import ConvClassifier

AT_ONCE = 500  # images whose activations are kept together


def loss_gradient(model: ConvClassifier, X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Sum, over the samples, of the gradient of the cross-entropy by the weights of a fitted classifier.

    Parameters
    ----------
    model : ConvClassifier
        Fitted; batch normalisation has the moments that it predicts with.
    X : array-like of shape (n, height * width)
    y : array-like of shape (n,)
        Classes of ``model.classes_``.

    Returns
    -------
    ndarray of shape (n_parameters,)
    """
    torch = load_torch()

    images, codes = model._images(X), np.searchsorted(model.classes_, np.asarray(y))
    module = model.module_.eval()
    weights = list(module.parameters())
    total = np.zeros(model.n_parameters_)
    for some in gen_batches(len(images), AT_ONCE):
        pixels, targets = (torch.tensor(values[some], device=weights[0].device) for values in (images, codes))
        loss = torch.nn.functional.cross_entropy(module(model._standardise(pixels)), targets, reduction="sum")
        total += np.concatenate([part.cpu().numpy().ravel() for part in torch.autograd.grad(loss, weights)])
    return total
