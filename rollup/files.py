"""Files and folders that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rollup.errors import FileError, TouchstoneError


@contextmanager
def writing(place: str | Path) -> Iterator[None]:
    """Around what writes to a place: what the system refuses becomes a FileError that names it."""
    try:
        yield
    except TouchstoneError:
        raise
    except OSError as error:
        why = error.strerror or error
        raise FileError(f"{place} can't be written ({why}); name a place that is writable and has room") from None


def exists(place: str | Path) -> bool:
    """Whether there is anything; nothing is where a name is too long for there to be."""
    return os.path.lexists(os.path.realpath(place))


def require_writable(place: str | Path) -> None:
    """Raise FileError if a file or folder can't be written at this place, as an empty folder is for a moment. Nothing stays: what takes
    long is begun afterwards.
    """
    target = Path(os.path.realpath(place))
    with writing(place):
        _named(target)
        above = target.parent if target.is_file() else target
        while not exists(above):
            above = above.parent
        if above.is_dir() or above != target:
            Path(tempfile.mkdtemp(prefix=".", dir=above)).rmdir()


def _named(path: Path) -> None:
    """OSError for a name that the file system has no room for."""
    with suppress(FileNotFoundError):
        path.lstat()


def write_file(place: str | Path, content: str | bytes) -> None:
    """Write bytes, or a text in UTF-8; folders above it are made. A file that is there is replaced once all of the new one is on the
    disk, and keeps its mode; what is no regular file (a device, a pipe) is written to. Raises FileError.
    """
    target, data = Path(os.path.realpath(place)), content.encode() if isinstance(content, str) else content
    with writing(place):
        if exists(target) and not target.is_file():
            with target.open("wb") as file:
                file.write(data)
            return
        with _folders_above(target):
            beside = _beside(target)
            try:
                with beside.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if target.exists():
                    beside.chmod(stat.S_IMODE(target.stat().st_mode))
                beside.replace(target)
            except BaseException:
                with suppress(OSError):
                    beside.unlink()
                raise


def made(folder: str | Path) -> Path:
    """The folder, made with all above it if it is missing. Raises FileError."""
    with writing(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@contextmanager
def whole_folder(place: str | Path, last: str) -> Iterator[Path]:
    """An empty folder to write files and folders of files into, which are at ``place`` when all are written.

    Into a folder that is there they are moved one by one, over files of the same name, the one named ``last`` at the end: others in it
    stay. Raises FileError; then nothing is at ``place`` that was not there before.
    """
    target = Path(os.path.realpath(place))
    with writing(place), _folders_above(target):
        there = target.is_dir()
        beside = _beside(target / last if there else target)
        try:
            beside.mkdir()
            yield beside
            if there:
                _moved_into(target, beside, last)
            else:
                beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _folders_above(target: Path) -> Iterator[None]:
    """Make the folders above a place, and remove them again if what is done there fails."""
    missing = [path for path in target.parents if not exists(path)]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for path in missing:
                path.rmdir()
        raise


def _moved_into(target: Path, source: Path, last: str) -> None:
    files = sorted((path for path in source.rglob("*") if path.is_file()), key=lambda path: path == source / last)
    pairs = [(path, target / path.relative_to(source)) for path in files]
    for _, to in pairs:
        if to.is_dir():
            raise IsADirectoryError(0, f"{to} is a folder")
    for path, to in pairs:
        to.parent.mkdir(exist_ok=True)
        path.replace(to)


def _beside(target: Path) -> Path:
    # Its own name may be as long as a name can be.
    _named(target)
    return target.with_name(f".{secrets.token_hex(8)}.new")
