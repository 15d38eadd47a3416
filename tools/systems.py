"""Try this system, and write what came of it into the table of the page *Reproduce*.

    python -m errref.pins python -m tools.systems           this system, with the pins
    python -m errref.pins --none python -m tools.systems    the same, as its processor computes by itself
    python -m tools.systems --emulated qemu                 say that an emulator runs this, which a program cannot know
    python -m tools.systems --table FILE                    write into another table

A few cheap recorded rows of several studies are measured again, and compared by the rule of `errref.agreement`; so are
the parts of the numerics. That takes a minute, most of it for compiling; emulated, some minutes. The outcome is one of

equal digits       every number of every row returned to the last digit, and so did every part of the numerics
intervals agree    digits moved, and the rows ended where recorded seeds did
differs            rows ended elsewhere, or digits moved although no part did that they depend on

The exit status is 0, 0 and 1; it is 2 if nothing could be tried or written. The entry goes into `book/systems.yml`, in
the place of that of an earlier try of the same system. To have yours in the book, send what this prints.
"""

from __future__ import annotations

import argparse
import codecs
import importlib.util
import json
import locale
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from html import escape
from pathlib import Path
from typing import Any

import yaml
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name

from errref import agreement, pins, recorded, records
from errref.numerics import PARTS, WITHOUT_TORCH, numerics
from errref.provenance import machine, software
from errref.rowfiles import replace

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "book" / "systems.yml"
HEAD = "# Systems that were tried, one entry each. `python -m tools.systems` writes it; nothing here is typed.\n\n"
Entry = dict[str, Any]

# What is measured again: of studies without torch, rows that take a third of a second or less.
ROWS: dict[str, list[tuple[dict[str, Any], int]]] = {
    "functions": [
        ({"grid": 1, "function": "quartic", "hidden": 5, "n_samples": 128}, 0),
        ({"grid": 1, "function": "cubic", "hidden": 5, "n_samples": 256}, 1),
    ],
    "isodata": [
        ({"grid": 1, "function": "cubic", "min_distance": 1.0}, 0),
        ({"grid": 1, "function": "jump-piecewise", "n_clusters": 2}, 1),
    ],
    "intuition": [({"answer": "method", "loss": "squared", "start": "random", "gate": "logistic"}, 0)],
    "traps": [
        ({"study": "gaussian", "n": 4}, 0),
        ({"study": "plateau", "frequency": 2, "amplitude": 1.0}, 1),
    ],
    "multiverse": [
        (
            {"function": "linear", "hidden": 5, "n_samples": 64, "spacing": "ends", "noise": 0.0, "steps": 2000}
            | {"batch": "all", "init": "he", "errors": "worst half", "space": "output", "clusters": 3}
            | {"gate": "logistic", "rounds": 1},
            0,
        ),
        (
            {"function": "jump-linear", "hidden": 10, "n_samples": 1024, "spacing": "even", "noise": 0.1}
            | {"steps": 20000, "batch": "all", "init": "he", "errors": "worst half", "space": "both", "clusters": 3}
            | {"gate": "tree", "rounds": 1},
            1,
        ),
    ],
}


class TableError(ValueError):
    """A table that cannot be read: the sentence names the place and the mend."""


# -- what a system is, and what came of it -----------------------------------------------------------------------------

FIELDS = {  # of an entry, in the order in which they are written
    "system": str,
    "processor": str,
    "avx2": bool,
    "avx512f": bool,
    "emulated": str,  # by what; "no" if by nothing
    "python": str,
    "user": str,
    "space_in_path": bool,
    "locale": str,
    "encoding": str,
    "unpinned": list,  # in words, as `errref.pins.departures` gives them
    "day": date,
    "package": str,
    "source": str,
    "versions": dict,
    "numerics": dict,
    "numbers": dict,  # how many were measured again, how many of them moved, how many lie outside
    "refused": list,  # studies whose rows do not agree
    "seconds": float,
    "outcome": str,
}
COUNTS = {"measured", "moved", "outside"}
SAME = [*list(FIELDS)[: list(FIELDS).index("day")]]  # two tries with these in common are of one system


