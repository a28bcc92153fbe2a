"""A program as it travels: a plain tar of its folder, and a folder of programs by id.

An archive holds ``manifest.json`` and ``constants/<root>.bin``, regular files, nothing else. What comes from elsewhere is
written beside its place and moved there only when it was loaded, has the expected id and passed the audit.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from rollup.audit import audit
from rollup.errors import EncodingError, ProgramError
from rollup.files import made, writing
from rollup.form.program import MANIFEST, Program
from rollup.links import link_constants
from rollup.types import ModelId, Root

CHUNK_BYTES = 1 << 18
ABANDONED_SECONDS = 3600
"""Something that came in halfway and is older than this belongs to a process that was killed."""

_CONSTANT = re.compile(r"constants/[0-9a-f]{64}\.bin")
_ID = re.compile(r"[0-9a-f]{64}")
_INCOMING = ".incoming-"

Admit = Callable[[Program], object]
"""Raises a ProgramError for a program that is not to be trusted."""


@dataclass(frozen=True)
class ArchiveLimits:
    """The largest archive that is taken: bytes of all files, of the manifest, and how many constants."""

    total_bytes: int = 4 << 30
    manifest_bytes: int = 16 << 20
    constants: int = 10_000


LIMITS = ArchiveLimits()


def pack(folder: str | Path) -> Iterator[bytes]:
    """The archive of a saved program, in pieces; equal folders give equal bytes. Raises EncodingError if there is none."""
    source = Path(folder)
    constants = sorted(path for path in (source / "constants").glob("*.bin"))
    for path in [source / MANIFEST, *constants]:
        name = path.relative_to(source).as_posix()
        if path.is_symlink() or not path.is_file():
            raise EncodingError(f"{path} is no regular file; give the folder that a model was saved to")
        if name == MANIFEST or _CONSTANT.fullmatch(name):
            yield from _packed(path, name)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _packed(path: Path, name: str) -> Iterator[bytes]:
    entry = tarfile.TarInfo(name)
    with path.open("rb") as file:
        left = entry.size = path.stat().st_size
        yield entry.tobuf(tarfile.GNU_FORMAT)
        while left:
            data = file.read(min(left, CHUNK_BYTES))
            if not data:
                raise EncodingError(f"{path} became shorter while it was read; save the model again")
            left -= len(data)
            yield data
    yield bytes(-entry.size % tarfile.BLOCKSIZE)


class _Stream:
    """Reads exact lengths from pieces of any length; raises EncodingError when they end early."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def some(self, most: int) -> bytes:
        """1 to ``most`` bytes; none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = bytes(piece)
        data, self._rest = self._rest[:most], self._rest[most:]
        return data

    def pieces(self, length: int) -> Iterator[bytes]:
        while length:
            data = self.some(min(length, CHUNK_BYTES))
            if not data:
                raise EncodingError("the archive ends in the middle of a file; fetch it again")
            length -= len(data)
            yield data

    def exactly(self, length: int) -> bytes:
        return b"".join(self.pieces(length))


def unpack(
    pieces: Iterable[bytes],
    target: str | Path,
    limits: ArchiveLimits = LIMITS,
    expected: ModelId | None = None,
    admit: Admit = audit,
) -> Program:
    """Write an archive to ``target`` (its parent exists) and load it; nothing stays behind if it is not acceptable.

    A program that stands at ``target`` already is left alone. Raises EncodingError for an archive that is none, that
    exceeds ``limits`` or whose model id is not the ``expected`` one, FileError, and whatever ``admit`` raises.
    """
    place = Path(target)
    with _incoming(place.parent) as folder:
        program = _received(pieces, folder / "program", limits, expected, admit)
        return program if _moved(folder / "program", place) else _loaded(place, program.id)


@contextmanager
def _incoming(parent: Path) -> Iterator[Path]:
    """A folder for what comes in, gone afterwards."""
    with writing(parent), tempfile.TemporaryDirectory(prefix=_INCOMING, dir=parent) as folder:
        yield Path(folder)


def _received(
    pieces: Iterable[bytes], folder: Path, limits: ArchiveLimits, expected: ModelId | None, admit: Admit
) -> Program:
    folder.mkdir()
    _write(_Stream(pieces), folder, limits)
    program = _loaded(folder, expected)
    admit(program)
    return program


def _moved(source: Path, place: Path) -> bool:
    """Whether the folder was moved to its place, or something was there before."""
    try:
        source.rename(place)
    except OSError:
        if not (place / MANIFEST).is_file():
            raise
        return False
    return True


def _loaded(folder: Path, expected: ModelId | None) -> Program:
    try:
        program = Program.load(folder)
    except EncodingError as error:
        raise EncodingError(str(error).replace(f"{folder}", "archive")) from None
    if expected is not None and program.id != expected:
        raise EncodingError(
            f"the archive holds model 0x{program.id.hex()}, 0x{expected.hex()} was expected; ask another source for it"
        )
    return program


def _write(stream: _Stream, folder: Path, limits: ArchiveLimits) -> None:
    (folder / "constants").mkdir()
    seen: set[str] = set()
    total = 0
    while (entry := _entry(stream)) is not None:
        if entry.isdir() and entry.name.rstrip("/") == "constants" and entry.size == 0:
            continue
        if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise EncodingError(f"the archive's entry {entry.name[:80]!r} is no regular file; pack the program again")
        if entry.name != MANIFEST and not _CONSTANT.fullmatch(entry.name):
            raise EncodingError(
                f"the archive holds {entry.name[:80]!r}, a program has {MANIFEST} and constants/<root>.bin alone; "
                "pack the program again"
            )
        if entry.name in seen:
            raise EncodingError(f"the archive holds {entry.name} twice; pack the program again")
        seen.add(entry.name)
        total += entry.size
        if entry.size < 0 or total > limits.total_bytes or len(seen) > limits.constants + 1:
            raise EncodingError(
                f"the archive has more than {limits.total_bytes} bytes or {limits.constants} constants; "
                "raise the limits if you trust its source"
            )
        if entry.name == MANIFEST and entry.size > limits.manifest_bytes:
            raise EncodingError(
                f"the archive's {MANIFEST} has {entry.size} bytes, {limits.manifest_bytes} are allowed; "
                "raise the limits if you trust its source"
            )
        with (folder / entry.name).open("xb") as file:
            for data in stream.pieces(entry.size):
                file.write(data)
        stream.exactly(-entry.size % tarfile.BLOCKSIZE)
    _check_end(stream)


def _entry(stream: _Stream) -> tarfile.TarInfo | None:
    """The next entry's header; None at the end. Extended headers of other tars are no regular files, and are refused."""
    block = stream.exactly(tarfile.BLOCKSIZE)
    if not any(block):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise EncodingError(
            f"the archive has a header that is none ({error}); pack the program as a plain tar"
        ) from None


