"""The command `errref`: the ledger as a table, a claim checked here, an experiment recorded, the images fetched."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from errref import __version__, claims, datasets, digits, experiments, imagefiles, records, report
from errref.claims import Claim
from errref.imagefiles import ImageSet
from errref.ledger import readings
from errref.records import Row

AGREES, DISAGREES, USAGE, PENDING = 0, 1, 2, 3
EXITS = (
    "exit status: 0 agrees, 1 disagrees, 2 usage or a file that cannot be used, 3 nothing to compare with yet, or the "
    "images are not here"
)
QUICK_SEEDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    given = _parser().parse_args(arguments)
    try:
        _here()
        if given.command in (_claims, _check):  # which may need no row; `run` makes the folder
            records.existing(given.results)
        return given.command(given)
    except BrokenPipeError:  # whoever read the output has seen enough: `errref.__main__.run` ends quietly
        raise
    except (OSError, ValueError, ImportError) as fault:  # LedgerError, RecordError; torch may be missing
        print(f"errref: {fault}", file=sys.stderr)
        missing = isinstance(fault, imagefiles.DataNotFound) or isinstance(fault.__cause__, imagefiles.DataNotFound)
        return PENDING if missing else USAGE
    except KeyboardInterrupt:
        print("errref: stopped; finished rows are kept, and the same command goes on from there.", file=sys.stderr)
        return 130


def _here() -> None:
    """Refuse to start in a folder that was removed, where libraries fail without a reason."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise FileNotFoundError("The current folder was removed; change to another one.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="errref", description=__doc__, epilog=EXITS)
    parser.add_argument("--version", action="version", version=f"errref {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser(
        "claims",
        help="the claims of the sources with their verdicts",
        description="List the claims of both sources: the paper's value, what was recorded, the verdict of the rule.",
        epilog="example: errref claims --chapter functions",
    )
    listing.add_argument("ids", nargs="*", metavar="ID", help="only these claims")
    listing.add_argument("--chapter", help="only the claims of this chapter")
    listing.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    _results_option(listing)
    listing.set_defaults(command=_claims)

    check = commands.add_parser(
        "check",
        help="measure one claim here, on seeds that are not recorded",
        description="Measure a claim here, on seeds that are not recorded; print paper | recorded | fresh | verdict. "
        "Claims about images are measured at a smaller scale (fewer images and epochs) and compared with recorded rows "
        "of that scale. Configurations that need a GPU are left out where there is none.",
        epilog=f"example: errref check table-quartic --seeds 3.  {EXITS}",
    )
    check.add_argument("id", metavar="ID", help="a claim; `errref claims` lists them")
    check.add_argument("--full", action="store_true", help="its second rule, of full scope")
    seeds = "fresh seeds, at least 2 (default: %(default)s)"
    check.add_argument("--seeds", type=_positive, default=QUICK_SEEDS, metavar="N", help=seeds)
    _results_option(check)
    _jobs_option(check)
    check.set_defaults(command=_check)

    run = commands.add_parser(
        "run",
        help="record an experiment, or go on recording it",
        description="Measure every configuration of an experiment on seeds 0 to N-1 and append a row each. "
        "Rows that stand already are not measured again, so a run that was stopped goes on where it was. "
        "Configurations that need a GPU stay pending where there is none. The study of images takes the "
        "longest: an hour or two on two cores. A cluster of your own takes part through Dask: start `dask scheduler` "
        "on one machine and `python -m errref.pins dask worker ADDRESS` on each, then name that ADDRESS here; rows are "
        "equal from either.",
        epilog="example: errref run functions --seeds 20.  "
        "example: errref run functions --backend dask --scheduler tcp://127.0.0.1:8786",
    )
    run.add_argument("name", metavar="NAME", help=f"one of {', '.join(experiments.NAMES)}")
    run.add_argument("--seeds", type=_positive, metavar="N", help="seeds 0 to N-1 (default: as many as the book has)")
    _results_option(run)
    _jobs_option(run)
    run.set_defaults(command=_run)

    pack = commands.add_parser(
        "pack",
        help="move the recorded rows of a large study into a compressed file",
        description="Move the rows of NAME.jsonl to the end of NAME.jsonl.gz. Everything reads both, and `errref run` "
        "goes on from both. No row is lost if this is killed; the same command then ends it.",
        epilog="example: errref pack functions --results my-rows",
    )
    pack.add_argument("name", metavar="NAME", help=f"one of {', '.join(experiments.NAMES)}")
    _results_option(pack)
    pack.set_defaults(command=_pack)

    data = commands.add_parser(
        "data",
        help="the sets of images: found, verified, fetched if missing",
        description="Say where the sets of images are and on what terms they come; fetch what is missing. "
        "They are looked for in the folder that the variable ERRREF_DATA names, or its subfolder of the set's name, "
        "in the folder of the system's own package, and in this user's cache. Then they are downloaded, or taken out "
        "of the package of a distribution, which is not installed. A file counts only if the SHA-256 of its "
        "decompressed content is the true one.",
        epilog="example: errref data fashion-mnist --no-fetch.  "
        "exit status: 0 all there, 2 usage or a file that cannot be used, 3 something is missing",
    )
    data.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(datasets.IMAGE_SETS)} (default: all)")
    data.add_argument("--no-fetch", action="store_true", help="only look on this machine")
    data.add_argument("--quiet", action="store_true", help="no progress bar")
    data.set_defaults(command=_data)
    return parser