def here(emulated: str) -> Entry:
    """What this system is, as far as a program can tell."""
    features = get_host_cpu_features()  # asked of the processor, so that they are right where one is emulated
    libc = " ".join(platform.libc_ver())
    kind = machine() + (" within Windows" if "microsoft" in platform.uname().release.lower() else "")
    return {
        "system": f"{kind}, {libc}" if libc.strip() else kind,
        "processor": get_host_cpu_name(),
        "avx2": bool(features.get("avx2")),
        "avx512f": bool(features.get("avx512f")),
        "emulated": emulated,
        "python": platform.python_version(),
        "user": "root" if hasattr(os, "geteuid") and os.geteuid() == 0 else "ordinary",  # Windows has no such number
        "space_in_path": " " in str(ROOT),
        "locale": os.environ.get("LC_ALL") or os.environ.get("LANG") or "not set",
        "encoding": codecs.lookup(locale.getpreferredencoding(False)).name,
        "unpinned": pins.departures(os.environ),
    }


def measured() -> Entry:
    """What came of the rows and of the parts of the numerics on this system."""
    start = time.monotonic()
    compared = {study: agreement.measured_again(study, chosen(study)) for study in ROWS}
    every = [one for found in compared.values() for one in found]
    parts = PARTS if importlib.util.find_spec("torch") else WITHOUT_TORCH
    return {
        "numerics": numerics(parts),
        "numbers": {
            "measured": sum(len(one.fresh) for one in every),
            "moved": sum(len(one.other) for one in every),
            "outside": sum(len(one.outside) for one in every),
        },
        "refused": [study for study, found in compared.items() if not agreement.agree(found)],
        "seconds": round(time.monotonic() - start, 1),
    }


def chosen(study: str) -> list[records.Row]:
    """The recorded rows of a study that are measured again."""
    known = {row.key: row for row in records.read(study)}
    keys = [(study, json.dumps(config, sort_keys=True), seed) for config, seed in ROWS[study]]
    if lost := [key for key in keys if key not in known]:
        raise records.RecordError(f"{study} has no row {lost[0][1:]} any more; choose another in tools/systems.py.")
    return [known[key] for key in keys]


def tried(emulated: str = "no") -> Entry:
    """Try this system; its entry."""
    about = software()
    about["versions"] = dict(sorted(about["versions"].items()))
    entry = {**here(emulated), "day": datetime.now(UTC).date(), **about, **measured()}
    return entry | {"outcome": outcome(entry, recorded_numerics())}


def recorded_numerics() -> dict[str, str]:
    """How the machine rounds that recorded the rows; without torch, as long as no run tells that part."""
    told: dict[str, str] = {}
    for study in ("intuition", "fashion"):  # one without torch and one with it; both are read at once
        for run in records.runs(study).values():
            told |= recorded.numerics_of(run)
    return told


def moved(entry: Entry, there: dict[str, str]) -> list[str]:
    """The parts of the numerics in which a system rounds otherwise than the machine of the rows."""
    return [part for part, told in entry["numerics"].items() if there.get(part, told) != told]


def outcome(entry: Entry, there: dict[str, str]) -> str:
    """What came of a try, in words, from the other fields of its entry."""
    if entry["refused"]:
        return "differs"
    return "intervals agree" if entry["numbers"]["moved"] or moved(entry, there) else "equal digits"


# -- the table ---------------------------------------------------------------------------------------------------------


def load(path: Path = TABLE) -> list[Entry]:
    """The entries of a table, each checked for itself; none where there is no file."""
    if not path.exists():
        return []
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" from line {mark.line + 1} on" if mark else ""
        raise TableError(f"{path.name} cannot be read{place}: restore it from version control.") from None
    if not isinstance(entries, list):
        raise TableError(f"{path.name} is no list of entries: restore it from version control.")
    for number, entry in enumerate(entries, start=1):
        if flaw := _flaw(entry):
            raise TableError(f"Entry {number} of {path.name} {flaw}: try that system again, or restore the entry.")
    return entries


