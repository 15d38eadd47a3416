"""How many numbers a model has learnt, and how many a user chooses for it."""

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline

# Arguments that leave the answers as they are, follow from the data, or only draw at random.
NO_SETTINGS = {"copy", "device", "image_shape", "keep_stages", "memory", "n_jobs", "random_state", "verbose"}


def count_settings(estimator: Any) -> int:
    """Count the arguments that a user can choose for an estimator and the parts in it.

    Parameters
    ----------
    estimator : estimator
        Fitted or not. Arguments that leave the answers as they are, follow from the data, or only draw at random do
        not count (``NO_SETTINGS``), and nor does one that holds a part, but the arguments of that part do.

    Returns
    -------
    int

    Examples
    --------
    >>> count_settings(KNeighborsClassifier())  # all but n_jobs
    7
    """
    own = estimator.get_params(deep=False)
    parts = dict(own.pop("steps", []), **{name: value for name, value in own.items() if hasattr(value, "get_params")})
    return len(set(own) - set(parts) - NO_SETTINGS) + sum(count_settings(part) for part in parts.values())


def count_parameters(estimator: Any) -> int:
    """Count the numbers that a fitted estimator has learnt.

    Parameters
    ----------
    estimator : fitted estimator
        With ``n_parameters_`` (taken as it is), ``coefs_`` and ``intercepts_`` (multilayer perceptrons), or ``coef_``
        and ``intercept_`` (linear models); a dummy (1); nearest neighbours, whose numbers are stored values of X and y
        rather than trained ones; or a pipeline: the sum over its steps, where a transformer of no such kind counts 0.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If the estimator is of no such kind, or not fitted.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> line = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> count_parameters(line)  # a slope and an intercept
    2
    """
    if hasattr(estimator, "n_parameters_"):
        return int(estimator.n_parameters_)
    if isinstance(estimator, Pipeline):
        return count_parameters(estimator[-1]) + sum(_count_in_transformer(step) for step in estimator[:-1])
    if isinstance(estimator, (DummyClassifier, DummyRegressor)):
        return 1
    if isinstance(estimator, (KNeighborsClassifier, KNeighborsRegressor)) and hasattr(estimator, "n_samples_fit_"):
        return int(estimator.n_samples_fit_ * estimator.n_features_in_ + estimator._y.size)
    if hasattr(estimator, "coefs_"):
        return sum(part.size for part in [*estimator.coefs_, *estimator.intercepts_])
    if hasattr(estimator, "coef_"):
        has_intercept = getattr(estimator, "fit_intercept", True)
        return int(np.size(estimator.coef_) + has_intercept * np.size(estimator.intercept_))
    raise TypeError(f"Cannot count the parameters of {estimator!r}: it is not fitted, or of an unknown kind.")


def _count_in_transformer(step: Any) -> int:
    try:
        return count_parameters(step)
    except TypeError:
        return 0
