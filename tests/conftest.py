"""What several test files use."""

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """Let torch use one thread: tensors this small are faster so, and much faster on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
