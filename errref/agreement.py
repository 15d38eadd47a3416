"""Whether rows that are measured again agree with the recorded ones: the one rule for it.

Where this machine rounds as the one that recorded a row, in every part that the row depends on, each number must return
to the last digit. Where it does not, long training ends elsewhere, as it does from another seed: there a row must end
where the recorded seeds of its configuration ended. A number is *outside* if it lies farther from their range than the
range is wide, on the scale of logarithms where all are positive. Single numbers do so by chance, for a rare end that no
recorded seed had, so that rows are judged together: of their numbers, at most one in as many as there are recorded
seeds may be outside, and one always.

How often that refuses rows wrongly, and how often it lets rows of another configuration pass, can be told from the
recorded rows, each judged by the other seeds: `tests/test_agreement.py` does.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from errref import experiments, numerics, pins, records
from errref.recorded import moved, numerics_of
from errref.records import Row

TIMES = re.compile("seconds")  # numbers of these names are not compared
LOSS_FACTOR, NO_LOSS = 10**0.05, 1e-6  # positive numbers this near are one end, and so are all below the second


@dataclass(frozen=True)
class Comparison:
    """A recorded row beside what was measured again.

    Parameters
    ----------
    row : Row
    fresh : dict of float
    moved : tuple of str
        The parts of the numerics, of those that the row depends on, in which this machine differs.
    other : tuple of str
        Names of the numbers that did not return to the last digit; those of seconds are left out.
    outside : tuple of str
        Those of them that end where no recorded seed did.
    seeds : int
        Recorded seeds of the configuration.
    """

    row: Row
    fresh: dict[str, float]
    moved: tuple[str, ...]
    other: tuple[str, ...]
    outside: tuple[str, ...]
    seeds: int


def compare(row: Row, fresh: dict[str, float], there: dict[str, str], peers: Iterable[Row] = ()) -> Comparison:
    """Compare a recorded row with what was measured again.

    Parameters
    ----------
    row : Row
    fresh : dict of float
        The numbers of the same configuration and seed.
    there : dict of str
        How the machine that recorded it rounds, as `errref.recorded.numerics_of` tells it.
    peers : iterable of Row, default=()
        The recorded rows of the same configuration.

    Raises
    ------
    RecordError
        If the row has numbers of other names than the fresh ones.

    Examples
    --------
    >>> row = Row("functions", {}, seed=3, numbers={"base": 0.25, "steps": 7})
    >>> compare(row, {"base": 0.5, "steps": 7}, there={"loops": "01234567"}).outside
    ('base',)
    """
    if fresh.keys() != row.numbers.keys():
        raise records.RecordError(
            f"{place(row)}: the row has other numbers than the experiment gives now; record again."
        )
    other = [name for name, old in row.numbers.items() if fresh[name] != old and not TIMES.match(name)]
    known = (row, *peers)
    ends = {name: [one.numbers[name] for one in known if name in one.numbers] for name in other}
    return Comparison(
        row=row,
        fresh=fresh,
        moved=tuple(moved(there, experiments.depends(row.experiment, row.config))),
        other=tuple(other),
        outside=tuple(name for name in other if is_outside(fresh[name], ends[name])),
        seeds=len({one.seed for one in known}),
    )


def is_outside(value: float, ends: Sequence[float]) -> bool:
    """Whether a number lies farther from the range of some ends than that is wide.

    Examples
    --------
    >>> is_outside(0.5, [1.0, 2.0]), is_outside(0.4, [1.0, 2.0])  # a range of a factor of two
    (False, True)
    >>> is_outside(1e-9, [1e-7]), is_outside(-1.5, [-1.0, 1.0]), is_outside(4, [3, 3])
    (False, False, True)
    """
    positive = min(value, *ends) > 0
    scaled = [math.log(max(x, NO_LOSS)) if positive else x for x in (value, *ends)]
    near = math.log(LOSS_FACTOR) if positive else NO_LOSS
    low, high = min(scaled[1:]), max(scaled[1:])
    return not 2 * low - high - near <= scaled[0] <= 2 * high - low + near


def agree(compared: Sequence[Comparison]) -> bool:
    """Whether rows that were measured again agree with the recorded ones, by the rule of this module."""
    exact, others = [c for c in compared if not c.moved], [c for c in compared if c.moved]
    allowed = max(1.0, sum(len(c.row.numbers) / c.seeds for c in others))
    return not any(c.other for c in exact) and sum(len(c.outside) for c in others) <= allowed


def measured_again(study: str, rows: Sequence[Row]) -> list[Comparison]:
    """Measure recorded rows of a study again, and compare.

    Parameters
    ----------
    study : str
        Name of the experiment.
    rows : sequence of Row
        As `errref.records.read` gives them.

    Returns
    -------
    list of Comparison
        In the order of the rows.
    """
    everything, runs, wanted = records.read(study), records.runs(study), {row.key: row for row in rows}
    work = [(row.config, row.seed) for row in rows]
    fresh = {row.key: row for row in records.evaluate(study, experiments.load(study).run, work, jobs=1, progress=False)}
    return [
        compare(
            row,
            fresh[key].numbers,
            numerics_of(runs[row.run]),
            [peer for peer in everything if peer.config == row.config],
        )
        for key, row in wanted.items()
    ]


def place(row: Row) -> str:
    """Where a row stands, in words."""
    return f"{row.experiment}.jsonl, seed {row.seed} of {row.config}"


def told(compared: Comparison) -> str:
    """What became of a row, in a sentence; that numerics moved comes first."""
    row, where = compared.row, place(compared.row)
    if compared.moved:
        where = f"numerics moved ({', '.join(compared.moved)}): {where}"
    if not compared.other:
        return f"{where}: every number returned."
    words = "; ".join(
        f"{n} was recorded as {row.numbers[n]!r} and is now {compared.fresh[n]!r}" for n in compared.other
    )
    far = f" No recorded seed ended so: {', '.join(compared.outside)}." if compared.moved and compared.outside else ""
    return f"{where}: {words}.{far}"


def setting() -> str:
    """How this machine computes, in a sentence: by the pins or not, and how it rounds without torch."""
    other, wanted = pins.departures(os.environ), pins.pinned({})
    how = "pinned" if wanted == pins.PINS else "pinned as far as this processor can" if wanted else "without pins here"
    rounding = ", ".join(f"{part} {code}" for part, code in numerics.numerics().items())
    return f"numerics {'not pinned (' + '; '.join(other) + ')' if other else how}: {rounding}"