def _check_end(stream: _Stream) -> None:
    """Zeros up to a whole record may follow."""
    left = tarfile.RECORDSIZE
    while data := stream.some(CHUNK_BYTES):
        left -= len(data)
        if left < 0 or any(data):
            raise EncodingError("the archive goes on after its end; fetch it again")


class Programs:
    """A folder of programs, each in a folder named by its id in hex. Several processes may share it. Equal
    constants of programs are one file.
    """

    def __init__(self, folder: str | Path, limits: ArchiveLimits = LIMITS, admit: Admit = audit) -> None:
        self.folder, self.limits = Path(folder), limits
        self._admit = admit
        self._loaded: dict[ModelId, Program] = {}
        self._lock = Lock()
        made(self.folder)
        for left in self.folder.glob(f"{_INCOMING}*"):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)

    def place(self, model_id: ModelId) -> Path:
        """The folder of a program, whether it is there or not."""
        return self.folder / model_id.hex()

    def __contains__(self, model_id: ModelId) -> bool:
        return (self.place(model_id) / MANIFEST).is_file()

    def add(self, program: Program) -> Program:
        """Keep a program, and return it as loaded from here. Raises AuditError for one that is not to be trusted."""
        with _incoming(self.folder) as folder:
            program.save(folder)
            return self.take(pack(folder), program.id)

    def take(self, pieces: Iterable[bytes], expected: ModelId | None = None) -> Program:
        """Keep the program of an archive; as ``unpack``."""
        if expected is not None and expected in self:
            return self.get(expected)
        with _incoming(self.folder) as folder:
            program = _received(pieces, folder / "program", self.limits, expected, self._admit)
            link_constants(folder / "program", [self.place(other) for other in self.list()])
            _moved(folder / "program", self.place(program.id))
        return self.get(program.id)

    def get(self, model_id: ModelId) -> Program:
        """The program, its roots checked when it is first asked for; raises ProgramError if it is not here."""
        with self._lock:
            if model_id not in self._loaded:
                if model_id not in self:
                    raise ProgramError(f"model 0x{model_id.hex()} is not held here; add its program first")
                program = Program.load(self.place(model_id))
                if program.id != model_id:
                    raise EncodingError(
                        f"{self.place(model_id)} holds another model, 0x{program.id.hex()}; remove the folder, fetch it again"
                    )
                self._loaded[model_id] = program
            return self._loaded[model_id]

    def drop(self, model_id: ModelId) -> None:
        """Remove whatever stands at a program's place, whole or not."""
        with self._lock, _incoming(self.folder) as folder:
            self._loaded.pop(model_id, None)
            with suppress(FileNotFoundError):
                self.place(model_id).rename(folder / "dropped")

    def pack(self, model_id: ModelId) -> Iterator[bytes]:
        """The archive of a program; raises ProgramError if it is not here."""
        if model_id not in self:
            raise ProgramError(f"model 0x{model_id.hex()} is not held here; add its program first")
        return pack(self.place(model_id))

    def list(self) -> Sequence[ModelId]:
        """The ids of the programs that are held, in order."""
        names = sorted(path.name for path in self.folder.iterdir() if _ID.fullmatch(path.name))
        return [model for name in names if (model := Root(bytes.fromhex(name))) in self]
