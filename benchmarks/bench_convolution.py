"""ConvClassifier beside plain PyTorch: seconds of an epoch of the same network, optimiser and batches.

Run from the root of the repository: ``python -m benchmarks.bench_convolution``. The images are random bytes. A time is
the shortest of several epochs, taken in turn so that a busy machine slows all alike; a first one, which warms the
caches, is left out. What ConvClassifier does once per fit, the network and the moments of the pixels, is in its time.
"""

import os
import time
from collections.abc import Callable

import numpy as np

from errref.networks import ConvClassifier
from errref.networks.building import new_module

N, BATCH, ROUNDS = 10_000, ConvClassifier().batch_size, 3
THREADS = sorted({1, min(2, os.cpu_count() or 1)}, reverse=True)
OURS = "ConvClassifier"

Data = tuple[np.ndarray, np.ndarray]  # images (N, 784), uint8, and labels (N,)


def ours(data: Data, threads: int) -> Callable[[], None]:
    model = ConvClassifier(epochs=1, min_steps=0, batch_size=BATCH, device="cpu", n_jobs=threads, random_state=0)
    return lambda: model.fit(*data) and None


def loader(data: Data) -> Callable[[], None]:
    """As most would write it: standardised images in a TensorDataset, a shuffling DataLoader, contiguous tensors."""
    import torch

    images, labels = standardised(data), torch.tensor(data[1])
    dataset = torch.utils.data.TensorDataset(images, labels)
    batches = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True, drop_last=True)
    step = trainer(torch.contiguous_format)

    def epoch() -> None:
        for some_images, some_labels in batches:
            step(some_images, some_labels)

    return epoch


def resident(data: Data, layout: str) -> Callable[[], None]:
    """Standardised images in one tensor, indexed for each batch."""
    import torch

    memory_format = getattr(torch, layout)
    images, labels = standardised(data).contiguous(memory_format=memory_format), torch.tensor(data[1])
    step = trainer(memory_format)

    def epoch() -> None:
        for some in torch.randperm(N)[: N // BATCH * BATCH].split(BATCH):
            step(images[some].contiguous(memory_format=memory_format), labels[some])

    return epoch


def standardised(data: Data):
    import torch

    pixels = torch.tensor(data[0]).float()
    return ((pixels - pixels.mean()) / pixels.std()).view(-1, 1, 28, 28)


def trainer(memory_format) -> Callable:
    """A step of AdamW with a one-cycle learning rate, on a network like that of ConvClassifier."""
    import torch

    module = new_module("separable", (28, 28), 10, ConvClassifier().width, seed=0)
    module = module.to(memory_format=memory_format).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.03, weight_decay=0.01)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.03, total_steps=10_000)
    loss = torch.nn.CrossEntropyLoss()

    def step(images, labels) -> None:
        optimizer.zero_grad()
        loss(module(images), labels).backward()
        optimizer.step()
        cycle.step()

    return step


def compare(data: Data, threads: int) -> None:
    """Print the seconds of each, and how many times those of ConvClassifier they are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    epochs = {
        OURS: ours(data, threads),
        "NCHW, DataLoader": loader(data),
        "NCHW, resident": resident(data, "contiguous_format"),
        "channels_last, resident": resident(data, "channels_last"),
    }
    least = dict.fromkeys(epochs, np.inf)
    for turn in range(1 + ROUNDS):
        for name, epoch in epochs.items():
            start = time.perf_counter()
            epoch()
            if turn:
                least[name] = min(least[name], time.perf_counter() - start)
    torch.set_num_threads(before)
    for name, seconds in least.items():
        print(f"{name:<24} {threads:7} {seconds:14.2f} {seconds / least[OURS]:12.2f}")


def main() -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed, and its rows are skipped: pip install 'errref[bench]'.")
        return
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (N, 784), dtype=np.uint8), rng.integers(0, 10, N)
    print(f"\n{N:,} images of 28 x 28, {BATCH} a step, {ConvClassifier().width} channels: an epoch of training")
    print(f"{'method':<24} {'threads':>7} {'seconds':>14} {'times ours':>12}")
    for threads in THREADS:
        compare(data, threads)


if __name__ == "__main__":
    main()
