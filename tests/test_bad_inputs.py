"""What cannot work ends in a sentence, whatever is given: thousands of bad inputs for everything that one calls.

An input is answered, or refused by one of these: a `raise` of ours, or of scikit-learn, whose estimators are parts of
ours; a check in `sklearn.utils` or `sklearn.base`, of traitlets or of argparse, that we call for that purpose. An error
from anywhere else is a traceback that nobody wrote for its reader, and fails here. What is named (a claim, an
experiment, a set) is given as text, and what is counted stays small. `errref.exact.adam`, the compiled loop of a step,
takes arrays of numbers only and is left out.

`make test` tries the same few inputs every time; `make test-long` tries 100,000 new ones, prints how many of each kind
and the seed, which the variable SEED repeats.
"""

import contextlib
import copy
import datetime
import gzip
import io
import json
import linecache
import os
import random
import secrets
import tempfile
import traceback
import warnings
from collections import Counter
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn
import traitlets
import yaml
from scipy.sparse import csr_array, issparse
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from errref import claims, cli, datasets, exact, experiments, imagefiles, ledger, records, report, rowfiles
from errref.imagefiles import File, ImageSet
from errref.isodata import Isodata
from errref.networks import ConvClassifier, MixtureRegressor, ReluRegressor
from errref.records import Row
from errref.reflection import ErrorReflectionClassifier, ErrorReflectionRegressor
from errref.widgets.intuition import Trap
from errref.widgets.isodata import Iterations
from errref.widgets.playground import Playground
from errref.widgets.traps import Descent
from tests.conftest import ROOT
from tests.test_cli import LEDGER

ENTRIES = {}


def entry(share):
    """Keep a function that gives one bad input to one entry point, with its share of all inputs."""

    def keep(attempt):
        ENTRIES[attempt.__name__] = attempt, share
        return attempt

    return keep


# -- bad values --------------------------------------------------------------------------------------------------------

VALUES = [
    *(None, True, False, -1, 0, 1, 2, 3, -7, 0.5, 1.5, -0.5, 1e-300, 1e308, 10**400, np.nan, np.inf, -np.inf, 1j),
    *(
        "",
        "x",
        "random",
        "torch",
        "input",
        "both",
        "é",
        "1",
        b"x",
        (),
        (1, 2),
        ("a", None),
        [],
        [1.0],
        [[1.0, 2.0]],
        {},
        {"a": 1},
    ),
    *(
        object(),
        lambda *given: "nonsense",
        np.array(3),
        np.array([]),
        np.array([1, 2]),
        np.float32(0.5),
        np.int64(2),
        np.bool_(True),
    ),
    *(range(2), {1}, datetime.date(2026, 1, 1), np.datetime64("2026-01-01"), Isodata(2), DecisionTreeRegressor()),
]


