"""The function table by plain torch, from section 4 of the paper. It takes from the package only what a seed draws.

That is: the starting weights of each network, and the seeds of the clustering and of the gate. Data, networks,
training, error cases, clusters, routes and losses are written once more; many networks are trained side by side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier

from errref.networks import ReluRegressor
from errref.parts import part
from tests import isodata_oracle

HIDDEN, SAMPLES, TEST_SAMPLES, CLUSTERS, LEARNING_RATE = 10, 256, 4096, 3, 1e-4

# As section 4.2 prints them; the words are those of the ledger.
FUNCTIONS = {
    "linear": ("On x,", lambda x: x),
    "cubic": ("On x^3 - 0.2x - 0.35,", lambda x: x**3 - 0.2 * x - 0.35),
    "quartic": ("On x^4 + 0.2x^3 - 0.67x^2,", lambda x: x**4 + 0.2 * x**3 - 0.67 * x**2),
    "piecewise": (
        "On x^4 + x^3 - 0.6x^2 left of 0 and x^5 + x^4 - 0.5x^3 right of it,",
        lambda x: x**4 + x**3 - 0.6 * x**2 if x < 0 else x**5 + x**4 - 0.5 * x**3,
    ),
}


def data(function: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs in the middle of n equal parts of [-1, 1), and targets."""
    x = [-1 + (2 * i + 1) / n for i in range(n)]
    return np.array(x), np.array([FUNCTIONS[function][1](value) for value in x])


@dataclass
class System:
    """One function and one seed: the general network, and what follows from it."""

    function: str
    seed: int
    residuals: np.ndarray | None = None  # of the general network on the training samples
    errors: np.ndarray | None = None  # mask of the error cases
    routes: np.ndarray | None = None  # 0 or the number of an expert, for each training sample
    base: float = float("nan")  # mean squared error on the test points
    reflection: float = float("nan")


def starting_weights(seed: int, key: int | None = None) -> list[np.ndarray]:
    """What the package draws for the general network of a seed, or for expert ``key - 2``."""
    network = part(ReluRegressor(HIDDEN, steps=0), ReluRegressor(), seed, key).fit([[0.0], [1.0]], [0.0, 0.0])
    return [network.hidden_weights_[:, 0], network.hidden_biases_, network.output_weights_, network.output_bias_]


def answers(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Outputs (networks, samples) at inputs (networks, samples)."""
    w, b, v, c = weights
    return (torch.relu(x[:, :, None] * w[:, None] + b[:, None]) * v[:, None]).sum(dim=2) + c[:, None]


def trained(starts: list, sets: list[tuple[np.ndarray, np.ndarray]], steps: int) -> list[torch.Tensor]:
    """Weights of networks after full-batch Adam on the mean squared error, each on its own samples.

    Shorter sets are filled up with samples of no weight. Adam treats every number by itself, so that training the sum
    of all losses trains each network alone.
    """
    longest = max(len(x) for x, _ in sets)
    x, y, share = (torch.zeros(len(sets), longest, dtype=torch.float64) for _ in range(3))
    for k, (x_k, y_k) in enumerate(sets):
        x[k, : len(x_k)], y[k, : len(x_k)] = torch.tensor(x_k), torch.tensor(y_k)
        share[k, : len(x_k)] = 1 / len(x_k)
    weights = [torch.tensor(np.array(each), requires_grad=True) for each in zip(*starts, strict=True)]
    optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        (share * (answers(weights, x) - y) ** 2).sum().backward()
        optimizer.step()
    return [each.detach() for each in weights]


def worst_half(residuals: np.ndarray) -> np.ndarray:
    """Mask of the half of the samples with the largest absolute residuals."""
    mask = np.zeros(len(residuals), dtype=bool)
    mask[np.argsort(np.abs(residuals))[len(residuals) // 2 :]] = True
    return mask


def clustered(x: np.ndarray, seed: int) -> np.ndarray:
    """Cluster of each input by the 14 steps of ISODATA, with the defaults that the package names."""
    drawn = np.random.RandomState(seed).permutation(len(x))[:CLUSTERS]
    std = float(np.std(x))
    points = [[float(value)] for value in x]
    centers, _ = isodata_oracle.isodata(
        points,
        [points[i] for i in drawn],
        CLUSTERS,
        1,
        0.8 * std,
        0.25 * std,
        max_merges=2,
        max_iter=100,
        split_fraction=0.5,
    )
    return np.array(isodata_oracle.assign(points, centers))


def seed_of(key: int, seed: int) -> int:
    """The seed that the package gives to a part: 0 is the clusterer, 1 the gate."""
    return part(MLPClassifier(), MLPClassifier(), seed, key).random_state


def derive(functions: list[str], seeds: list[int], steps: int) -> list[System]:
    """Base and reflection losses of all functions with all seeds, from networks trained for so many steps."""
    systems = [System(function, seed) for function in functions for seed in seeds]
    sets = [data(s.function, SAMPLES) for s in systems]
    tests = [data(s.function, TEST_SAMPLES) for s in systems]
    general = trained([starting_weights(s.seed) for s in systems], sets, steps)
    before = answers(general, torch.tensor(np.array([x for x, _ in sets]))).numpy()
    at_test = answers(general, torch.tensor(np.array([x for x, _ in tests]))).numpy()
    owners, starts, parts = [], [], []
    for k, (system, (x, y)) in enumerate(zip(systems, sets, strict=True)):
        system.base = float(np.mean((at_test[k] - tests[k][1]) ** 2))
        system.residuals = before[k] - y
        system.errors = worst_half(system.residuals)
        labels = clustered(x[system.errors], seed_of(0, system.seed))
        system.routes = np.zeros(len(x), dtype=int)
        system.routes[system.errors] = 1 + labels
        for expert in range(labels.max() + 1):
            mine = system.routes == 1 + expert
            owners.append(k)
            starts.append(starting_weights(system.seed, key=2 + expert))
            parts.append((x[mine], y[mine]))
    experts = trained(starts, parts, steps)
    for k, (system, (x, _)) in enumerate(zip(systems, sets, strict=True)):
        x_test, y_test = tests[k]
        mine = [e for e, owner in enumerate(owners) if owner == k]
        inputs = torch.tensor(np.array([x_test] * len(mine)))
        each = np.vstack([at_test[k], answers([weights[mine] for weights in experts], inputs).numpy()])
        gate = MLPClassifier(
            (HIDDEN,), solver="lbfgs", max_iter=10_000, max_fun=100_000, random_state=seed_of(1, system.seed)
        )
        routes = gate.fit(x[:, None], system.routes).predict(x_test[:, None])
        system.reflection = float(np.mean((each[routes, np.arange(len(x_test))] - y_test) ** 2))
    return systems
