"""Files from elsewhere: downloaded, or taken out of the package of a distribution.

What comes is handed over as it came, in memory; whoever asked for it verifies it. All that can go wrong on the way is
an OSError with a short reason.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from tqdm import tqdm

Pieces = Generator[tuple[str, bytes], None, None]

MOST = 2**26  # bytes that are taken out of an archive for one file
ANSWER = 30  # seconds that a server may be silent
PATIENCE = 600  # seconds that a command may take


def downloaded(address: str, names: Sequence[str], progress: bool) -> Pieces:
    """Each NAME with the bytes of ``address`` + NAME.gz, as compressed as they come.

    Parameters
    ----------
    address : str
        Of a folder, with the slash at its end.
    names : sequence of str
    progress : bool
        A bar for each file on stderr.
    """
    import pooch  # here, since it is needed once in the life of a machine

    for name in names:
        data = io.BytesIO()
        # pooch sets the bar's total, but asks first whether the bar is true, and a bar without a total cannot say
        with tqdm(total=1, desc=name, unit="B", unit_scale=True, leave=False, disable=not progress) as bar:
            load = pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=ANSWER)
            try:
                load(f"{address}{name}.gz", data, None)
            except OSError as error:  # any error of requests; their texts are long and full of addresses
                answer = getattr(error, "response", None)
                why = type(error).__name__ if answer is None else f"answer {answer.status_code}"
                raise OSError(f"{name}: {why}") from None
        yield name, data.getvalue()


def unpacked(command: Sequence[str], names: Sequence[str], progress: bool) -> Pieces:
    """Each NAME with the bytes of the file NAME or NAME.gz, in any folder of a package.

    Nothing is installed, no root is needed, and no path that stands in the package is written to.

    Parameters
    ----------
    command : sequence of str
        Leaves a package (.deb or .tgz) in its working folder, which is a temporary one.
    names : sequence of str
    progress : bool
        The command on stderr, before it is run.
    """
    wanted = set(names)
    with tempfile.TemporaryDirectory(prefix="errref-") as folder:
        if progress:
            print(f"fetching: {' '.join(command)}", file=sys.stderr)
        _run(command, folder)
        packages = [path for path in Path(folder).iterdir() if path.suffix in (".deb", ".tgz")]
        if len(packages) != 1:
            raise OSError("it left no package")
        tar = ("dpkg-deb", "--fsys-tarfile", str(packages[0]))
        archive = _run(tar, folder) if packages[0].suffix == ".deb" else packages[0].read_bytes()
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as members:
                for member in members:
                    name = PurePosixPath(member.name).name.removesuffix(".gz")
                    stream = members.extractfile(member) if member.isfile() and name in wanted else None
                    if stream is not None:
                        wanted.remove(name)
                        yield name, stream.read(MOST)
        except (tarfile.TarError, zlib.error, EOFError):
            raise OSError("its package is damaged") from None
    if wanted:
        raise OSError(f"its package has no {min(wanted)}")


def _run(command: Sequence[str], folder: str) -> bytes:
    """What a command prints, run in a folder; its group of processes ends with it."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise OSError(f"{command[0]} cannot be run: {error.strerror}") from None
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    except BaseException as error:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)  # its children too: they hold its output open
            else:
                process.kill()
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise OSError(f"{command[0]} took more than {PATIENCE} s") from None
        raise
    if process.returncode:
        said = [line for line in errors.decode(errors="replace").splitlines() if line.strip() and line[:2] != "W:"]
        raise OSError(f"{command[0]}: {said[0][:120]}" if said else f"{command[0]} ended with {process.returncode}")
    return output
