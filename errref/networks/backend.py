"""PyTorch, which is an extra: imported where a network needs it, and not before."""

from typing import Any


def load_torch() -> Any:
    """Return the module torch, or raise an ImportError that says how to install it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("This needs torch; install it with `pip install errref[torch]`.") from error
    return torch


def has_gpu() -> bool:
    """Whether torch is installed and sees a GPU."""
    try:
        return bool(load_torch().cuda.is_available())
    except ImportError:
        return False


def device_name() -> str:
    """Name of the device that ``device="auto"`` takes: that of the GPU, or "cpu"."""
    return load_torch().cuda.get_device_name() if has_gpu() else "cpu"
