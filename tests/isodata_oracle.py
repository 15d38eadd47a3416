"""ISODATA as its 14 steps are written, slowly. It shares nothing with the package, and never stops early.

Numbers are Fractions, so that ties are ties, whatever the order of summation; square roots are right to 60 digits.
Floats work too, where no ties are expected.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import isqrt, sqrt
from typing import Any

Number = Fraction | float
Point = list[Number]
Entry = dict[str, Any]
ROUNDING = Fraction(1, 10**40)  # more than that of square roots, less than any other difference


def isodata(
    X: list[Point],
    centers: list[Point],
    n_clusters: int,
    min_samples: int,
    max_std: Number,
    min_distance: Number,
    max_merges: int,
    max_iter: int,
    split_fraction: Number,
) -> tuple[list[Point], list[Entry]]:
    """Return the final centres, and what happened in each iteration."""
    history = []
    for iteration in range(1, max_iter + 1):  # step 1
        entry: Entry = {"start": centers, "split": [], "considered": [], "lumped": []}
        history.append(entry)

        # 2. Assign every sample to its nearest centre.
        clusters: list[list[Point]] = [[] for _ in centers]
        entry["squared_distances"] = [[squared_distance(x, center) for center in centers] for x in X]
        for x, squared_distances in zip(X, entry["squared_distances"], strict=True):
            clusters[lowest(squared_distances)].append(x)
        entry["sizes"] = [len(cluster) for cluster in clusters]

        # 3. Discard clusters with fewer than theta_N samples. If all would go, the largest stays.
        kept = [j for j, size in enumerate(entry["sizes"]) if size >= min_samples]
        if not kept:
            kept = [lowest([-size for size in entry["sizes"]])]
        entry["discarded"] = [j for j in range(len(clusters)) if j not in kept]
        clusters = [clusters[j] for j in kept]
        sizes = [len(cluster) for cluster in clusters]

        # 4. Move each centre to the mean of its samples.
        centers = entry["moved"] = [mean(cluster) for cluster in clusters]
        n_centers = len(centers)

        # 5. D_j = mean distance of the samples of cluster j to its centre.
        D_j = []
        for cluster, center in zip(clusters, centers, strict=True):
            D_j.append(sum(distance(x, center) for x in cluster) / len(cluster))
        # 6. D = the mean of D_j weighted by cluster size.
        D = sum(size * D for size, D in zip(sizes, D_j, strict=True)) / sum(sizes)

        # 7. (a) Last iteration: go to 11 with theta_C = 0. (b) Nc <= K / 2: go to 8. (c) Even iteration or Nc >= 2 K:
        # go to 11. Otherwise 8.
        theta_C = min_distance
        if iteration == max_iter:
            entry["route"], theta_C = "7a", 0
        elif n_centers <= Fraction(n_clusters, 2):
            entry["route"] = "7b"
        elif iteration % 2 == 0 or n_centers >= 2 * n_clusters:
            entry["route"] = "7c"
        else:
            entry["route"] = "8"

        if entry["route"] in ("7b", "8"):
            # 8. Standard deviation of each cluster in each coordinate.
            sigma = [[std(column) for column in zip(*cluster, strict=True)] for cluster in clusters]
            # 9. Its largest coordinate.
            coordinate = [lowest([-value for value in values]) for values in sigma]
            entry |= {"D_j": D_j, "D": D, "sigma": sigma}
            # 10. Split where sigma_max > theta_S and [(D_j > D and N_j > 2 (theta_N + 1)) or Nc <= K / 2].
            halves = []
            for j in range(n_centers):
                sigma_max = sigma[j][coordinate[j]]
                loose = greater(D_j[j], D) and sizes[j] > 2 * (min_samples + 1)
                few = n_centers <= Fraction(n_clusters, 2)
                if greater(sigma_max, max_std) and (loose or few):
                    entry["split"].append(j)
                    for sign in (1, -1):
                        half = list(centers[j])
                        half[coordinate[j]] += sign * split_fraction * sigma_max
                        halves.append(half)
                else:
                    halves.append(centers[j])
            # If anything was split, go to 2.
            if entry["split"]:
                centers = entry["end"] = halves
                continue

        # 11. Distances between all centres.
        pairs = list(combinations(range(n_centers), 2))
        distances = [distance(centers[i], centers[j]) for i, j in pairs]
        # 12. The L smallest that are < theta_C, ascending.
        entry["near"] = [d for d in distances if greater(theta_C, d)]
        for _ in range(min(max_merges, len(entry["near"]))):
            smallest = lowest(distances)
            entry["considered"].append(pairs.pop(smallest))
            distances.pop(smallest)
        # 13. In that order, lump a pair if neither centre has been used in this iteration: the mean weighted by sizes.
        centers, used = list(centers), set()
        for i, j in entry["considered"]:
            if i not in used and j not in used:
                used |= {i, j}
                entry["lumped"].append((i, j))
                weighted = [[sizes[k] * value for value in centers[k]] for k in (i, j)]
                centers[i] = [(a + b) / (sizes[i] + sizes[j]) for a, b in zip(*weighted, strict=True)]
        removed = [j for _, j in entry["lumped"]]
        centers = entry["end"] = [center for j, center in enumerate(centers) if j not in removed]
        # 14. Last iteration: stop. Otherwise go to 2.
    return centers, history


def branches(history: list[Entry], parameters: dict[str, Any]) -> set[str]:
    """Name the branches that were taken, and the comparisons that were even."""
    taken: Counter[str] = Counter()
    K, theta_N, L = (parameters[name] for name in ("n_clusters", "min_samples", "max_merges"))
    theta_S, theta_C = parameters["max_std"], parameters["min_distance"]
    for iteration, entry in enumerate(history, start=1):
        parity = "odd" if iteration % 2 else "even"
        n_centers = len(entry["moved"])
        kept = [size for j, size in enumerate(entry["sizes"]) if j not in entry["discarded"]]
        gone = [entry["sizes"][j] for j in entry["discarded"]]
        all_would_go = max(entry["sizes"]) < theta_N
        taken["2: tie"] += any(map(tied, entry["squared_distances"]))
        taken["3: discard an empty cluster"] += 0 in gone
        taken["3: discard samples"] += any(gone)
        taken["3: keep exactly theta_N samples"] += theta_N > 1 and theta_N in kept
        taken["3: all would go"] += all_would_go
        taken["3: all would go, tie"] += all_would_go and tied([-size for size in entry["sizes"]])
        taken[f"{entry['route']}, {parity}"] += 1
        taken["7b: Nc = K / 2"] += entry["route"] == "7b" and 2 * n_centers == K
        taken["7c: Nc = 2 K"] += entry["route"] == "7c" and parity == "odd" and n_centers == 2 * K
        few = entry["route"] == "7b"
        for j in range(n_centers if "sigma" in entry else 0):
            sigma_max, large = max(entry["sigma"][j]), kept[j] > 2 * (theta_N + 1)
            wide, loose = greater(sigma_max, theta_S), greater(entry["D_j"][j], entry["D"])
            taken["9: tie where it splits"] += j in entry["split"] and tied([-value for value in entry["sigma"][j]])
            taken["10: split, loose"] += wide and loose and large and not few
            taken["10: split, few"] += wide and few and not (loose and large)
            taken["10: split, both"] += wide and few and loose and large
            taken["10: no split, not wide"] += not wide and (few or (loose and large))
            taken["10: no split, not loose"] += wide and large and not few and not loose
            taken["10: no split, sigma = theta_S"] += (few or (loose and large)) and equal(sigma_max, theta_S)
            taken["10: no split, D_j = D"] += wide and large and not few and equal(entry["D_j"][j], entry["D"])
            taken["10: no split, N_j = 2 (theta_N + 1)"] += wide and loose and not few and kept[j] == 2 * (theta_N + 1)
        taken["10: several split"] += len(entry["split"]) > 1
        taken[f"10: to 11, {parity}"] += "sigma" in entry and not entry["split"]
        distances = [distance(a, b) for a, b in combinations(entry["moved"], 2)]
        taken["12: distance = theta_C"] += "near" in entry and theta_C > 0 and any(equal(d, theta_C) for d in distances)
        taken["12: L leaves some out"] += len(entry.get("near", ())) > L > 0
        taken["12: tie"] += len(entry["considered"]) > 0 and tied(entry["near"])
        taken[f"13: lump, {parity}"] += len(entry["lumped"]) > 0
        taken["13: several lumped"] += len(entry["lumped"]) > 1
        taken["13: refused"] += len(entry["lumped"]) < len(entry["considered"])
        taken["13: lump unequal sizes"] += any(kept[i] != kept[j] for i, j in entry["lumped"])
    return {name for name, count in taken.items() if count}


def assign(X: list[Point], centers: list[Point]) -> list[int]:
    """Return the nearest centre of each sample."""
    return [lowest([squared_distance(x, center) for center in centers]) for x in X]


def lowest(values: list[Number]) -> int:
    """Return the index of the smallest value; of equal ones, the first."""
    smallest = min(values)
    return next(i for i, value in enumerate(values) if not greater(value, smallest))


def tied(values: list[Number]) -> bool:
    """Whether several values are the smallest."""
    smallest = min(values)
    return sum(equal(value, smallest) for value in values) > 1


def greater(a: Number, b: Number) -> bool:
    """Whether a > b, by more than the rounding of square roots."""
    return a > b and a - b > (1e-11 if isinstance(a, float) else ROUNDING)


def equal(a: Number, b: Number) -> bool:
    return not greater(a, b) and not greater(b, a)


def mean(points: list[Point]) -> Point:
    return [sum(column) / len(points) for column in zip(*points, strict=True)]


def std(values: tuple[Number, ...]) -> Number:
    (center,) = mean([[value] for value in values])
    return root(sum((value - center) ** 2 for value in values) / len(values))


def distance(a: Point, b: Point) -> Number:
    return root(squared_distance(a, b))


def squared_distance(a: Point, b: Point) -> Number:
    return sum((s - t) ** 2 for s, t in zip(a, b, strict=True))


def root(value: Number) -> Number:
    if isinstance(value, float):
        return sqrt(value)
    return Fraction(isqrt(value.numerator * 10**120 // value.denominator), 10**60)