def an_array(rng, dimensions=(0, 1, 2, 2, 2, 3)):
    """An array or what could be taken for one: of any shape and type, whole or with something amiss."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    shape = [rng.choice([0, 1, 2, 3, 8]) for _ in range(rng.choice(dimensions))]
    X = numbers.normal(size=shape) * rng.choice([1, 1, 1, 1e-200, 1e5, 1e200, 1e308])
    kind = rng.choice(["plain", "plain", "integer", "hole", "type", "sparse", "list", "ragged", "text", "object"])
    if kind == "integer":
        return numbers.integers(-2, 3, shape)
    if kind == "hole" and X.size:
        X.flat[rng.randrange(X.size)] = rng.choice([np.nan, np.inf, -np.inf])
    if kind == "type":
        with np.errstate(all="ignore"):
            return X.astype(rng.choice(["f2", "f4", "c16", "O", "U8", "S8", "?", "M8[s]", "g", "i1"]))
    if kind == "sparse" and X.ndim == 2 and X.size:
        return csr_array(X)
    if kind == "list":
        return X.tolist()
    if kind == "ragged":
        return [[1.0], [1.0, 2.0], 3.0][: rng.randint(1, 3)]
    if kind in ("text", "object"):
        fill = rng.choice(["word", "1.5", None, {}, [1], object()])
        return np.full(shape, fill, dtype=object) if shape else fill
    return X


def anything(rng):
    return rng.choice(VALUES) if rng.random() < 0.6 else an_array(rng)


def samples(rng):
    """Inputs and targets, of which both, one or none are as they should be."""
    n = rng.choice([1, 2, 5, 12])
    numbers = np.random.default_rng(rng.getrandbits(32))
    X, y = numbers.normal(size=(n, rng.choice([1, 1, 2]))), numbers.integers(0, 3, n)
    return (X if rng.random() < 0.6 else anything(rng)), (y if rng.random() < 0.6 else anything(rng))


def with_faults(rng, estimator):
    """The estimator, with up to two of its parameters replaced by anything."""
    names = sorted(estimator.get_params(deep=False))
    return estimator.set_params(**{name: anything(rng) for name in rng.sample(names, rng.randint(0, 2))})


def damaged(rng, data):
    """Bytes with something replaced, lost, doubled or put in between, or others altogether."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        place, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 4, 40])
        kind = rng.choice(["flip", "cut", "lose", "double", "insert", "line", "all"])
        if kind == "flip" and data:
            data[min(place, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[place:]
        elif kind == "lose":
            del data[place : place + length]
        elif kind == "double":
            data[place:place] = data[place : place + length]
        elif kind == "insert":
            data[place:place] = rng.choice(
                [rng.randbytes(length), b"\n", b"{}", b"null\n", b"\0", b"1e999", b'"', b": "]
            )
        elif kind == "line":
            lines = bytes(data).splitlines(keepends=True)
            rng.shuffle(lines)
            data = bytearray(b"".join(lines[: rng.randint(0, len(lines))]))
        elif rng.random() < 0.2:
            data = bytearray(rng.randbytes(rng.randrange(50)))
    return bytes(data)


# -- estimators --------------------------------------------------------------------------------------------------------


def used(rng, estimator):
    """Train an estimator on some samples, and ask it about others: the answers must be as many."""
    X, y = samples(rng)
    estimator.fit(X, y)
    answers = estimator.predict(X)
    assert len(answers) == (X.shape[0] if hasattr(X, "shape") else len(X))
    other = anything(rng)
    for method in ("predict", "score", "route", "predict_each", "predict_proba", "assign"):
        if hasattr(estimator, method) and rng.random() < 0.4:
            getattr(estimator, method)(*((other, y) if method in ("score", "assign") else (other,)))


@entry(8)
def isodata(rng):
    used(rng, with_faults(rng, Isodata(2, max_iter=5, random_state=0)))


@entry(8)
def reflection(rng):
    how = {"clusterer": Isodata(2, max_iter=4), "gate": KNeighborsClassifier(1), "random_state": 0}
    if rng.random() < 0.5:
        model = ErrorReflectionRegressor(DecisionTreeRegressor(max_depth=1), **how)
    else:
        model = ErrorReflectionClassifier(DecisionTreeClassifier(max_depth=1), **how)
    used(rng, with_faults(rng, model))


@entry(5)
def relu_network(rng):
    used(rng, with_faults(rng, ReluRegressor(2, steps=3, random_state=0)))


@entry(5)
def mixture(rng):
    used(rng, with_faults(rng, MixtureRegressor(2, 2, steps=3, random_state=0)))


@entry(2)
def network_for_images(rng):
    model = ConvClassifier(width=1, epochs=1, min_steps=0, batch_size=4, n_jobs=1, device="cpu", random_state=0)
    used(rng, with_faults(rng, model))


@entry(3)
def not_yet_trained(rng):
    kinds = (Isodata, ReluRegressor, MixtureRegressor, ConvClassifier, ErrorReflectionClassifier)
    rng.choice(kinds)().predict(anything(rng))
    raise AssertionError("it answers before it is trained")


# -- the exact trainer and the data ------------------------------------------------------------------------------------


@entry(10)
def exact_trainer(rng):
    n, H = rng.choice([1, 2, 5]), rng.choice([1, 3])
    x, y, weights, steps, rate = np.arange(n), np.ones(n), np.full(3 * H + 1, 0.5), 3, 0.1
    given = [x, y, None, weights, steps, rate]
    for place in rng.sample(range(len(given)), rng.randint(1, 2)):
        given[place] = anything(rng)
    x, y, sample_weight, weights, steps, rate = given
    prepared = exact.prepare(x, y, sample_weight)
    assert np.isfinite(prepared.moments).all() and len(prepared.x) == len(x) + 2
    how = rng.choice([exact.gradient, exact.train, exact.train_many])
    with np.errstate(all="ignore"):
        if how is exact.gradient:
            assert how(prepared, weights)[1].shape == np.shape(weights)
        else:
            assert how(prepared, weights, steps, rate)[0].shape == np.shape(weights)


@entry(3)
def data_of_functions(rng):
    use = rng.choice([datasets.even, datasets.two_tasks, partial(datasets.samples, np.square), datasets.toy])
    found = use(anything(rng))
    assert all(np.isfinite(part).all() for part in (found if isinstance(found, tuple) else (found,)))


@entry(2)
def names(rng):
    name = rng.choice(["", "x", "mnist", "fashion-", "toy", "../traps", "Functions", "é\n", "a" * 500])
    use = (datasets.available, datasets.image_set, experiments.load, partial(ledger.get, known_claims()))
    rng.choice([*use, lambda name: report.verdicts([name]), report.box])(name)
    raise AssertionError(f"{name!r} is known")


@cache
def known_claims():
    return claims.load()


# -- files -------------------------------------------------------------------------------------------------------------

PIXELS = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, *range(8)])
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 3])


