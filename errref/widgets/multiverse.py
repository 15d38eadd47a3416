"""Choices: pick what the paper leaves open, and see what the recorded systems with these choices have found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, comb, prod
from typing import Any, NamedTuple

import numpy as np
import traitlets

from errref.datasets import FUNCTIONS
from errref.experiments.effects import Outcomes, outcomes
from errref.experiments.functions import PRINTED
from errref.experiments.multiverse import CHOICE_SETS, FACTORS, LOSSES, design, system
from errref.figures import COLOURS
from errref.figures.multiverse import LEFT
from errref.records import Row
from errref.widgets import Moving, script, synced

Array = np.ndarray
ENDS = (LEFT[-1] / 3, LEFT[0] * 3)  # shares of the loss at the ends of the axis; what lies beyond stands there
NINETY = 90.0  # per cent: what the paper says of all functions
READINGS = {
    "squared": "mean squared",
    "training": "on the training samples",
    "absolute": "mean absolute",
    "largest": "largest",
}
GROUPS = {
    "Training data": ("n_samples", "spacing", "noise"),
    "Networks": ("hidden", "steps", "batch", "init"),
    "Reflection": ("errors", "space", "clusters", "gate", "rounds"),
}

# -- rows as short text ------------------------------------------------------------------------------------------------

# Printable, and nothing that JSON or HTML would write as more than one character.
ALPHABET = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"\\<')


def packed(records: Iterable[Sequence[int]], radices: Sequence[int]) -> str:
    """Write records of small numbers, the k-th below the k-th radix, in as few characters as can hold any of them.

    Examples
    --------
    >>> packed([[0, 0], [1, 0], [0, 1], [2, 7]], [3, 30])
    ' !$8'
    """
    width = next(n for n in range(1, 100) if len(ALPHABET) ** n >= prod(radices))
    text = []
    for record in records:
        number = 0
        for digit, radix in zip(reversed(record), reversed(radices), strict=True):
            number = number * radix + int(digit)
        for _ in range(width):
            number, digit = divmod(number, len(ALPHABET))
            text.append(ALPHABET[digit])
    return "".join(text)


def numbered(steps: Iterable[int]) -> int:
    """Number of a selection of steps, in no order and with repetition, among all of as many steps (combinadics).

    Examples
    --------
    >>> [numbered(steps) for steps in ([0, 0], [0, 1], [1, 1], [2, 0], [1, 2], [2, 2])]
    [0, 1, 2, 3, 4, 5]
    """
    return sum(comb(step + k, k + 1) for k, step in enumerate(sorted(steps)))


class Scale(NamedTuple):
    """Steps on the axis of shares; what lies beyond an end of the axis is on a step of its own.

    Attributes
    ----------
    parts : int
        Equal parts of the logarithm between the ends of the axis.
    cuts : list of float
        Where a step ends besides, so that no rounding carries a share across.
    """

    parts: int
    cuts: list[float]

    @property
    def edges(self) -> Array:
        """Upper ends of all steps but the last; an end belongs to its step."""
        return np.sort([*np.geomspace(*ENDS, self.parts + 1), *self.cuts])

    @property
    def size(self) -> int:
        """Number of steps."""
        return len(self.edges) + 1

    def steps(self, shares: Array) -> Array:
        """Number of the step that each share is on, from 0 for the least; same shape."""
        return np.digitize(shares, self.edges, right=True)

    def until(self, cut: float) -> int:
        """The last step whose shares are at most those of a cut."""
        return int(np.searchsorted(self.edges, cut))

    @property
    def within(self) -> int:
        """Per cent by which the middle of a step is off at most."""
        return off((ENDS[1] / ENDS[0]) ** (1 / self.parts))


def off(ratio: float) -> int:
    """Per cent by which the middle of a step is off at most, if its ends have this ratio; rounded up."""
    return ceil(100 * (ratio**0.5 - 1))


def exact(percent: float) -> float:
    """The share of the loss that a reduction by a percentage leaves."""
    return 1 - percent / 100


def rounded(percent: float) -> float:
    """The largest share that is left where a reduction has reached a percentage, with the rounding of that."""
    return 1.005 - percent / 100


LOWER = float(np.nextafter(1.0, 0.0))  # the largest share of a lower loss; no change is a step of its own
REDUCTIONS = {name: float(text) for name, (_, _, text) in PRINTED.items()}
BOUNDS = {of(percent) for percent in (NINETY, *REDUCTIONS.values()) for of in (exact, rounded)}
SHARES = Scale(272, [LOWER, 1.0, *sorted(BOUNDS)])
SEED_SHARES = Scale(68, [LOWER, 1.0])
BASES = 313  # steps of a base loss; all three are as fine as 5 characters allow for a system, twice


def mark(percent: float) -> dict[str, Any]:
    """A reduction for the script: words, its share, the last step that is better, and the last that reaches it."""
    steps = {"better": SHARES.until(exact(percent)), "reach": SHARES.until(rounded(percent))}
    return {"words": f"{percent:g} %", "share": round(exact(percent), 6), **steps}


# -- the figure --------------------------------------------------------------------------------------------------------


class Choices(Moving):
    """The specification curve of a function, with the systems that have made some choices lit.

    Parameters
    ----------
    rows : sequence of errref.records.Row
        Rows of all systems, as `errref.records.read("multiverse")` has them.
    function : str, default "quartic"
        A name of `errref.datasets.FUNCTIONS`.
    loss : {"squared", "training", "absolute", "largest"}, default "squared"
        How the loss is read.
    picked : dict, default {}
        Levels of some factors of `errref.experiments.multiverse.FACTORS`; the others may have any.
    factor : str, default "gate"
        The factor whose levels are compared, all other choices as picked.
    selected : int, default 0
        Number of a choice set in `design()`, 0 for the default. Where it does not match, the middle one that does is
        shown.

    Examples
    --------
    >>> from errref import records
    >>> choices = Choices(records.read("multiverse"), picked={"batch": 8, "gate": "network"})
    >>> choices.counts
    {'match': 23, 'lower': 23, 'ninety': 1, 'printed': 0}
    >>> choices
    Choices(function='quartic', loss='squared', picked={'batch': 8, 'gate': 'network'})
    """

    _esm = script("widgets/multiverse.js")
    _fixed = synced(traitlets.Dict())

    function = synced(traitlets.Enum([*FUNCTIONS], "quartic"))
    loss = synced(traitlets.Enum([*LOSSES], "squared"))
    picked = synced(traitlets.Dict(key_trait=traitlets.Enum([*FACTORS])))
    factor = synced(traitlets.Enum([*FACTORS], "gate"))
    selected = synced(traitlets.Int(0, min=0, max=CHOICE_SETS - 1))

    def __init__(self, rows: Sequence[Row], **values: Any):
        self._found = {(name, loss): in_order_of_design(rows, name, loss) for name in FUNCTIONS for loss in LOSSES}
        super().__init__(**values)

    def __repr__(self) -> str:
        return f"Choices(function={self.function!r}, loss={self.loss!r}, picked={self.picked})"

    @traitlets.default("_fixed")
    def _hand_over(self) -> dict[str, Any]:
        """What the script must not say again: factors, bounds, colours and marks of the axis; and the rows, packed.

        What has an order is a list, since a notebook keeps no order of names.
        """
        return {
            "factors": [[name, [[level, str(level)] for level in of]] for name, of in FACTORS.items()],
            "groups": [*GROUPS.items()],
            "functions": [*FUNCTIONS],
            "readings": [*READINGS.items()],
            "printed": {name: mark(percent) for name, percent in REDUCTIONS.items()},
            "ninety": mark(NINETY),
            "lower": SHARES.until(LOWER),
            "axis": {"ends": ENDS, "marks": [[share, f"{100 * (1 - share):g} %"] for share in LEFT]},
            "colours": COLOURS,
            **written(self._found),
        }

    @traitlets.validate("picked")
    def _known(self, proposal: Any) -> dict[str, Any]:
        system(self.function, **proposal.value)  # complains of what there is not
        return proposal.value

    @property
    def found(self) -> Outcomes:
        """Losses of the systems that match, in the order of the curve: from the least reduction to the largest."""
        everything = self._found[self.function, self.loss]
        order = np.argsort(-SHARES.steps(left(everything)), kind="stable")
        chosen = [k for k in order if self.picked.items() <= everything.configs[k].items()]
        return Outcomes([everything.configs[k] for k in chosen], everything.base[chosen], everything.reflection[chosen])

    @property
    def counts(self) -> dict[str, int]:
        """How many systems match; how many of these lower the loss, by 90 %, and by the printed reduction."""
        shares = left(self.found)
        bounds = {"lower": LOWER, "ninety": rounded(NINETY)}
        if self.function in REDUCTIONS:
            bounds["printed"] = rounded(REDUCTIONS[self.function])
        return {"match": len(shares)} | {name: int(np.sum(shares <= most)) for name, most in bounds.items()}

    @property
    def config(self) -> dict[str, Any] | None:
        """Configuration of the selected system; None where no system matches."""
        matching = self.found.configs
        wanted = system(self.function, **design()[self.selected])
        return wanted if wanted in matching else matching[(len(matching) - 1) // 2] if matching else None


def left(found: Outcomes) -> Array:
    """Share of the loss of each system that is left."""
    return 1 - found.reductions()


def in_order_of_design(rows: Iterable[Row], function: str, loss: str) -> Outcomes:
    """Losses of all systems of a function, those of the k-th choice set at place k."""
    found = outcomes(rows, loss, function=function)
    place = {tuple(config[name] for name in FACTORS): k for k, config in enumerate(found.configs)}
    wanted = [tuple(choices.values()) for choices in design()]
    if missing := len(set(wanted) - set(place)):
        raise ValueError(f"{missing} systems of {function} have no rows; record them: errref run multiverse.")
    order = [place[key] for key in wanted]
    return Outcomes([found.configs[k] for k in order], found.base[order], found.reflection[order])


def written(found: dict[tuple[str, str], Outcomes]) -> dict[str, Any]:
    """The rows as short text, what reads it, and a note that says how well they are kept.

    Of every system: its share of each loss that is left; and, for the mean squared error, the share of each seed and
    the median loss of the general networks, whose steps are as fine on each function as its range allows.
    """
    levels = {name: list(of) for name, of in FACTORS.items()}
    sets = [[levels[name].index(level) for name, level in choices.items()] for choices in design()]
    shares, seeds, scales, (_, count) = {}, {}, {}, next(iter(found.values())).base.shape
    for name in FUNCTIONS:
        steps = [SHARES.steps(left(found[name, loss])) for loss in LOSSES]
        shares[name] = packed(np.transpose(steps), [SHARES.size] * len(LOSSES))
        squared = found[name, "squared"]
        single = [numbered(of) for of in SEED_SHARES.steps(squared.reflection / squared.base).tolist()]
        base = np.log10(np.median(squared.base, axis=1))
        low, step = base.min(), np.ptp(base) / (BASES - 1)
        records = np.c_[single, np.round((base - low) / step)].astype(int)
        seeds[name] = packed(records, [comb(SEED_SHARES.size + count - 1, count), BASES])
        scales[name] = [float(low), float(step)]
    coarsest = off(10 ** max(step for _, step in scales.values()))
    return {
        "alphabet": ALPHABET,
        "sets": packed(sets, [len(of) for of in levels.values()]),
        "shares": {**SHARES._asdict(), "text": shares},
        "seeds": {**SEED_SHARES._asdict(), "text": seeds, "count": count},
        "bases": {"count": BASES, "scale": scales},
        "note": f"Numbers are kept roughly here: shares of the loss within {SHARES.within} %, of single seeds within "
        f"{SEED_SHARES.within} %, base losses within {coarsest} %. Systems are alike if kept as the same share. "
        "Counts of systems that match, lower the loss or reach a reduction are exact.",
    }
