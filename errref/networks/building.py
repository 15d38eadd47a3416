"""Networks of `errref.networks.architectures` by name: built from a seed, counted, or as wide as a budget allows."""

from typing import Any

from errref.networks.backend import load_torch


def new_module(architecture: str, image_shape: tuple[int, int], n_outputs: int, width: int, seed: int) -> Any:
    """Return an untrained network, its weights drawn from ``seed``.

    Convolutions that mix channels start orthogonal (Saxe et al. 2014), so that no two of a few channels start alike; a
    positional pooling starts as the mean; the other layers start as torch has it.
    """
    torch = load_torch()
    from errref.networks.architectures import PositionalPooling

    module = _outline(architecture, image_shape, n_outputs, width)
    generator = torch.Generator().manual_seed(seed)
    for layer in module.to_empty(device="cpu").modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_parameters()
        elif isinstance(layer, PositionalPooling):
            torch.nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
        elif isinstance(layer, torch.nn.Conv2d) and layer.groups == 1:
            torch.nn.init.orthogonal_(layer.weight, generator=generator)
        elif hasattr(layer, "weight"):
            bound = layer.weight[0].numel() ** -0.5  # of the inputs of one output
            for part in layer.parameters(recurse=False):
                torch.nn.init.uniform_(part, -bound, bound, generator=generator)
    return module


def size(architecture: str, width: int, n_outputs: int = 10, image_shape: tuple[int, int] = (28, 28)) -> int:
    """Number of parameters of a network of `errref.networks.architectures`, which is not built for it."""
    module = _outline(architecture, image_shape, n_outputs, width)
    return sum(parameter.numel() for parameter in module.parameters())


def _outline(architecture: str, image_shape: tuple[int, int], n_outputs: int, width: int) -> Any:
    """Return a network without numbers: nothing is drawn, so that torch's global random state stays as it is."""
    torch = load_torch()
    from errref.networks import architectures

    with torch.device("meta"):
        return getattr(architectures, architecture)(image_shape, n_outputs, width)


def widest(n_parameters: int, n_outputs: int = 10, image_shape: tuple[int, int] = (28, 28)) -> int:
    """Return the largest width of the architecture "separable" that has at most so many parameters.

    Raises
    ------
    ValueError
        If even a network of width 1 has more.
    """
    width = 1
    while size("separable", width, n_outputs, image_shape) <= n_parameters:
        width += 1
    if width == 1:
        raise ValueError(f"Even a network of width 1 has more than {n_parameters} parameters; allow more.")
    return width - 1