def a_set():
    import hashlib

    files = [("images", PIXELS, (2, 2, 2)), ("labels", LABELS, (2,))]
    made = tuple(File(name, name, hashlib.sha256(data).hexdigest(), shape) for name, data, shape in files)
    return ImageSet("small", "a small set", made, "https://example.org/", ("false",), "none", "nobody")


SET = a_set()


@entry(20)
def image_files(rng):
    file, data = rng.choice([(SET.files[0], PIXELS), (SET.files[1], LABELS)])
    packed = rng.random() < 0.5
    given = damaged(rng, gzip.compress(data, mtime=0) if packed else data)
    if rng.random() < 0.2:
        given = gzip.compress(given)
    assert imagefiles.verified(given, "a file", file, SET, [SET]) == data  # else a DataError


@entry(2)
def folders_of_images(rng):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for file, data in zip(SET.files, (PIXELS, LABELS), strict=True):
            path = Path(folder) / (file.name + rng.choice(["", ".gz"]))
            kind = rng.choice(["right", "right", "damaged", "missing", "folder"])
            if kind == "folder":
                path.mkdir()
            elif kind != "missing":
                path.write_bytes(data if kind == "right" else damaged(rng, data))
        patch.setenv(
            imagefiles.VARIABLE, rng.choice([folder, folder, f"{folder}/none", "\0" if rng.random() < 0 else "~"])
        )
        patch.setenv("XDG_CACHE_HOME", f"{folder}/cache")
        found = imagefiles.obtain(SET, [SET], fetch=False, progress=False)
        assert [array.shape for array in found.arrays] == [(2, 2, 2), (2,)]


@cache
def recorded():
    """A results file of six rows, and its rows."""
    with tempfile.TemporaryDirectory() as folder:
        work = [({"width": width}, seed) for width in (1, 2) for seed in range(3)]
        how = {"rules": {}, "folder": folder, "jobs": 1, "progress": False}
        records.record("study", lambda config, seed: {"loss": seed / 3, "n": config["width"]}, work, **how)
        return (Path(folder) / "study.jsonl").read_bytes(), records.read("study", folder)


@entry(12)
def files_of_rows(rng):
    data, rows = recorded()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.jsonl"
        if rng.random() < 0.3:
            rowfiles.packed_file(file).write_bytes(damaged(rng, gzip.compress(data)))
        else:
            file.write_bytes(damaged(rng, data))
        found = records.read("study", folder)
        assert all(row in rows for row in found)  # none that was never recorded
        records.runs("study", folder)


@entry(3)
def lines_of_rows(rng):
    """Lines that carry a right check sum, but are none that we write."""
    line = json.loads(recorded()[0].splitlines()[rng.choice([0, 1])])
    del line["check"]
    inside = line["row"] if "row" in line and rng.random() < 0.7 else line
    junk = [None, 1, "x", [], {}, True, [1], {"a": [1]}]
    if rng.random() < 0.5:
        inside[rng.choice([*inside, "new"])] = rng.choice(junk)
    else:
        del inside[rng.choice([*inside])]
    with tempfile.TemporaryDirectory() as folder:
        first = recorded()[0].splitlines(keepends=True)[0].decode()
        text = rng.choice(["", first]) + rowfiles._encode(line if rng.random() < 0.9 else rng.choice(junk[-3:-2]))
        (Path(folder) / "study.jsonl").write_text(text)
        for row in records.read("study", folder):
            assert isinstance(row, Row)
        records.runs("study", folder)


@entry(3)
def measurements(rng):
    """An experiment that returns anything, of anything as configuration and seed."""
    config = {"width": anything(rng)} if rng.random() < 0.5 else {"width": 1}
    seed = anything(rng) if rng.random() < 0.3 else 0
    found = {"loss": anything(rng)} if rng.random() < 0.5 else anything(rng)
    with tempfile.TemporaryDirectory() as folder:
        how = {"rules": {}, "folder": folder, "jobs": 1, "progress": False}
        records.record("study", lambda config, seed: found, [(config, seed)], **how)
        (row,) = records.read("study", folder)
        assert row.config == config and row.seed == seed and set(row.numbers) == set(found)