def _results_option(parser: argparse.ArgumentParser) -> None:
    folder = "folder of the recorded rows (default: the project's own)"
    parser.add_argument("--results", type=Path, metavar="FOLDER", help=folder)


def _jobs_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=_positive, metavar="N", help="threads or processes (default: one per core)")
    where = "measure on threads or processes here, or on the workers of a Dask scheduler (default: %(default)s)"
    parser.add_argument("--backend", choices=("threads", "processes", "dask"), default="threads", help=where)
    address = "of the Dask scheduler, which prints it when it starts: tcp://HOST:8786"
    parser.add_argument("--scheduler", metavar="ADDRESS", help=address)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _claims(given: argparse.Namespace) -> int:
    found = report.verdicts(given.ids or None, given.results)
    chapters = {v.claim.chapter for v in found}
    if given.chapter and given.chapter not in chapters:
        raise ValueError(f"No such claim has the chapter {given.chapter!r}; there are {', '.join(sorted(chapters))}.")
    found = [v for v in found if given.chapter in (None, v.claim.chapter)]
    if given.json:
        print(json.dumps([report.as_object(v) for v in found], indent=2, allow_nan=False))  # in ASCII, for any terminal
    else:
        print(report.as_text(found))
    return AGREES


def _run(given: argparse.Namespace) -> int:
    module = experiments.load(given.name)
    means = _means(given, module)
    rules = {name: claim.rule_hash for name, claim in claims.rules(claims.load(), given.name).items()}
    seeds = given.seeds or module.SEEDS
    pending, device = _needing_gpu(module)
    work = [(config, seed) for seed in range(seeds) for config in module.configurations() if config not in pending]
    if pending:
        print(f"{len(pending)} configurations need a GPU and stay pending: {', '.join(map(str, pending))}")
    kept = {"rules": rules, "folder": given.results, "device": device}
    kept["depends"] = partial(experiments.depends, given.name)
    new = records.record(given.name, module.run, work, **kept, **means)
    print(f"{new} new rows of {len(work)} in {records.results_file(given.name, given.results)}")
    return AGREES


def _pack(given: argparse.Namespace) -> int:
    experiments.load(given.name)
    rows = records.pack(given.name, given.results)
    print(f"{rows} rows in {records.packed_file(records.results_file(given.name, given.results))}")
    return AGREES


def _means(given: argparse.Namespace, module: ModuleType) -> dict[str, Any]:
    """How to measure, as `records.evaluate` takes it."""
    if given.backend == "dask" and not given.scheduler:
        raise ValueError("--backend dask needs --scheduler ADDRESS; `dask scheduler` prints it, tcp://HOST:8786.")
    if given.scheduler and given.backend != "dask":
        raise ValueError("--scheduler is of use only with --backend dask; add that, or leave both out.")
    if given.scheduler and given.jobs:
        raise ValueError("--jobs counts threads of this machine; with --backend dask, `dask worker --nthreads N` does.")
    if given.scheduler and hasattr(module, "needs_gpu"):
        raise ValueError("This experiment depends on the images and the GPU of this machine; leave --backend dask out.")
    processes = given.backend == "processes"
    return {"jobs": given.jobs, "processes": processes, "scheduler": given.scheduler, "progress": not given.quiet}


def _needing_gpu(module: ModuleType) -> tuple[list[dict[str, Any]], str]:
    """Configurations of an experiment that this machine cannot measure, and the device that measures the others."""
    if not hasattr(module, "needs_gpu"):
        return [], "cpu"
    from errref.networks import device_name, has_gpu  # here: with it come numba and scikit-learn, --help needs neither

    return [] if has_gpu() else list(filter(module.needs_gpu, module.configurations())), device_name()


