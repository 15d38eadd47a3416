"""What others cite, catalogue and keep: the citation, licences, metadata, the archive, the source distribution."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.licenses import canonicalize_license_expression

import errref
from errref import claims, experiments, recorded
from errref.claims import Verdict
from errref.datasets import IMAGE_SETS
from tools import archive, metadata

ROOT = metadata.ROOT
CITE = metadata.read("CITATION.cff")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTALL = ["--disable-pip-version-check", "--quiet"]
HERE = ["--no-deps", "--no-build-isolation", "--no-index", *INSTALL]  # asks nobody


# -- the citation ------------------------------------------------------------------------------------------------------

# What version 1.2.0 of the format asks for, of the entries that are used here.
TOP = {"cff-version", "message", "type", "title", "version", "license", "abstract", "keywords", "authors", "references"}
TOP |= {"repository-code", "url", "date-released"}
SOURCE = {"type", "title", "authors", "year", "doi", "notes"}


def test_the_citation_has_the_fields_of_its_format():
    assert CITE["cff-version"] == "1.2.0" and CITE["type"] == "software"
    assert {"message", "title", "authors", "abstract"} <= set(CITE) <= TOP
    assert all(isinstance(word, str) for word in CITE["keywords"]) and len(set(CITE["keywords"])) > 3
    for source in CITE["references"]:
        assert {"type", "title", "authors"} <= set(source) <= SOURCE and isinstance(source["year"], int)
    for author in [*CITE["authors"], *(author for source in CITE["references"] for author in source["authors"])]:
        assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert re.fullmatch(r"10\.\d{4,9}/\S+", metadata.paper(CITE)["doi"])


@pytest.mark.long
def test_the_tool_of_the_format_accepts_the_citation_and_refuses_a_broken_one(tmp_path):
    """It needs an older library than the book's pins have, so it gets an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True, timeout=300)
    wanted = ["cffconvert==2.0.0", "setuptools<81"]
    pip = [tmp_path / "env" / "bin" / "python", "-m", "pip", "install", *INSTALL, *wanted]
    if subprocess.run(pip, capture_output=True, timeout=300).returncode:
        pytest.skip("cffconvert cannot be had here")
    tool = [tmp_path / "env" / "bin" / "cffconvert", "--validate", "-i"]
    assert subprocess.run([*tool, ROOT / "CITATION.cff"], capture_output=True, timeout=120).returncode == 0
    broken = tmp_path / "CITATION.cff"
    broken.write_text((ROOT / "CITATION.cff").read_text(encoding="utf-8").replace("authors:", "writers:", 1))
    assert subprocess.run([*tool, broken], capture_output=True, timeout=120).returncode != 0


def test_the_version_is_one_everywhere():
    assert CITE["version"] == errref.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest[1] == errref.__version__


def test_the_sources_are_cited_as_in_the_references_of_the_book():
    entries = (ROOT / "book" / "references.bib").read_text(encoding="utf-8").split("\n@")
    for source in CITE["references"]:
        (entry,) = (entry for entry in entries if f"title = {{{source['title']}}}" in entry)
        assert f"year = {{{source['year']}}}" in entry and source.get("doi", "") in entry


def test_an_address_stands_in_one_place():
    assert CITE.get("repository-code", "") == metadata.address()


# -- licences ----------------------------------------------------------------------------------------------------------


def test_the_licences_are_the_same_everywhere():
    code, text = CITE["license"], metadata.TEXT_LICENCE
    assert PROJECT["license"] == canonicalize_license_expression(f"{code} AND {text}")
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{code} License")
    page, readme = (ROOT / "LICENSES.md").read_text(encoding="utf-8"), (ROOT / "README.md").read_text(encoding="utf-8")
    assert code in page and text in page and metadata.LICENCES[text][0] in page
    assert f"Code: {code}. Text, figures and rows: {text}." in readme and "`LICENSES.md`" in readme


def test_the_terms_of_the_images_are_those_that_the_command_prints():
    page = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
    for images in IMAGE_SETS.values():
        assert f"| {images.licence} | {images.attribution} |" in page


@pytest.mark.parametrize(
    "name, licence",
    [
        ("errref/isodata.py", "MIT"),
        ("Makefile", "MIT"),
        ("book/_static/scroll.js", "MIT"),
        ("results/functions.jsonl", "CC-BY-4.0"),
        ("results/stopped/first/fashion.jsonl", "CC-BY-4.0"),
        ("book/functions.ipynb", "CC-BY-4.0"),
        ("README.md", "CC-BY-4.0"),
    ],
)
def test_a_file_has_the_licence_of_its_kind(name, licence):
    assert metadata.licence(name, CITE["license"]) == licence