LEDGER_TEXT = (ROOT / "book" / "claims.yml").read_text(encoding="utf-8")
CLAIMS = yaml.safe_load(LEDGER_TEXT)


@entry(12)
def texts_of_ledgers(rng):
    """The text of one claim of the ledger, damaged."""
    claim = yaml.safe_dump([rng.choice(CLAIMS)], allow_unicode=True)
    yaml_words = [b"!!map x", b"!!set [1]", b"&a [*a]", b"*b", b"<<: 1", b"? [a]", b"!!python/name:os.system", b"%TAG"]
    data = damaged(rng, claim.encode())
    if rng.random() < 0.4:
        place = rng.randrange(len(data) + 1)
        data = data[:place] + rng.choice(yaml_words) + data[place:]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.yml"
        file.write_bytes(data)
        judged(claims.load(file))


@entry(12)
def values_in_ledgers(rng):
    """A claim of the ledger with one of its values replaced, removed, renamed or added."""
    claim = copy.deepcopy(rng.choice(CLAIMS))
    inside, key = rng.choice([(part, key) for part in parts(claim) for key in part])
    words = [*sorted(ledger.RULE_FIELDS), *ledger.TEXTS, *ledger.KINDS, *ledger.BOUNDS, *ledger.STATISTICS]
    plain = [
        *words,
        "functions.run",
        None,
        True,
        0,
        1,
        -1,
        2,
        2.5,
        np.nan,
        np.inf,
        10**30,
        "",
        "x",
        datetime.date(2026, 1, 1),
    ]
    value = rng.choice([rng.choice(plain), [rng.choice(plain)], {rng.choice(plain): rng.choice(plain)}, [], {}, [{}]])
    kind = rng.choice(["replace", "remove", "rename", "add"])
    if kind == "remove":
        del inside[key]
    elif kind == "rename":
        inside[rng.choice(plain)] = inside.pop(key)
    else:
        inside[rng.choice(plain) if kind == "add" else key] = value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.yml"
        file.write_text(yaml.dump([claim], allow_unicode=True), encoding="utf-8")
        judged(claims.load(file))


def parts(value):
    """Every mapping in a nested value that has something in it."""
    found = [part for inner in value.values() if isinstance(inner, dict) for part in parts(inner)]
    return [value, *found] if value else []


def judged(loaded):
    """Judge each claim on rows as its rule selects them, and print what was found as all pages do."""
    for first in loaded.values():
        for claim in filter(None, (first, first.second)):
            verdict = claims.judge(claim, rows_for(claim))
            json.dumps(report.as_object(verdict), allow_nan=False)
            assert report.as_text([verdict]) and report.Box([verdict])._repr_html_() and len(claim.rule_hash) == 12


def rows_for(claim):
    if claim.rule is None or claim.kind == "derived":
        return []
    readings = ledger.readings(claim.rule).values()
    names = {part[key] for part in readings for key in ("measure", "against") if key in part}
    configs = [part.get(key, {}) for part in readings for key in ("select", "than")]
    return [Row(claim.experiment, config, seed, dict.fromkeys(names, 1)) for config in configs for seed in range(3)]


# -- what is moved and typed -------------------------------------------------------------------------------------------


@entry(4)
def figures_that_move(rng):
    figure = rng.choice(moving())
    name = rng.choice([name for name, trait in figure.traits(sync=True).items() if name[0] != "_" and name != "layout"])
    before, value = getattr(figure, name), anything(rng)
    try:
        setattr(figure, name, value.toarray() if issparse(value) else value)  # which knows no comparison with a text
    except traitlets.TraitError:
        assert str(getattr(figure, name)) == str(before)
        raise
    assert name in repr(figure.traits()) and (value is None or getattr(figure, name) is not None)
    setattr(figure, name, before)


@cache
def moving():
    return [Trap(), Iterations(), Playground(), Descent()]


WORDS = [
    *("claims", "check", "run", "pack", "data", "--json", "--chapter", "--results", "--seeds", "--jobs", "--full"),
    *("--quiet", "--no-fetch", "--help", "--version", "--backend", "threads", "dask", "-x", "--", "", "é", "\n", "\0"),
    *("functions", "traps", "low-loss", "lost", "proof", "later", "human", "fashion-mnist", "nothing", "../functions"),
    *("0", "1", "2", "-1", "1.5", "1e3", "²", "١", "9" * 5000, "nan"),
]


