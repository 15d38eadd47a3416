"""One file that holds all of this state of the project: source, rows, pins, the built book, checksums.

python -m tools.archive        writes _build/errref-VERSION.tar.gz

The same state gives the same bytes. The archive has no packages of others and no images: the pins name the first, and
`make data` finds the second, whose checksums stand in the source. It can be made from a checkout, or from an archive.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from errref import __version__
from errref.rowfiles import replace
from tools import metadata

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SUMS, CRATE = "SHA256SUMS", "ro-crate-metadata.json"
ADDED = (metadata.BUILT, CRATE)  # what an archive has beside the source
IDLE = (".buildinfo",)  # of Sphinx: when to build a page again


class ArchiveError(ValueError):
    """What prevents an archive, with the mend."""


def sources(root: Path, untracked: bool = False) -> list[str]:
    """The files of the source, in order: those in version control, or in the list of an unpacked archive.

    With ``untracked`` come those that the next commit could add.
    """
    if (root / ".git").exists():
        others = ("--others", "--exclude-standard") if untracked else ()
        names = git(root, "ls-files", "--cached", *others, "-z").split("\0")
        return sorted(name for name in names if name and (root / name).is_file())
    if (root / SUMS).exists():
        names = [line.partition("  ")[2] for line in (root / SUMS).read_text(encoding="utf-8").splitlines()]
        return sorted(name for name in names if not name.startswith(ADDED))
    raise ArchiveError("This is neither a checkout nor an unpacked archive: make the archive in one of them.")


def dated(root: Path) -> str:
    """The day of the last commit; that of an unpacked archive stands in its description."""
    if (root / ".git").exists():
        return git(root, "log", "-1", "--format=%cs").strip()
    graph = json.loads((root / CRATE).read_text(encoding="utf-8"))["@graph"]
    return next(entry["datePublished"] for entry in graph if entry["@id"] == "./")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=60).stdout


def contents(root: Path) -> dict[str, bytes]:
    """Everything in the archive by its path: source, built book, description, and the checksums of these."""
    book = root / metadata.BUILT
    if not (book / "index.html").exists():
        raise ArchiveError("The book is not built: run `make book` first.")
    built = sorted(path for path in book.rglob("*") if path.is_file() and path.name not in IDLE)
    files = {name: (root / name).read_bytes() for name in sources(root)}
    files |= {path.relative_to(root).as_posix(): path.read_bytes() for path in built}
    described = json.dumps(metadata.crate(files, dated(root)), indent=1, ensure_ascii=False)
    files[CRATE] = f"{described}\n".encode()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    return {**files, SUMS: sums.encode()}


def pack(files: dict[str, bytes], folder: str, date: str, root: Path) -> bytes:
    """The files in one folder of a compressed archive, whose bytes depend on nothing but these."""
    day = int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime = len(files[name]), day
            entry.mode = 0o755 if (root / name).exists() and (root / name).stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(stream.getvalue(), mtime=0)


def main() -> int:
    try:
        if stale := metadata.stale():
            raise ArchiveError(f"{', '.join(stale)} tell of another state: run `make metadata`, and commit them.")
        if (ROOT / ".git").exists() and (changed := git(ROOT, "status", "--porcelain", "--untracked-files=no")):
            print(f"The archive has changes that are not committed:\n{changed}", file=sys.stderr, end="")
        files, name = contents(ROOT), f"errref-{__version__}"
    except ArchiveError as fault:
        print(fault, file=sys.stderr)
        return 1
    packed = BUILD / f"{name}.tar.gz"
    replace(packed, pack(files, name, dated(ROOT), ROOT))
    print(f"{len(files)} files, {packed.stat().st_size / 1e6:.1f} MB, are in {packed.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