def _flaw(entry: Any) -> str | None:
    """What is wrong with an entry, in a few words."""
    if not isinstance(entry, dict) or entry.keys() != FIELDS.keys():
        return "has not the fields of one"
    wrong = [name for name, kind in FIELDS.items() if type(entry[name]) is not kind]
    if not wrong and (entry["numbers"].keys() != COUNTS or not entry["numerics"].keys() >= set(WITHOUT_TORCH)):
        wrong = ["numbers or numerics"]
    return f"has another kind of value for {wrong[0]}" if wrong else None


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries are tries of one system; the last digit of Python's version does not count."""
    short = [{**entry, "python": minor(entry)} for entry in (one, other)]
    return all(short[0][name] == short[1][name] for name in SAME)


def minor(entry: Entry) -> str:
    """The version of Python, such as 3.11."""
    return ".".join(entry["python"].split(".")[:2])


def with_entry(entries: Sequence[Entry], new: Entry) -> list[Entry]:
    """The entries with a new one, which takes the place of an earlier try of the same system."""
    places = [place for place, entry in enumerate(entries) if same(entry, new)]
    kept = [entry for entry in entries if not same(entry, new)]
    kept.insert(places[0] if places else len(kept), new)
    return kept


def as_yaml(entries: Sequence[Entry]) -> str:
    """Entries as they stand in the table, a field a line."""
    ordered = [{name: entry[name] for name in FIELDS} for entry in entries]
    texts = [yaml.safe_dump([entry], sort_keys=False, default_flow_style=None, width=120) for entry in ordered]
    return "\n".join(texts)


# -- the page ----------------------------------------------------------------------------------------------------------


def real(entry: Entry) -> bool:
    return bool(entry["emulated"] == "no")


def maker(entry: Entry) -> str:
    """Who made a processor, as the compiler's name for it tells."""
    name, x86 = entry["processor"], _x86(entry)
    if name.startswith(("znver", "bdver", "btver", "amdfam", "k8", "opteron", "athlon")):
        return "AMD"
    if x86 and not name.startswith(("generic", "x86-64")):
        return "Intel"
    return "Apple" if name.startswith("apple") else "x86-64" if x86 else "Arm"


def _x86(entry: Entry) -> bool:
    return any(name in entry["system"] for name in ("x86_64", "AMD64"))  # the second is Windows's name


# What matters; the page says of those without an entry that they were not tried.
KINDS: dict[str, Callable[[Entry], bool]] = {
    "Intel with AVX-512": lambda entry: real(entry) and maker(entry) == "Intel" and entry["avx512f"],
    "Intel without AVX-512, not emulated": lambda e: real(e) and maker(e) == "Intel" and not e["avx512f"],
    "AMD with AVX-512": lambda entry: real(entry) and maker(entry) == "AMD" and entry["avx512f"],
    "AMD without AVX-512, not emulated": lambda e: real(e) and maker(e) == "AMD" and not e["avx512f"],
    "Intel with AVX2 alone, emulated": lambda e: not real(e) and maker(e) == "Intel" and e["avx2"],
    "AMD with AVX2 alone, emulated": lambda e: not real(e) and maker(e) == "AMD" and e["avx2"],
    "x86-64 without AVX2": lambda entry: _x86(entry) and not entry["avx2"],
    "64-bit Arm, not emulated": lambda entry: real(entry) and maker(entry) == "Arm",
    "Apple silicon": lambda entry: entry["system"].startswith("Darwin arm64"),
    "Windows": lambda entry: entry["system"].startswith("Windows"),
    "Linux within Windows": lambda entry: "within Windows" in entry["system"],
    **{f"Python 3.{n}": lambda entry, version=f"3.{n}": minor(entry) == version for n in (11, 12, 13, 14)},
    "an ordinary user": lambda entry: entry["user"] == "ordinary",
    "a path with a space": lambda entry: entry["space_in_path"],
    "LANG=C": lambda entry: entry["locale"] == "C",
    "nothing pinned": lambda entry: entry["unpinned"] == [f"{', '.join(pins.PINS)} not set"],
}


