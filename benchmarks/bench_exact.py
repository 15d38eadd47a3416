"""Time of a training step: the exact trainer beside loops over the samples in PyTorch and JAX, from the same start.

Run from the root of the repository: ``python benchmarks/bench_exact.py``. A time is that of one step of one network,
the shortest of several runs; compilation, a first run, and the sorting of the samples are left out. The plain loop
trains one network after the other, all others 64 at once. Each has to arrive at the loss of the exact trainer. What is
not installed is skipped.
"""

import os
import time
from collections.abc import Callable, Iterator

import numpy as np

from errref import exact

NETWORKS, LEARNING_RATE = 64, 1e-4
SIZES = ((10, 256), (100, 1000))  # hidden units, samples
THREADS = sorted({1, os.cpu_count() or 1})
STEPS = {"exact": 1000, "PyTorch loop": 50, "PyTorch batched": 3, "JAX": 10}  # in one run
SECONDS = 2  # of runs, the shortest of which counts
TARGETS = {"PyTorch loop": 200, "JAX": 20}
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}  # relative, of the loss

Run = Callable[[int], np.ndarray]  # steps -> loss of every trained network before the last step
Problem = tuple[np.ndarray, np.ndarray, np.ndarray]  # inputs (n,), targets (n,), starting weights (networks, 3 H + 1)


def make_problem(H: int, n: int, networks: int = NETWORKS) -> Problem:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, n)
    outer = 1 / np.sqrt(H)
    inner, output = rng.uniform(-1, 1, (networks, 2 * H)), rng.uniform(-outer, outer, (networks, H + 1))
    return x, np.sin(5 * x), np.concatenate([inner, output], axis=1)


def shortest_times(runs: list[Run], steps: int) -> list[float]:
    """Seconds of the shortest run of each, taken in turn so that a busy machine slows all alike."""
    times: list[list[float]] = []
    for run in runs:
        run(steps)  # compiles, and warms the caches
    while len(times) < 5 or sum(map(sum, times)) < SECONDS * len(runs):
        times.append([])
        for run in runs:
            start = time.perf_counter()
            run(steps)
            times[-1].append(time.perf_counter() - start)
    return [min(column) for column in zip(*times, strict=True)]


def exact_run(problem: Problem, n_threads: int | None) -> Run:
    x, y, weights = problem
    samples = exact.prepare(x, y)
    return lambda steps: exact.train_many(samples, weights, steps, LEARNING_RATE, n_threads)[1][:, steps - 1]


