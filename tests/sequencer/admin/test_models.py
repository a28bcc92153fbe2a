"""Models: offered from an archive, retired; and archives that want to do something else."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollup.archive import pack
from rollup.form.encoding import TensorType
from rollup.form.program import Program
from rollup.types import DType
from tests.sequencer.admin.world import AdminWorld, header
from tests.world import PROGRAM


def add(http: httpx.Client, name: str, data: bytes) -> httpx.Response:
    return http.post("/admin/models", params={"name": name}, content=data, headers=header("own"))


def listed(http: httpx.Client) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = http.get("/admin/models", headers=header("read")).json()["models"]
    return models


def archive(program: Program, folder: Path) -> bytes:
    program.save(folder)
    return b"".join(pack(folder))


def first_op(**changes: Any) -> Program:
    """The toy program's first op alone."""
    op = replace(PROGRAM.ops[0], **changes)
    return Program.build(PROGRAM.header.inputs, [(op.first, TensorType(op.dtype, 0, op.shape))], [op], {})


def test_a_model_is_unpacked_audited_registered_and_listed(
    world: AdminWorld, http: httpx.Client, tmp_path: Path
) -> None:
    program = first_op()
    assert not world.l1.is_registered(program.id)
    answer = add(http, "scale", archive(program, tmp_path / "scale"))
    assert answer.status_code == 201
    assert answer.json()["model"]["id"] == f"0x{program.id.hex()}" and answer.json()["registration"]["gas"] > 0
    assert world.l1.is_registered(program.id) and program.id in world.programs
    world.mirror.sync()
    found = next(model for model in listed(http) if model["name"] == "scale")
    assert found["registered"] and found["held"] and not found["retired"]


def test_a_model_that_l1_knows_is_not_registered_again(world: AdminWorld, http: httpx.Client, tmp_path: Path) -> None:
    height = world.chain.height()
    answer = add(http, "toy", archive(PROGRAM, tmp_path / "toy"))
    assert answer.status_code == 201 and answer.json()["registration"] is None
    assert world.chain.height() == height


def test_a_retired_model_is_in_service_again_when_it_is_added_again(http: httpx.Client, tmp_path: Path) -> None:
    data = archive(PROGRAM, tmp_path / "toy")
    add(http, "toy", data)
    for word in ("toy", f"0x{PROGRAM.id.hex()}"):
        retired = http.post(f"/admin/models/{word}/retire", headers=header("own"))
        assert retired.status_code == 200 and retired.json()["retired"] is True
        assert add(http, "toy", data).json()["model"]["retired"] is False


def test_a_name_is_one_models(http: httpx.Client, tmp_path: Path) -> None:
    add(http, "toy", archive(PROGRAM, tmp_path / "toy"))
    answer = add(http, "toy", archive(first_op(), tmp_path / "other"))
    assert answer.status_code == 409 and PROGRAM.id.hex() in answer.json()["detail"]


@pytest.mark.parametrize("name", ["", "Digits", "../digits", "a b", "x" * 64, "0x" + "00" * 32, "-digits"])
def test_a_name_that_is_none_is_refused(name: str, http: httpx.Client, tmp_path: Path) -> None:
    assert add(http, name, archive(PROGRAM, tmp_path / "toy")).status_code == 422


def _tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        for entry, content in entries:
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def _file(name: str, content: bytes = b"x", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "no tar": lambda _: b"\x1f\x8b" + b"x" * 5000,
    "a tar that ends in the middle": lambda good: good[: len(good) // 2],
    "a tar that goes on": lambda good: good + b"x" * 20_000,
    "a name outside": lambda good: _tar(_file("../../etc/passwd")) + good,
    "an absolute name": lambda good: _tar(_file("/tmp/owned")) + good,
    "a link": lambda _: _tar(_file("manifest.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": lambda _: _tar(_file("manifest.json", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
    "a device": lambda _: _tar(_file("manifest.json", b"", type=tarfile.CHRTYPE)),
    "a manifest that is none": lambda _: _tar(_file("manifest.json", b"{}")),
    "a manifest of brackets": lambda _: _tar(_file("manifest.json", b"[" * 200_000)),
    "a file of a terabyte, announced": lambda _: (
        _file("manifest.json", b"")[0].tobuf()[:124]
        + b"10000000000000"[:11]
        + b" "
        + _file("manifest.json", b"")[0].tobuf()[136:]
    ),
    "another root than its weights": lambda good: good.replace(b"\x01\x00", b"\x02\x00"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_attack_an_archive_that_is_none_is_refused_and_leaves_nothing_behind(
    kind: str, world: AdminWorld, http: httpx.Client, tmp_path: Path
) -> None:
    data = HOSTILE[kind](archive(PROGRAM, tmp_path / "good"))
    held, known, height = world.programs.list(), world.store.models.all(), world.chain.height()
    answer = add(http, "hostile", data)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:touchstone:problem:program"
    assert (world.programs.list(), world.store.models.all(), world.chain.height()) == (held, known, height)
    assert [path.name for path in world.programs.folder.iterdir() if path.name.startswith(".")] == []


def test_attack_a_program_that_can_not_be_adjudicated_is_refused_by_the_audit(
    world: AdminWorld, http: httpx.Client, tmp_path: Path
) -> None:
    program = first_op(dtype=DType.I8)
    answer = add(http, "overflows", archive(program, tmp_path / "bad"))
    assert answer.status_code == 422 and "overflow" in answer.json()["detail"]
    assert program.id not in world.programs and not world.l1.is_registered(program.id)


def test_attack_an_archive_that_is_too_large_is_cut_off(world: AdminWorld, http: httpx.Client) -> None:
    """The world takes a MiB at most."""
    answer = add(http, "large", b"\0" * (3 << 20))
    assert answer.status_code == 413
    assert not any(model["name"] == "large" for model in listed(http))


def test_a_model_that_is_not_offered_can_not_be_retired(http: httpx.Client) -> None:
    for word in ("nothing", "0x" + "11" * 32):
        answer = http.post(f"/admin/models/{word}/retire", headers=header("own"))
        assert answer.status_code == 404 and word in answer.json()["detail"]
