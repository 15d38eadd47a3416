"""Cases of the image study, one by one: what every network says of an image, and whom a protocol lets answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import traitlets

from errref.datasets import FASHION_CLASSES
from errref.figures import expert_colour
from errref.protocols import Look, best_expert, honest, pick
from errref.widgets import Moving, script, synced

Array = np.ndarray
KEPT = 24  # images of a set that the figure keeps, equally many of each cluster; half as many where there are none
STEP = 17  # of 256 greys, so that 16 are left: two pixels in a byte


class Protocol(NamedTuple):
    """Who answers: ``routes(seen)`` is (n,), 0 for the general network, k for expert k, -1 for nobody."""

    words: str
    sees: str
    routes: Callable[[Look], Array]


def first_right(seen: Look) -> Array:
    """The first network that is right; -1 where none is."""
    right = seen.each == seen.y[:, None]
    return np.where(right.any(axis=1), right.argmax(axis=1), -1)


PROTOCOLS = {
    "general": Protocol(
        "general network alone",
        "The general network answers every image.",
        lambda seen: np.zeros(len(seen.y), dtype=int),
    ),
    "honest": Protocol(
        "honest",
        "The gate chooses a network, and sees the image alone: the method as it is.",
        lambda seen: seen.gate.argmax(axis=1),
    ),
    "best_expert": Protocol(
        "the gate's best expert",
        "The gate chooses an expert, and sees the image alone; the general network never answers.",
        best_expert,
    ),
    "error_oracle": Protocol(
        "error oracle",
        "Told whether the general network is wrong; where it is, the gate chooses an expert.",
        lambda seen: np.where(seen.wrong, best_expert(seen), 0),
    ),
    "cluster_oracle": Protocol(
        "cluster oracle",
        "Told whether the general network is wrong; where it is, told the nearest cluster, whose expert answers.",
        lambda seen: seen.assigned,
    ),
    "any_right": Protocol(
        "any right",
        "Sees the label and all answers: the first network that is right answers.",
        first_right,
    ),
}


class Kind(NamedTuple):
    """A set: where its images come from, ``members(seen)`` (n,) says which they are, and whether they have clusters."""

    words: str
    says: str
    source: str
    members: Callable[[Look], Array]
    clustered: bool


SETS = {
    "training_errors": Kind(
        "training errors",
        "Error cases: training images that the general network gets wrong. Each expert was trained on one cluster.",
        "training",
        lambda seen: seen.wrong,
        True,
    ),
    "test_errors": Kind(
        "test errors",
        "Test images that the general network gets wrong, each by its nearest cluster. No network was trained on them.",
        "test",
        lambda seen: seen.wrong,
        True,
    ),
    "test_right": Kind(
        "right test images",
        "Test images that the general network gets right, so they belong to no cluster.",
        "test",
        lambda seen: ~seen.wrong,
        False,
    ),
    "rescues": Kind(
        "rescues",
        "Test images that the general network gets wrong, and the honest method right.",
        "test",
        lambda seen: seen.wrong & (honest(seen) == seen.y),
        False,
    ),
    "harms": Kind(
        "harms",
        "Test images that the general network gets right, and the honest method wrong.",
        "test",
        lambda seen: ~seen.wrong & (honest(seen) != seen.y),
        False,
    ),
}


def _chosen(blocks: list[Array], cluster: int) -> Array:
    """One cluster, or all in one piece; a set without clusters is one block, whichever cluster is asked for."""
    return blocks[cluster - 1] if cluster and len(blocks) > 1 else np.concatenate(blocks)


def packed(values: Array) -> str:
    """Bytes as text, so that a notebook holds them in one line."""
    return b64encode(np.ascontiguousarray(values, dtype=np.uint8).tobytes()).decode()


class Cases(Moving):
    """Images by set, cluster and protocol, and what every network says of the one that is picked.

    The figure keeps the first images of each set, as they stand in the data, and counts over all of it.

    Parameters
    ----------
    training, test : (X, seen)
        Images (n, 784), uint8, with what `errref.protocols.look` says of a fitted system and these images. Labels are
        those of Fashion-MNIST, 0 to 9.
    images : str, default "training_errors"
        A name of `SETS`.
    cluster : int, default 0
        One cluster of the set, 1 to K; 0: all.
    protocol : str, default "honest"
        A name of `PROTOCOLS`.
    picked : int, default 0
        Place of an image among those that are shown.

    Examples
    --------
    >>> y, each = np.array([6, 9]), np.array([[4, 6], [9, 6]])  # the expert says Shirt of both
    >>> seen = Look(y, np.eye(10)[each], each, gate=np.array([[0.8, 0.2], [0.9, 0.1]]), assigned=np.array([1, 0]))
    >>> X = np.zeros((2, 784), dtype=np.uint8)
    >>> cases = Cases((X, seen), (X, seen), protocol="error_oracle")
    >>> cases.shown.tolist(), cases.right.tolist(), cases.count("test_errors")["honest"], cases
    ([0], [True], (0, 1), Cases(images='training_errors', cluster=0, protocol='error_oracle'))
    """

    _esm = script("widgets/fashion.js")
    _fixed = synced(traitlets.Dict())

    images = synced(traitlets.Enum([*SETS], "training_errors"))
    cluster = synced(traitlets.Int(0, min=0))
    protocol = synced(traitlets.Enum([*PROTOCOLS], "honest"))
    picked = synced(traitlets.Int(0, min=0))

    def __init__(self, training: tuple[Array, Look], test: tuple[Array, Look], **values: Any) -> None:
        self.seen = {"training": training, "test": test}
        for X, seen in self.seen.values():
            if X.shape != (len(seen.y), 784) or X.dtype != np.uint8:
                raise ValueError(f"images of shape {X.shape}, {X.dtype}: give ({len(seen.y)}, 784), uint8.")
            if seen.each.shape[1] < 2:
                raise ValueError("There is no expert, so there was no error case: nothing is left to show.")
        super().__init__(**values)

    @traitlets.validate("cluster")
    def _is_there(self, proposal: dict[str, Any]) -> int:
        experts = self.seen["test"][1].each.shape[1] - 1
        if proposal["value"] > experts:
            raise traitlets.TraitError(
                f"There is no cluster {proposal['value']}; choose one from 1 to {experts}, or 0."
            )
        return proposal["value"]

    def __repr__(self) -> str:
        return f"Cases(images={self.images!r}, cluster={self.cluster}, protocol={self.protocol!r})"

    def _blocks(self, name: str) -> list[Array]:
        """Indices of the images of a set: by cluster, or in one piece."""
        kind = SETS[name]
        seen = self.seen[kind.source][1]
        inside = kind.members(seen)
        if not kind.clustered:
            return [np.flatnonzero(inside)]
        return [np.flatnonzero(inside & (seen.assigned == k)) for k in range(1, seen.each.shape[1])]

    def _kept(self, name: str) -> list[Array]:
        """The first of each block."""
        blocks = self._blocks(name)
        each = max(1, KEPT // len(blocks)) if SETS[name].clustered else KEPT // 2
        return [block[:each] for block in blocks]

    def _count(self, source: str, indices: Array) -> list[int]:
        """How many images these are, and how many of them each protocol gets right."""
        seen = self.seen[source][1]
        right = [pick(seen.each, protocol.routes(seen)) == seen.y for protocol in PROTOCOLS.values()]
        return [len(indices), *(int(mask[indices].sum()) for mask in right)]

    def count(self, images: str, cluster: int = 0) -> dict[str, tuple[int, int]]:
        """How many images of a whole set, or of one cluster of it, each protocol gets right, and of how many."""
        n, *right = self._count(SETS[images].source, _chosen(self._blocks(images), cluster))
        return {name: (number, n) for name, number in zip(PROTOCOLS, right, strict=True)}

    @property
    def shown(self) -> Array:
        """Indices of the images in the grid, among the training or the test images; (n,)."""
        return _chosen(self._kept(self.images), self.cluster)

    @property
    def right(self) -> Array:
        """Whether the protocol gets each image of the grid right; (n,)."""
        seen = self.seen[SETS[self.images].source][1]
        return (pick(seen.each, PROTOCOLS[self.protocol].routes(seen)) == seen.y)[self.shown]

    @traitlets.default("_fixed")
    def _hand_over(self) -> dict[str, Any]:
        """What the script shows: the images that are kept, each once, with all that is said of them; and the counts.

        Where the order matters there are lists: a notebook sorts the keys of what it stores.
        """
        kept = {name: [[(SETS[name].source, int(i)) for i in block] for block in self._kept(name)] for name in SETS}
        cases = list(dict.fromkeys(case for blocks in kept.values() for block in blocks for case in block))
        number = {case: k for k, case in enumerate(cases)}
        sets = [
            {
                "name": name,
                **{key: value for key, value in kind._asdict().items() if key != "members"},
                "kept": [[number[case] for case in block] for block in kept[name]],
                "counts": [self._count(kind.source, block) for block in self._blocks(name)],
            }
            for name, kind in SETS.items()
        ]
        seen = self.seen["test"][1]
        networks = seen.each.shape[1]
        return {
            "classes": list(FASHION_CLASSES),
            "networks": networks,
            "colours": [expert_colour(k) for k in range(networks)],
            "protocols": [{"name": name, "words": p.words, "sees": p.sees} for name, p in PROTOCOLS.items()],
            "sets": sets,
            "trained": len(self.seen["training"][0]),
            "test": self._count("test", np.arange(len(seen.y))),
            "cases": self._told(cases),
        }

    def _told(self, cases: list[tuple[str, int]]) -> dict[str, Any]:
        """All that is said of some images, in bytes; probabilities in per cent."""
        each = [self.seen[source] for source, _ in cases]
        routes = {source: [p.routes(seen) for p in PROTOCOLS.values()] for source, (_, seen) in self.seen.items()}

        def column(name: str) -> Array:
            return np.array([getattr(seen, name)[i] for (_, seen), (_, i) in zip(each, cases, strict=True)])

        grey = np.array([X[i] for (X, _), (_, i) in zip(each, cases, strict=True)]) // STEP
        return {
            "index": [i for _, i in cases],
            "pixels": packed(16 * grey[..., ::2] + grey[..., 1::2]),
            "labels": packed(column("y")),
            "answers": packed(column("each")),
            "proba": packed(np.rint(100 * column("proba"))),
            "gate": packed(np.rint(100 * column("gate"))),
            "clusters": packed(column("assigned")),
            "routes": packed(np.array([[route[i] for route in routes[source]] for source, i in cases]) % 256),
        }