def torch_loop(problem: Problem, dtype: str) -> Run:
    """Train the first network as most would write it."""
    import torch

    x, y = (torch.tensor(part, dtype=getattr(torch, dtype)).unsqueeze(1) for part in problem[:2])
    w, b, v, c = np.split(problem[2][0], np.arange(1, 4) * (problem[2].shape[1] // 3))

    def run(steps: int) -> np.ndarray:
        network = torch.nn.Sequential(torch.nn.Linear(1, len(b)), torch.nn.ReLU(), torch.nn.Linear(len(b), 1)).to(
            x.dtype
        )
        for parameter, start in zip(network.parameters(), (w[:, None], b, v[None], c), strict=True):
            parameter.data = torch.tensor(start, dtype=x.dtype)
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(network(x), y)
            loss.backward()
            optimizer.step()
        return loss.detach().numpy()[np.newaxis]

    return run


def torch_batched(problem: Problem, dtype: str) -> Run:
    """Train all networks at once, a batched matrix product for each layer."""
    import torch

    x, y, weights = (torch.tensor(part, dtype=getattr(torch, dtype)) for part in problem)
    H = weights.shape[1] // 3
    inputs = x[:, None].expand(len(weights), -1, 1)

    def run(steps: int) -> np.ndarray:
        w, b, v, c = parts = [part.clone().requires_grad_() for part in weights.split([H, H, H, 1], dim=1)]
        optimizer = torch.optim.Adam(parts, lr=LEARNING_RATE)
        for _ in range(steps):
            optimizer.zero_grad()
            active = torch.relu(torch.baddbmm(b[:, None], inputs, w[:, None]))
            losses = ((torch.baddbmm(c[:, None], active, v[:, :, None]).squeeze(2) - y) ** 2).mean(dim=1)
            losses.sum().backward()
            optimizer.step()
        return losses.detach().numpy()

    return run


def jax_run(problem: Problem, dtype: str) -> Run:
    """Train all networks at once by jit(vmap(scan))."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, y, weights = (jnp.asarray(part, dtype=dtype) for part in problem)
    H = weights.shape[1] // 3

    def loss(theta):
        w, b, v, c = jnp.split(theta, [H, 2 * H, 3 * H])
        return jnp.mean((jax.nn.relu(x[:, None] * w + b) @ v + c - y) ** 2)

    def step(carry, t):
        theta, mean, square = carry
        value, g = jax.value_and_grad(loss)(theta)
        mean = exact.BETA1 * mean + (1 - exact.BETA1) * g
        square = exact.BETA2 * square + (1 - exact.BETA2) * g * g
        denominator = jnp.sqrt(square / (1 - exact.BETA2**t)) + exact.EPSILON
        return (theta - LEARNING_RATE * mean / (1 - exact.BETA1**t) / denominator, mean, square), value

    def train(theta, t):
        return jax.lax.scan(step, (theta, jnp.zeros_like(theta), jnp.zeros_like(theta)), t)[1][-1]

    train_all = jax.jit(jax.vmap(train, in_axes=(0, None)))
    return lambda steps: np.asarray(train_all(weights, jnp.arange(1, steps + 1, dtype=dtype)))


def rows(problem: Problem) -> Iterator[tuple[str, str, int, int, Run]]:
    """Yield method, element type, threads, networks and run; threads are set when a row is asked for."""
    for threads in THREADS:
        yield "exact", "float64", threads, NETWORKS, exact_run(problem, threads)
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed, and its rows are skipped: pip install 'errref[bench]'.")
    else:
        for threads in THREADS:
            torch.set_num_threads(threads)
            for dtype in TOLERANCE:
                yield "PyTorch loop", dtype, threads, 1, torch_loop(problem, dtype)
                yield "PyTorch batched", dtype, threads, NETWORKS, torch_batched(problem, dtype)
    try:
        for dtype in TOLERANCE:
            yield "JAX", dtype, THREADS[-1], NETWORKS, jax_run(problem, dtype)
    except ImportError:
        print("JAX is not installed, and its rows are skipped: pip install 'errref[bench]'.")


def compare(H: int, n: int) -> None:
    """Print the rows of one size, and how many times faster the exact trainer is than the best of each peer."""
    print(f"\nhidden {H} x {n} samples, {NETWORKS} networks: time of a step of one network")
    print(f"{'method':<16} {'type':<8} threads   microseconds  times exact   error of the loss")
    problem = make_problem(H, n)
    best: dict[str, float] = {}
    for method, dtype, threads, networks, run in rows(problem):
        steps = STEPS[method]
        seconds = shortest_times([run], steps)[0] / steps / networks
        expected = exact_run(problem, None)(steps)[:networks]
        error = np.abs(run(steps) / expected - 1).max()
        best[method] = min(seconds, best.get(method, np.inf))
        print(
            f"{method:<16} {dtype:<8} {threads:7} {1e6 * seconds:14.3f} {seconds / best['exact']:12.1f} {error:19.1e}"
        )
        if error > TOLERANCE[dtype]:
            raise SystemExit(
                f"{method} in {dtype} does not reach the loss of the exact trainer: they differ in method."
            )
    for method, target in TARGETS.items():
        if method in best:
            ratio = best[method] / best["exact"]
            outcome = "reached" if ratio >= target else "missed"
            print(f"{method}, best row: {ratio:.0f} times the exact trainer; at least {target} {outcome}")


def growth(H: int = 20, sizes: tuple[int, int] = (1_000, 100_000), networks: int = 4) -> None:
    """Print how much longer a step takes, on one thread, on 100 times as many samples."""
    runs, steps = [], 2 * STEPS["exact"]
    for n in sizes:
        problem = make_problem(H, n, networks)
        start = time.perf_counter()
        exact.prepare(*problem[:2])
        print(f"Sorting {n} samples takes {1e3 * (time.perf_counter() - start):.1f} ms, once.")
        runs.append(exact_run(problem, 1))
    small, large = (1e9 * seconds / steps / networks for seconds in shortest_times(runs, steps))
    outcome = "reached" if large < 3 * small else "missed"
    print(
        f"hidden {H}, one thread: {small:.0f} ns a step on {sizes[0]} samples, {large:.0f} ns on {sizes[1]}:", end=" "
    )
    print(f"{large / small:.1f} times; less than 3 {outcome}")


def main() -> None:
    for size in SIZES:
        compare(*size)
    print()
    growth()


if __name__ == "__main__":
    main()