def _check(given: argparse.Namespace) -> int:
    claim = claims.get(claims.load(), given.id)
    if given.full:
        if claim.second is None:
            raise ValueError(f"Claim {claim.id!r} has no second rule; leave out --full.")
        claim = claim.second
    old = report.rows_of(claim, given.results)
    recorded = claims.judge(claim, old)
    print(f"{claim.label}: {claim.claim}\npaper ({claim.where}): {claim.paper or '–'}")
    if claim.rule is None or claim.kind == "untestable":
        print(f"verdict: {recorded.word}" + (f". {claim.note}" if claim.note else ""))
        return PENDING
    if claim.kind == "derived":
        for reading in recorded.readings:
            print(f"  {reading.name}: {digits.show(reading.value)}; {digits.holds(reading)}")
        print(f"verdict, derived here and now: {recorded.word}")
        return AGREES
    if given.seeds < 2:
        raise ValueError("--seeds must be at least 2: one seed has no interval.")
    small = claims.quick(claim)
    new = _measure(small, {row.seed for row in old}, given)
    for remark in report.remarks(claim, given.results):
        print(f"  ({remark})")
    if small is not claim:
        print(f"  (measured at a smaller scale, {claim.rule['quick']}, and compared with rows of that scale)")
    return _compare(small, old, new, recorded.word)


def _measure(claim: Claim, taken: set[int], given: argparse.Namespace) -> list[Row]:
    """Fresh rows of the configurations that the claim's readings use, on the first seeds that are not taken."""
    assert claim.experiment is not None
    module = experiments.load(claim.experiment)
    means = _means(given, module)
    first = max(taken, default=999) + 1
    used = claims.sample(claim, [config for config in module.configurations() if claims.uses(claim, config)])
    if not used:
        raise ValueError(f"No configuration of {claim.experiment!r} is what claim {claim.id!r} selects; mend its rule.")
    pending, _ = _needing_gpu(module)
    if pending and any(config in pending for config in used):
        print("  (what needs a GPU is pending: there is none here)")
    work = [(config, first + k) for k in range(given.seeds) for config in used if config not in pending]
    return list(records.evaluate(claim.experiment, module.run, work, **means))


def _compare(claim: Claim, old: list[Row], new: list[Row], verdict: str) -> int:
    """Print both side by side, and the recorded verdict; they agree where the intervals of every reading meet.

    The intervals that must meet are wider than those printed: a claim of many readings would otherwise disagree by
    chance alone (Bonferroni's correction).
    """
    recorded, fresh = claims.judge(claim, old), claims.judge(claim, new, seeds=2)
    wide = _family_wise(claim)
    pairs = zip(claims.judge(wide, old).readings, claims.judge(wide, new, seeds=2).readings, strict=True)
    apart = [_apart(one.interval, other.interval) for one, other in pairs]
    for k, (one, other) in enumerate(zip(recorded.readings, fresh.readings, strict=True)):
        both = f"recorded {digits.found(recorded, one)} n={one.n} | fresh {digits.found(fresh, other)} n={other.n}"
        print(f"  {one.name}: {both} | {digits.holds(one)}{'; the two do not agree' if apart[k] else ''}")
    if not any(r.n for r in recorded.readings):
        print(f"verdict on the fresh rows alone: {fresh.word} (nothing is recorded to compare with)")
        return PENDING
    print(f"verdict: {verdict}; fresh rows {'disagree' if any(apart) else 'agree'}")
    return DISAGREES if any(apart) else AGREES


def _family_wise(claim: Claim) -> Claim:
    """The claim with intervals so wide that all its readings together keep the rule's confidence."""
    assert claim.rule is not None
    miss = (1 - claim.rule["confidence"]) / len(readings(claim.rule))
    return replace(claim, rule={**claim.rule, "confidence": 1 - miss})


def _apart(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return one is not None and other is not None and (one[1] < other[0] or other[1] < one[0])


def _data(given: argparse.Namespace) -> int:
    wanted = [datasets.image_set(name) for name in given.names or datasets.IMAGE_SETS]
    ends = [_show(images, fetch=not given.no_fetch, progress=not given.quiet) for images in wanted]
    return USAGE if USAGE in ends else max(ends)


def _show(images: ImageSet, fetch: bool, progress: bool) -> int:
    """Print where a set is, its verified files and its terms; the exit status."""
    known = tuple(datasets.IMAGE_SETS.values())
    end, where, verified, remarks = AGREES, "not here", "", []
    try:
        found = imagefiles.obtain(images, known, fetch=fetch, progress=progress)
        where, verified, remarks = found.where, "  verified", list(found.remarks)
    except imagefiles.DataNotFound as fault:
        end, remarks = PENDING, [str(fault)]
    except imagefiles.DataError as fault:
        end, where, remarks = USAGE, "not usable", [str(fault)]
    print(f"{images.name}: {where}")
    for file in images.files:
        print(f"  {file.name:<23}  {file.holds:<15}  {' x '.join(map(str, file.shape)):<15}{verified}".rstrip())
    print(f"  licence: {images.licence}\n  source: {images.attribution}")
    for remark in remarks:
        print(f"errref: {remark}", file=sys.stderr)
    return end


if __name__ == "__main__":
    sys.exit(main())
