"""Neural networks as scikit-learn estimators, and how many parameters a model has."""

from errref.networks.backend import device_name, has_gpu
from errref.networks.building import size, widest
from errref.networks.convolution import ConvClassifier
from errref.networks.gradients import loss_gradient
from errref.networks.mixture import MixtureRegressor
from errref.networks.parameters import count_parameters, count_settings
from errref.networks.relu import ReluRegressor

__all__ = [
    "ConvClassifier",
    "MixtureRegressor",
    "ReluRegressor",
    "count_parameters",
    "count_settings",
    "device_name",
    "has_gpu",
    "loss_gradient",
    "size",
    "widest",
]
