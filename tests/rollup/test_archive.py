"""Archives: what was packed is what is unpacked, and a hostile archive leaves nothing behind."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollup.archive import ArchiveLimits, Programs, pack, unpack
from rollup.errors import AuditError, EncodingError, ProgramError
from rollup.form.program import Program
from rollup.types import Root
from tests.e2e.toy_program import toy_program

OTHER = Root(bytes(31) + b"\x01")


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Program, Path]:
    program = toy_program()
    program.save(tmp_path / "saved")
    return program, tmp_path / "saved"


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar with these entries, as a hostile packer writes it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry, data in entries:
            tar.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def entry(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(data), link
    return info, data


def refused(data: bytes, target: Path, match: str, limits: ArchiveLimits | None = None) -> None:
    before = sorted(target.parent.rglob("*"))
    with pytest.raises(EncodingError, match=match):
        unpack([data], target, limits or ArchiveLimits())
    assert sorted(target.parent.rglob("*")) == before


def test_what_was_packed_is_unpacked_whatever_the_size_of_the_pieces(
    saved: tuple[Program, Path], tmp_path: Path
) -> None:
    program, folder = saved
    data = b"".join(pack(folder))
    assert data == b"".join(pack(folder))
    for number, size in enumerate((1, 511, 512, 1000, len(data))):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        taken = unpack(pieces, tmp_path / f"taken {number}", expected=program.id)
        assert taken.id == Program.load(tmp_path / f"taken {number}").id == program.id
    assert b"".join(pack(tmp_path / "taken 0")) == data


def test_equal_programs_give_equal_archives_and_ordinary_tars_are_taken(
    saved: tuple[Program, Path], tmp_path: Path
) -> None:
    program, folder = saved
    program.save(tmp_path / "again")
    assert b"".join(pack(folder)) == b"".join(pack(tmp_path / "again"))
    with tarfile.open(tmp_path / "made.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(folder / "manifest.json", "manifest.json")
        tar.add(folder / "constants", "constants")
    assert unpack([(tmp_path / "made.tar").read_bytes()], tmp_path / "taken").id == program.id


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../manifest.json",
        "constants/../../evil.bin",
        "constants/" + "0" * 64 + ".bin/x",
        "constants/" + "0" * 63 + ".bin",
        "./manifest.json",
        "manifest.json\n",
        "x" * 90,
    ],
)
def test_attack_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    refused(archive(entry(name, b"{}")), tmp_path / "taken", "a program has manifest.json and constants")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
    ids=["symlink", "hard link", "character device", "block device", "fifo", "folder"],
)
def test_attack_entries_that_are_no_files(tmp_path: Path, kind: bytes) -> None:
    refused(archive(entry("manifest.json", kind=kind, link="/etc/passwd")), tmp_path / "taken", "no regular file")


def test_attack_a_folder_with_a_body(tmp_path: Path) -> None:
    info, _ = entry("constants", kind=tarfile.DIRTYPE)
    info.size = 1 << 40
    refused(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024), tmp_path / "taken", "no regular file")


def test_attack_extended_headers_that_would_be_read_into_memory(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE):
        info = tarfile.TarInfo("manifest.json")
        info.type, info.size = kind, 1 << 40
        refused(info.tobuf(tarfile.GNU_FORMAT), tmp_path / "taken", "no regular file|a header that is none")


def test_attack_a_bomb_of_bytes_or_of_files(tmp_path: Path) -> None:
    def huge() -> Iterator[bytes]:
        info = tarfile.TarInfo("constants/" + "0" * 64 + ".bin")
        info.size = 1 << 50
        yield info.tobuf(tarfile.GNU_FORMAT)
        raise AssertionError("the body of a file that is too large was asked for")

    with pytest.raises(EncodingError, match="more than 4294967296 bytes"):
        unpack(huge(), tmp_path / "taken")
    many = archive(*(entry(f"constants/{number:064x}.bin", b"x") for number in range(6)))
    refused(many, tmp_path / "taken", "or 4 constants", ArchiveLimits(constants=4))
    large = archive(entry("manifest.json", b" " * 2000))
    refused(large, tmp_path / "taken", "1000 are allowed", ArchiveLimits(manifest_bytes=1000))


def test_attack_an_endless_tail(saved: tuple[Program, Path], tmp_path: Path) -> None:
    data = b"".join(pack(saved[1]))
    refused(data + bytes(1 << 20), tmp_path / "taken", "goes on after its end")
    refused(data + b"more", tmp_path / "taken", "goes on after its end")


def test_every_cut_and_every_damaged_header_is_refused(saved: tuple[Program, Path], tmp_path: Path) -> None:
    data = b"".join(pack(saved[1]))
    for length in [*range(0, 600, 97), *range(600, len(data) - 1024, 1013)]:
        refused(data[:length], tmp_path / "taken", "archive")
    for at in range(0, 512, 61):
        damaged = bytearray(data)
        damaged[at] ^= 0x41
        refused(bytes(damaged), tmp_path / "taken", "archive")


def test_a_file_twice_a_missing_manifest_and_altered_contents_are_refused(
    saved: tuple[Program, Path], tmp_path: Path
) -> None:
    twice = archive(entry("manifest.json", b"{}"), entry("manifest.json", b"{}"))
    refused(twice, tmp_path / "taken", "manifest.json twice")
    refused(archive(), tmp_path / "taken", "archive holds no manifest.json")
    data = bytearray(b"".join(pack(saved[1])))
    data[-1024 - 512] ^= 1
    refused(bytes(data), tmp_path / "taken", "archive/constants/.* does not hash to its name")


def test_another_model_than_the_expected_one_is_refused(saved: tuple[Program, Path], tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="was expected"):
        unpack(pack(saved[1]), tmp_path / "taken", expected=OTHER)
    assert not (tmp_path / "taken").exists()


def test_a_program_that_the_audit_refuses_is_not_kept(saved: tuple[Program, Path], tmp_path: Path) -> None:
    def refuse(program: Program) -> None:
        raise AuditError("no")

    programs = Programs(tmp_path / "programs", admit=refuse)
    with pytest.raises(AuditError):
        programs.take(pack(saved[1]))
    assert list(programs.folder.iterdir()) == []


def test_a_folder_of_programs_gives_what_was_added_to_every_process(
    saved: tuple[Program, Path], tmp_path: Path
) -> None:
    program, folder = saved
    programs = Programs(tmp_path / "programs")
    assert programs.list() == [] and program.id not in programs
    with pytest.raises(ProgramError, match="not held here"):
        programs.get(program.id)
    with pytest.raises(ProgramError, match="not held here"):
        programs.pack(program.id)
    assert programs.add(program).id == programs.take(pack(folder)).id == program.id
    other = Programs(tmp_path / "programs")
    assert other.list() == [program.id] and other.get(program.id).id == program.id
    assert b"".join(other.pack(program.id)) == b"".join(pack(folder))
    assert [path.name for path in programs.folder.iterdir()] == [program.id.hex()]


def test_something_that_is_no_program_is_not_packed(saved: tuple[Program, Path], tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="no regular file"):
        b"".join(pack(tmp_path))
    constant = next((saved[1] / "constants").iterdir())
    constant.rename(tmp_path / "elsewhere")
    constant.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EncodingError, match="no regular file"):
        b"".join(pack(saved[1]))
