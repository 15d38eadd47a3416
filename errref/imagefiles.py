"""Sets of images in IDX files: found on this machine, verified, fetched if they are nowhere, and kept.

The digits of MNIST and the garments of Fashion-MNIST lie in files of the same names, sizes and format: only their
content tells them apart. So a file is used only if the SHA-256 of its *decompressed* content is the known one;
the compressed content differs between those who distribute it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import secrets
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from errref import fetching

VARIABLE = "ERRREF_DATA"
MOST = 2**26  # bytes that are read of a file; the largest true one has 47 million


class DataError(ValueError):
    """A file that is not what its name says: the sentence names the file and the mend."""


class DataNotFound(FileNotFoundError):
    """Files that are nowhere: the sentence names every place that was looked at, and the mend."""


@dataclass(frozen=True)
class File:
    """One IDX file of a set.

    Parameters
    ----------
    name : str
        Without ``.gz``; a file may have either name, whatever its content is.
    holds : str
        What is in it, for sentences: "training images".
    sha256 : str
        Hexadecimal, of the decompressed content.
    shape : tuple of int
        Of the array of bytes in it: (n, height, width) or (n,).
    """

    name: str
    holds: str
    sha256: str
    shape: tuple[int, ...]

    @property
    def header(self) -> bytes:
        """The magic number and the shape, as the file begins: bytes 0, 0, type 8 (unsigned byte), dimensions."""
        return bytes([0, 0, 8, len(self.shape)]) + np.array(self.shape, ">u4").tobytes()


@dataclass(frozen=True)
class ImageSet:
    """A set of images: its files, where they come from, and the terms they come under.

    Parameters
    ----------
    name, title : str
        Its folder and word on the command line; what sentences call it.
    files : tuple of File
        Training images, training labels, test images, test labels.
    address : str
        A public folder that has each file as NAME.gz.
    package : tuple of str
        Command that leaves a package with the files (.deb or .tgz) in its working folder.
    licence, attribution : str
    system : str or None
        Folder of the system's own package, if there is one.
    """

    name: str
    title: str
    files: tuple[File, ...]
    address: str
    package: tuple[str, ...]
    licence: str
    attribution: str
    system: str | None = None


@dataclass(frozen=True)
class Found:
    """The verified content of a set.

    Parameters
    ----------
    arrays : tuple of ndarray
        One for each file, uint8, of the file's shape; not writable.
    where : str
        "found in FOLDER", or how it was fetched and where it is kept.
    remarks : tuple of str
        Sentences that a user should see: files that were passed over because they are broken, data that were not kept.
    """

    arrays: tuple[np.ndarray, ...]
    where: str
    remarks: tuple[str, ...]


def obtain(images: ImageSet, known: Sequence[ImageSet], *, fetch: bool = True, progress: bool = True) -> Found:
    """The set from the first place that has all its files; else fetched, and kept in the cache.

    The places in order: the folder that the variable ERRREF_DATA names, or its subfolder of the set's name; the
    folder of the system's package; the cache; a download; the package of a distribution. What lies in the named folder
    is used or is an error, for its user has chosen it. Broken files elsewhere are passed over with a remark, and
    replaced if they are in the cache.

    Parameters
    ----------
    images : ImageSet
    known : sequence of ImageSet
        Sets that a wrong file may belong to, so that the error can name it.
    fetch : bool, default=True
        False: only look on this machine.
    progress : bool, default=True
        Say on stderr what is being fetched, with a bar.

    Raises
    ------
    DataError
        If the named folder is none, or has files of the set but not all, or one that is not what its name says.
    DataNotFound
        If no place has the files.
    """
    reasons: list[str] = []
    broken: list[str] = []
    contents: dict[str, bytes] = {}
    for place, folder in _places(images):  # the cache is the last, so what it has of an incomplete set is not fetched
        contents, faults = _look(folder, images, known)
        if len(contents) == len(images.files):
            return _found(images, contents, f"found in {folder}", broken)
        lack = [file.name for file in images.files if file.name not in contents]
        if place == VARIABLE and (faults or contents or not folder.is_dir()):
            fault = (faults or [f"{folder} lacks {lack[0]}" if contents else f"{folder} is not a folder"])[0]
            mend = f"put the right files there, or into a subfolder {images.name}, or unset {VARIABLE}."
            raise DataError(f"{fault}; {mend}")
        broken += faults
        reasons.append(f"{place} ({'; '.join(faults) or f'no {lack[0]} in {folder}'})")
    if fetch:
        return _fetch(images, known, contents, reasons, broken, progress)
    raise _nowhere(images, reasons)


def available(images: ImageSet) -> Path | None:
    """The first folder that has a file of each name, or None: quick, since nothing is read or verified."""
    folders = (folder for _, folder in _places(images))
    return next((folder for folder in folders if all(_is_there(folder, file) for file in images.files)), None)


def _places(images: ImageSet) -> list[tuple[str, Path]]:
    """What each place is called, and its folder."""
    places = []
    if named := os.environ.get(VARIABLE):
        folder = Path(os.path.expanduser(named))  # which leaves ~ alone where nobody knows the home
        own = folder / images.name  # comes first: both sets may lie under one folder
        places.append((VARIABLE, own if any(_is_there(own, file) for file in images.files) else folder))
    if images.system is not None:
        places.append(("the system's package", Path(images.system)))
    return [*places, ("the cache", _cache(images))]


def _cache(images: ImageSet) -> Path:
    import pooch  # here, since most of those who import this module want no images

    with suppress(RuntimeError):  # where nobody knows the home of this user
        return pooch.os_cache("errref") / images.name
    return Path(tempfile.gettempdir(), "errref", images.name)


def _is_there(folder: Path, file: File) -> bool:
    return any(os.path.exists(folder / name) for name in (file.name, f"{file.name}.gz"))


def _look(folder: Path, images: ImageSet, known: Sequence[ImageSet]) -> tuple[dict[str, bytes], list[str]]:
    """Content of the files in a folder that are what they should be, and what is wrong with the others."""
    contents: dict[str, bytes] = {}
    faults = []
    for file in images.files:
        try:
            content = _read(folder, file, images, known)
            if content is not None:
                contents[file.name] = content
        except DataError as fault:
            faults.append(str(fault))
    return contents, faults


def _read(folder: Path, file: File, images: ImageSet, known: Sequence[ImageSet]) -> bytes | None:
    for path in (folder / file.name, folder / f"{file.name}.gz"):
        try:
            with path.open("rb") as stream:
                data = stream.read(MOST)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from None
        return verified(data, str(path), file, images, known)
    return None


def verified(data: bytes, place: str, file: File, images: ImageSet, known: Sequence[ImageSet]) -> bytes:
    """Decompressed content of a file, if it is the true one; else a DataError that says what was found at ``place``."""
    try:
        # two bytes say whether it is compressed: browsers decompress a file and leave its name as it was
        content = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError(f"{place} is a gzip file that is cut short or damaged") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest == file.sha256:
        return content
    asked, size = f"the {file.holds} of {images.title}", len(file.header) + math.prod(file.shape)
    for other in known:
        for true in other.files:
            if digest == true.sha256:
                raise DataError(f"{place} holds the {true.holds} of {other.title}, not {asked}")
    if content[:4] != file.header[:4]:
        raise DataError(f"{place} does not begin as an IDX file with {asked} does")
    if len(content) != size:
        raise DataError(f"{place} has {len(content)} bytes when decompressed, but {asked} have {size}")
    raise DataError(f"{place} was altered: its SHA-256 is {digest[:12]}..., that of {asked} {file.sha256[:12]}...")


def _found(
    images: ImageSet, contents: dict[str, bytes], where: str, broken: Sequence[str], unkept: Sequence[str] = ()
) -> Found:
    arrays = (np.frombuffer(contents[f.name], np.uint8, offset=len(f.header)).reshape(f.shape) for f in images.files)
    remarks = [f"{fault}; it was passed over: the set was {where}." for fault in broken]
    mend = "mend that, or the set is fetched again next time; XDG_CACHE_HOME can name another folder."
    return Found(tuple(arrays), where, (*remarks, *(f"{fault}; {mend}" for fault in unkept[:1])))


def _nowhere(images: ImageSet, reasons: list[str]) -> DataNotFound:
    mend = f"Run `errref data {images.name}` where there is a network, or put them into a folder that {VARIABLE} names."
    return DataNotFound(f"The files of {images.title} were not found. Looked at: {', '.join(reasons)}. {mend}")


# -- fetching ----------------------------------------------------------------------------------------------------------


def _fetch(
    images: ImageSet,
    known: Sequence[ImageSet],
    contents: dict[str, bytes],
    reasons: list[str],
    broken: list[str],
    progress: bool,
) -> Found:
    """The set, with what is missing in ``contents`` fetched and kept in the cache file by file."""
    files, cache = {file.name: file for file in images.files}, _cache(images)
    unkept: list[str] = []
    sources = (
        (f"a download from {urlsplit(images.address).hostname}", partial(fetching.downloaded, images.address)),
        (f"`{' '.join(images.package)}`", partial(fetching.unpacked, images.package)),
    )
    for how, source in sources:
        missing = [name for name in files if name not in contents]
        try:
            with closing(source(missing, progress)) as fetched:
                for name, data in fetched:
                    contents[name] = verified(data, name, files[name], images, known)
                    unkept += _keep(contents[name], cache / name)
        except (OSError, DataError) as fault:
            reasons.append(f"{how} ({fault})")
        else:
            kept = "not kept" if unkept else f"kept in {cache}"
            return _found(images, contents, f"fetched by {how} and {kept}", broken, unkept)
    raise _nowhere(images, reasons)


def _keep(content: bytes, path: Path) -> list[str]:
    """Put a verified file into the cache, whole or not at all; why that was not possible, if it was not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{secrets.token_hex(8)}.part")  # not by tempfile, whose files no other user may read
        try:
            part.write_bytes(content)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        path.with_name(f"{path.name}.gz").unlink(missing_ok=True)  # it was broken, or this would not be here
    except OSError as error:
        return [f"{path} cannot be written ({error.strerror})"]
    return []