@entry(12)
def arguments(rng):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        given = [rng.choice(WORDS[:5]), *(rng.choice(WORDS) for _ in range(rng.randint(0, 4)))]
        if given[0] == "data":
            given.append("--no-fetch")
        elif rng.random() < 0.5:
            given += ["--results", rng.choice([folder, folder, f"{folder}/new", "/dev/null", "/dev/null/x"])]
        patch.chdir(folder)
        patch.setattr(records, "packaged", Path(folder).joinpath)  # never the recorded rows of the project
        patch.setattr(claims, "load", lambda: {claim.id: claim for claim in LEDGER})
        patch.setattr(experiments, "load", study)
        patch.setenv("XDG_CACHE_HOME", f"{folder}/cache")
        patch.delenv(imagefiles.VARIABLE, raising=False)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = cli.main(given)
            except SystemExit as end:  # argparse
                status = end.code
    said = err.getvalue()
    assert status in (cli.AGREES, cli.DISAGREES, cli.USAGE, cli.PENDING), given
    assert "Traceback" not in said + out.getvalue(), given
    if status == cli.USAGE:
        assert said.startswith(("errref: ", "usage: errref")) and len(said.split()) > 3, (given, said)
    else:
        assert out.getvalue(), given
    return "refused" if status == cli.USAGE else "answered"


def study(name):
    """A cheap experiment in the place of two."""
    if name not in ("functions", "traps"):
        raise ValueError(f"There is no experiment {name!r}: known are functions, traps.")
    configs = [{"function": "linear"}, {"function": "cubic"}]
    proof = [{"reading": "at 0", "value": "0 = 0", "holds": True}]

    def run(config, seed):
        return {"loss": 1 + seed % 3 / 10}

    return SimpleNamespace(SEEDS=2, run=run, configurations=lambda: configs, proof=lambda: proof)


# -- the outcome -------------------------------------------------------------------------------------------------------

KINDS = (ValueError, TypeError, OSError, FloatingPointError, NotFittedError, traitlets.TraitError)
CHECKS = [Path(sklearn.__file__).parent / "utils", Path(sklearn.__file__).parent / "base.py"]
CHECKS.append(Path(traitlets.__file__).parent)


def fault_of(error):
    """Why an error is none that was written for its reader, or an empty text."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    file, line = Path(last.filename), linecache.getline(last.filename, last.lineno).strip()
    ours = file.is_relative_to(ROOT / "errref") and line.startswith("raise ")
    known = any(file.is_relative_to(folder) for folder in CHECKS)
    known |= file.is_relative_to(CHECKS[0].parent) and line.startswith("raise ")
    if not (ours or known):
        return f"{file.name}, line {last.lineno}: {line}"
    if not isinstance(error, KINDS) or len(str(error).split()) < 4:
        return "it is no sentence"
    return ""


def outcome(name, key):
    """Try one input: "answered", "refused", or what is wrong, with the key that makes the input again."""
    attempt, _ = ENTRIES[name]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return attempt(random.Random(key)) or "answered"
    except Exception as error:
        fault = "a wrong answer" if isinstance(error, AssertionError) else fault_of(error)
        return f"{key}: {fault}: {type(error).__name__}: {error}" if fault else "refused"


def tried(start, total, share=1.0):
    """Count the outcomes of so many inputs, spread over the entry points by their shares."""
    whole = sum(share for _, share in ENTRIES.values())
    for name, (_, share) in ENTRIES.items():
        yield name, Counter(outcome(name, f"{start}-{name}-{k}") for k in range(-(-total * share // whole)))


def test_an_error_that_is_not_written_for_its_reader_is_found():
    def raised(function):
        try:
            function()
        except Exception as error:
            return error

    assert "np" in fault_of(raised(lambda: datasets.FUNCTIONS["linear"]("x")))
    assert fault_of(raised(lambda: experiments.load("x"))) == ""
    assert fault_of(raised(lambda: Isodata().fit([[np.nan]]))) == ""
    assert fault_of(raised(lambda: [][0]))


def test_bad_inputs_end_in_a_sentence():
    counts = dict(tried("make test", 700))
    assert sum(counts.values(), Counter()).total() >= 700
    assert {outcome for count in counts.values() for outcome in count} == {"answered", "refused"}
    assert all(count["refused"] for count in counts.values())


@pytest.mark.long
def test_a_hundred_thousand_bad_inputs_end_in_a_sentence(capsys):
    start, total = os.environ.get("SEED", secrets.token_hex(4)), Counter()
    for name, count in tried(start, 100_000):
        total += count
        with capsys.disabled():
            print(f"\n{name}: {dict(count)}", end="")
    with capsys.disabled():
        print(f"\nSEED={start}: {total.total()} inputs, {dict(total)}")
    assert total.total() >= 100_000 and set(total) == {"answered", "refused"}