# -- metadata ----------------------------------------------------------------------------------------------------------


def test_the_committed_metadata_are_what_the_command_makes_now():
    assert metadata.stale() == [], "run `make metadata`"


def test_metadata_that_tell_of_another_state_are_named(tmp_path, monkeypatch, capsys):
    for name in ("CITATION.cff", "_config.yml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "book").symlink_to(ROOT / "book")
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.setattr(metadata, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["metadata"])
    assert len(metadata.stale()) == 3 and metadata.main() == 0 and metadata.stale() == []
    cite = (tmp_path / "CITATION.cff").read_text(encoding="utf-8")
    (tmp_path / "CITATION.cff").write_text(cite.replace("version: 0.1.0", "version: 9.9.9"), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["metadata", "--check"])
    assert metadata.main() == 1
    assert ".zenodo.json is not what the project says" in capsys.readouterr().err


def test_no_identifier_is_invented():
    doi = metadata.paper(CITE)["doi"]
    for name, text in metadata.made().items():
        assert set(re.findall(r"\b10\.\d{4,9}/[^\s\"']+", text)) <= {doi}, name
        assert not re.search(r"orcid|@[\w-]+\.\w|affiliation", text, re.IGNORECASE), name


def test_zenodo_gets_what_it_asks_of_software():
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert {"title", "upload_type", "description", "creators", "access_right", "license"} <= set(zenodo)
    assert zenodo["upload_type"] == "software" and zenodo["license"] == CITE["license"]
    assert [creator["name"] for creator in zenodo["creators"]] == ["The errref developers"]


def test_codecheckers_get_every_chapter_and_every_file_of_rows():
    found = yaml.safe_load((ROOT / "codecheck.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for entry in found["manifest"]]
    made = {*(ROOT / "book").glob("*.ipynb"), *(ROOT / "results").glob("*.jsonl*")}
    assert sorted(files) == sorted(path.relative_to(ROOT).as_posix() for path in made)
    assert (ROOT / "codecheck.yml").read_text(encoding="utf-8").startswith("---\n")
    assert "codechecker" not in found, "nobody has checked it yet"


def test_a_public_address_reaches_all_metadata():
    url = "https://example.org/errref"
    assert metadata.zenodo(CITE, url)["related_identifiers"][-1]["identifier"] == url
    assert metadata.codecheck(CITE, url)["paper"]["reference"] == url
    assert metadata.rescience(CITE, url)["code"] == [{"url": url}]


def verdicts(*words):
    one = claims.get(claims.load(), "table-linear")
    return [Verdict(one, word, []) for word in words]


@pytest.mark.parametrize(
    "words, mark",
    [
        (("reproduced", "reproduced"), "[Re]"),
        (("reproduced", "not reproduced"), "[¬Re]"),
        (("not reproduced", "open"), "[¬Re]"),
        (("reproduced", "partly"), "[¬Re]"),
        (("reproduced", "refuted"), "[¬Re]"),
        (("reproduced", "open"), ""),
        (("open", "open"), ""),
    ],
)
def test_the_mark_of_the_title_follows_its_rule(words, mark):
    assert recorded.mark(verdicts(*words)) == mark


def test_the_title_bears_the_mark_of_the_recorded_verdicts(monkeypatch):
    assert set(recorded.HEADLINE) <= set(claims.load())
    words = {verdict.word for verdict in recorded.verdicts(recorded.HEADLINE)}
    title = yaml.safe_load((ROOT / "metadata.yaml").read_text(encoding="utf-8"))["title"]
    assert title == f"{recorded.mark()} {metadata.paper(CITE)['title']}".strip()
    assert title.startswith("[¬Re] ") == bool(words & {"not reproduced", "partly", "refuted"})
    monkeypatch.setattr(metadata, "mark", lambda: "")
    assert metadata.title(CITE) == metadata.paper(CITE)["title"]


# -- the archive -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small project that is built and committed."""
    root = tmp_path / "project"
    (root / "_build" / "html").mkdir(parents=True)
    (root / "_build" / "html" / "index.html").write_text("<p>The book</p>")
    (root / "_build" / "html" / ".buildinfo").write_text("of no use")
    (root / "_build" / "other").write_text("not part of it")
    (root / ".gitignore").write_text("_build/\n")
    for name in ("CITATION.cff", "_config.yml", "README.md", ".ci/run", "results/intuition.jsonl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((ROOT / name).read_bytes())
        (root / name).chmod((ROOT / name).stat().st_mode)
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one", "--date=2026-01-02"]):
        environment = os.environ | {"GIT_COMMITTER_DATE": "2026-01-02T12:00:00+00:00"}
        subprocess.run(["git", *command], cwd=root, check=True, env=environment, timeout=60)
    (root / "draft.md").write_text("not in version control")
    monkeypatch.setattr(metadata, "ROOT", root)
    monkeypatch.setattr(archive, "ROOT", root)
    monkeypatch.setattr(archive, "BUILD", root / "_build")
    monkeypatch.setattr(metadata, "stale", lambda: [])
    return root


def unpack(file, folder):
    with tarfile.open(file) as packed:
        packed.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


def test_an_archive_unpacks_to_the_state_with_checksums_that_hold(small, tmp_path, capsys):
    assert archive.main() == 0
    name = f"errref-{errref.__version__}"
    root = unpack(small / "_build" / f"{name}.tar.gz", tmp_path / "elsewhere")
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    source = {".gitignore", "CITATION.cff", "_config.yml", "README.md", ".ci/run", "results/intuition.jsonl"}
    assert root.name == name and found == source | {"_build/html/index.html", archive.CRATE, archive.SUMS}
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=root, capture_output=True, timeout=60).returncode == 0
    assert all((root / n).read_bytes() == (small / n).read_bytes() for n in source)
    assert os.access(root / ".ci" / "run", os.X_OK) and not os.access(root / "README.md", os.X_OK)
    (root / "README.md").write_text("changed")
    assert subprocess.run(check, cwd=root, capture_output=True, timeout=60).returncode == 1


def test_the_same_state_gives_the_same_bytes_and_an_unpacked_archive_gives_them_again(small, tmp_path, monkeypatch):
    packed = small / "_build" / f"errref-{errref.__version__}.tar.gz"
    assert archive.main() == 0
    first = packed.read_bytes()
    os.utime(small / "README.md", (0, 0))
    assert archive.main() == 0 and packed.read_bytes() == first
    root = unpack(packed, tmp_path / "elsewhere")
    for module in (archive, metadata):
        monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(archive, "BUILD", root / "_build")
    assert archive.main() == 0 and (root / "_build" / packed.name).read_bytes() == first
    (root / "README.md").write_text("changed")
    assert archive.main() == 0 and (root / "_build" / packed.name).read_bytes() != first


def test_an_archive_says_what_it_lacks_and_what_is_not_committed(small, capsys, monkeypatch):
    (small / "README.md").write_text("changed")
    assert archive.main() == 0 and "not committed:\n M README.md" in capsys.readouterr().err
    monkeypatch.setattr(metadata, "stale", lambda: ["codecheck.yml"])
    assert archive.main() == 1 and "codecheck.yml tell of another state" in capsys.readouterr().err
    monkeypatch.setattr(metadata, "stale", lambda: [])
    (small / "_build" / "html" / "index.html").unlink()
    assert archive.main() == 1 and "run `make book` first" in capsys.readouterr().err
    (small / ".git").rename(small / "elsewhere")
    (small / "_build" / "html" / "index.html").write_text("<p>The book</p>")
    assert archive.main() == 1 and "neither a checkout nor an unpacked archive" in capsys.readouterr().err


def test_a_disk_that_is_full_costs_no_earlier_archive(small, monkeypatch):
    assert archive.main() == 0
    packed = small / "_build" / f"errref-{errref.__version__}.tar.gz"
    before = packed.read_bytes()
    (small / "README.md").write_text("changed")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="No space left on device"):
        archive.main()
    assert packed.read_bytes() == before and not list((small / "_build").glob("*.new"))


def test_the_description_of_an_archive_is_a_research_object():
    files = {"README.md": b"one", "errref/isodata.py": b"two", "_build/html/index.html": b"three"}
    crate = metadata.crate(files, "2026-01-02")
    graph = {entry["@id"]: entry for entry in crate["@graph"]}
    assert len(graph) == len(crate["@graph"])
    assert graph["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    root = graph["./"]
    assert {"name", "description", "datePublished", "license"} <= set(root)
    assert {part["@id"] for part in root["hasPart"]} == {"README.md", "errref/isodata.py", "_build/html/"}
    assert graph["README.md"]["sha256"] == hashlib.sha256(b"one").hexdigest()
    assert graph["README.md"]["contentSize"] == "3" and graph["errref/isodata.py"]["encodingFormat"] == "text/x-python"
    links = {match for match in re.findall(r'\{"@id": "([^"]+)"\}', json.dumps(crate))}
    assert links - set(graph) == {"https://w3id.org/ro/crate/1.1"}, "every other link leads to an entry"
    assert all(author["@type"] in ("Person", "Organization") for i, author in graph.items() if i.startswith("#author"))


def test_an_archive_has_no_packages_and_no_images():
    names = archive.sources(ROOT) if (ROOT / ".git").exists() or (ROOT / archive.SUMS).exists() else []
    if not names:
        pytest.skip("neither a checkout nor an unpacked archive")
    assert not [name for name in names if name.endswith((".whl", ".zip", ".npz", ".deb", "-ubyte", "-ubyte.gz"))]
    assert {"Makefile", "constraints.txt", "book/claims.yml", "tools/archive.py"} <= set(names)
    assert {f"errref/experiments/{name}.py" for name in experiments.NAMES} <= set(names)


# -- the source distribution -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source distribution, and the wheel that is built of it elsewhere."""
    folder = tmp_path_factory.mktemp("dist")
    hatch = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder]
    subprocess.run(hatch, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (sdist,) = folder.glob("errref-*.tar.gz")
    wheel = [sys.executable, "-m", "pip", "wheel", *HERE, "-w", folder / "of_sdist", sdist]
    subprocess.run(wheel, check=True, capture_output=True, timeout=300)
    return sdist, next((folder / "of_sdist").glob("errref-*.whl"))


def test_the_source_distribution_gives_the_same_wheel_as_the_project(built, tmp_path):
    wheel = [sys.executable, "-m", "pip", "wheel", *HERE, "-w", tmp_path, ROOT]
    subprocess.run(wheel, check=True, capture_output=True, timeout=300)
    (direct,) = tmp_path.glob("errref-*.whl")
    one, other = ({n: z.read(n) for n in z.namelist()} for z in map(zipfile.ZipFile, (direct, built[1])))
    assert one == other and direct.name == built[1].name


def test_the_distributions_bring_licences_citation_and_changes(built):
    with tarfile.open(built[0]) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"LICENSE", "LICENSES.md", "CITATION.cff", "CHANGELOG.md", "README.md", "pyproject.toml"} <= names
    assert not [
        name for name in names if "__pycache__" in name or name.startswith((".", "_build")) and name != ".gitignore"
    ]
    wheel = zipfile.ZipFile(built[1])
    (about,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    text = io.TextIOWrapper(wheel.open(about), encoding="utf-8").read()
    assert f"\nVersion: {errref.__version__}\n" in text and f"\nLicense-Expression: {PROJECT['license']}\n" in text
    assert {"LICENSE", "LICENSES.md"} <= {Path(name).name for name in wheel.namelist()}


IMPORT = "import errref, sys; print(errref.__version__, errref.__file__.startswith(sys.prefix))"


def environment(folder, built, *options):
    """The interpreter of an empty environment with the wheel of the source distribution."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=300)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", *INSTALL, *options, built[1]]
    done = subprocess.run(install, capture_output=True, text=True, timeout=900)
    return python if done.returncode == 0 else pytest.skip(f"what it needs cannot be had here: {done.stderr[-300:]}")


def run(python, *arguments, folder):
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, *arguments], cwd=folder, env=bare, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_source_distribution_installs_and_imports_in_an_empty_environment(built, tmp_path):
    python = environment(tmp_path / "env", built, "--no-deps", "--no-index")
    assert run(python, "-c", IMPORT, folder=tmp_path) == f"{errref.__version__} True\n"


@pytest.mark.long
def test_the_source_distribution_works_with_what_it_asks_for(built, tmp_path):
    python = environment(tmp_path / "env", built, "-c", ROOT / "constraints.txt")
    assert run(python, "-c", IMPORT, folder=tmp_path) == f"{errref.__version__} True\n"
    command = python.with_name("errref")
    found = json.loads(run(python, command, "claims", "--json", folder=tmp_path))
    assert [claim["id"] for claim in found] == list(claims.load())
    assert "reproduced" in run(python, command, "check", "toy-global-minimum", folder=tmp_path)