def not_tried(entries: Sequence[Entry]) -> list[str]:
    """Kinds of systems without an entry; and a GPU, which no row of a try uses, as long as no recorded row does."""
    devices = {run["device"] for run in records.runs("fashion").values()}
    lacking = [kind for kind, matches in KINDS.items() if not any(map(matches, entries))]
    return lacking if devices - {"cpu"} else [*lacking, "a GPU, for the networks on images"]


def shown(entry: Entry, there: dict[str, str]) -> list[str]:
    """An entry as a line of the page: system, outcome, Python, user and place, pins."""
    widest = "AVX-512" if entry["avx512f"] else "AVX2" if entry["avx2"] else "no AVX2"
    chip = f"{maker(entry)} {entry['processor']}, {widest}" if _x86(entry) else maker(entry)
    system = [entry["system"].split()[0], chip, *([] if real(entry) else [f"emulated by {entry['emulated']}"])]
    python = [minor(entry), *([] if "torch" in entry["numerics"] else ["no torch"])]
    place = [entry["user"] if entry["user"] == "root" else "ordinary user"]
    place += ["path with a space"] if entry["space_in_path"] else []
    place += [f"LANG={entry['locale']}"] if entry["locale"] in ("C", "POSIX") else []
    place += [entry["encoding"]] if entry["encoding"] != "utf-8" else []
    own = [words.replace(" is ", "=").replace("'", "") for words in entry["unpinned"] if not words.endswith("not set")]
    pinned = ", ".join(["no", *own]) if entry["unpinned"] else "yes" if _x86(entry) else "no pins there"
    counts, parts = entry["numbers"], moved(entry, there)
    came = [outcome(entry, there)]
    if came != ["equal digits"]:
        came.append(f"{counts['moved']} of {counts['measured']} numbers moved, {counts['outside']} outside")
        came += [f"otherwise: {', '.join(parts)}"] if parts else []
    return [", ".join(system), "; ".join(came), ", ".join(python), ", ".join(place), pinned]


def in_words(entries: Sequence[Entry]) -> str:
    """How many systems gave what, those with all pins apart from the others, as two sentences."""
    there = recorded_numerics()
    kinds: dict[str, list[str]] = {"Of those with all pins": [], "Of the others": []}
    for entry in entries:
        pinned = _x86(entry) and entry["avx2"] and not entry["unpinned"]
        kinds["Of those with all pins" if pinned else "Of the others"].append(outcome(entry, there))
    return " ".join(
        f"{who}, {found.count('equal digits')} of {len(found)} gave equal digits; on {found.count('intervals agree')} "
        f"digits moved and intervals agree; {found.count('differs')} differ."
        for who, found in kinds.items()
    )


def as_html(entries: Sequence[Entry]) -> str:
    """The table of the page: a line for each system that was tried, and for each kind that matters and was not."""
    there = recorded_numerics()
    body = [shown(entry, there) for entry in entries]
    body += [[kind, "not tried", "–", "–", "–"] for kind in not_tried(entries)]
    head = "".join(f'<th scope="col">{name}</th>' for name in ("system", "outcome", "Python", "user, place", "pinned"))
    lines = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in body
    )
    caption = "Systems on which recorded rows were measured again, and those that were not tried"
    parts = f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody>"
    return f'<p>{in_words(entries)}</p><div class="scorecard systems"><table>{parts}</table></div>'


# -- the command -------------------------------------------------------------------------------------------------------


def main() -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.systems", description=__doc__, formatter_class=layout)
    parser.add_argument("--emulated", metavar="BY", default="no", help="what emulates this processor, such as qemu")
    parser.add_argument("--table", metavar="FILE", type=Path, default=TABLE, help="the table to write into")
    given = parser.parse_args()
    try:
        load(given.table)  # what is wrong with it is told before anything takes long
        entry = tried(given.emulated)
        replace(given.table, (HEAD + as_yaml(with_entry(load(given.table), entry))).encode())
    except (TableError, records.RecordError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(as_yaml([entry]), end="")
    return int(entry["outcome"] == "differs")


if __name__ == "__main__":
    sys.exit(main())
