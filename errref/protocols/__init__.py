"""Protocols of the image study: who may see what when a fitted error reflection is asked for its answers.

A model is looked at once (`look`); a protocol then only picks, for each sample, one of the answers. Its docstring says
what it is allowed to see. Those that see the true label of the sample they answer are *oracles*: bounds, not models.
"""

from errref.protocols.answers import best_expert, confidence_threshold, gate_bias, honest, soft_mixture, tune
from errref.protocols.bounds import BINS, any_right, cluster_oracle, constant_experts, error_oracle, mechanism, top
from errref.protocols.leaks import ShuffledLabels, fate_of_noise, leaked, on_training_data
from errref.protocols.looking import Look, features, label_pairs, look, pick

__all__ = [
    "BINS",
    "Look",
    "ShuffledLabels",
    "any_right",
    "best_expert",
    "cluster_oracle",
    "confidence_threshold",
    "constant_experts",
    "error_oracle",
    "fate_of_noise",
    "features",
    "gate_bias",
    "honest",
    "label_pairs",
    "leaked",
    "look",
    "mechanism",
    "on_training_data",
    "pick",
    "soft_mixture",
    "top",
    "tune",
]
