from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from prover.gguf import read_gguf
from rollup.errors import LoweringError
from tests.prover.gguf.raw import ARRAY, BOOL, F32, STRING, U32, Raw, array, entry, tensor, text

HUGE = 1 << 62
MEMORY = 4 << 20
"""Bytes that refusing any of these small files may take."""


def test_a_sound_file_gives_its_metadata_and_tensors(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32)
    path = Raw(
        entries=(
            entry(b"a", U32, struct.pack("<I", 7)),
            entry(b"b", STRING, text("é".encode())),
            entry(b"c", BOOL, b"\x01"),
            entry(b"d", F32, struct.pack("<f", 0.5)),
            entry(b"e", ARRAY, array(U32, 2, struct.pack("<II", 1, 2))),
            entry(b"f", ARRAY, array(STRING, 2, text(b"x") + text(b""))),
        ),
        tensors=(tensor(b"t", (4, 3), offset=64),),
        data=bytes(64) + values.tobytes(),
    ).write(tmp_path / "m.gguf")
    file = read_gguf(path)
    given = dict(file.metadata)
    np.testing.assert_array_equal(given.pop("e"), [1, 2])
    assert given == {"a": 7, "b": "é", "c": True, "d": 0.5, "f": ["x", ""]}
    np.testing.assert_array_equal(file.read("t"), values.reshape(3, 4))


HOSTILE = {
    "wrong magic": (Raw(magic=b"GGML"), "no GGUF file"),
    "version 1": (Raw(version=1), "version 1 is not supported"),
    "version 4": (Raw(version=4), "version 4 is not supported"),
    "big endian": (Raw(version=0x03000000), "big-endian"),
    "many keys": (Raw(keys=HUGE), "metadata keys are claimed"),
    "some keys too many": (Raw(keys=1000), "metadata key|type"),
    "many tensors": (Raw(count=HUGE), "tensors are claimed"),
    "some tensors too many": (Raw(count=1000), "tensor"),
    "a key that is longer than the file": (Raw(entries=(text(b"a", 60_000),)), "metadata key 0"),
    "a key of exabytes": (Raw(entries=(text(b"a", HUGE),)), "metadata key 0 claims"),
    "a text of exabytes": (Raw(entries=(entry(b"a", STRING, text(b"", HUGE)),)), "'a' claims"),
    "a text that is longer than the file": (Raw(entries=(entry(b"a", STRING, text(b"", 1 << 19)),)), "'a'.* beyond the end"),
    "a key that is no text": (Raw(entries=(entry(b"\xff\xfe", U32, bytes(4)),)), "no UTF-8"),
    "a text that is none": (Raw(entries=(entry(b"a", STRING, text(b"\xc3\x28")),)), "'a' is no UTF-8"),
    "a key twice": (Raw(entries=(entry(b"a", U32, bytes(4)),) * 2), "'a' appears twice"),
    "an unknown type": (Raw(entries=(entry(b"a", 13, bytes(8)),)), "'a' has the unknown type 13"),
    "a large array": (Raw(entries=(entry(b"a", ARRAY, array(U32, HUGE, b"")),)), "'a' reaches beyond"),
    "an array that overflows": (Raw(entries=(entry(b"a", ARRAY, array(U32, (1 << 64) - 1, b"")),)), "'a' reaches beyond"),
    "a large array of texts": (Raw(entries=(entry(b"a", ARRAY, array(STRING, HUGE, b"")),)), "strings, at most"),
    "an array of texts that ends early": (Raw(entries=(entry(b"a", ARRAY, array(STRING, 1 << 20, b"")),)), "of 'a'"),
    "an array of arrays": (Raw(entries=(entry(b"a", ARRAY, array(ARRAY, 1, array(ARRAY, 1, b""))),)), "'a' is an array of type 9"),
    "an alignment of zero": (Raw(entries=(entry(b"general.alignment", U32, bytes(4)),)), "general.alignment"),
    "an odd alignment": (Raw(entries=(entry(b"general.alignment", U32, struct.pack("<I", 48)),)), "general.alignment"),
    "a huge alignment": (Raw(entries=(entry(b"general.alignment", U32, struct.pack("<I", 1 << 31)),)), "general.alignment"),
    "an alignment that is a text": (Raw(entries=(entry(b"general.alignment", STRING, text(b"32")),)), "general.alignment"),
    "no dimensions": (Raw(tensors=(tensor(b"t", ()),)), "'t' has 0 dimensions"),
    "five dimensions": (Raw(tensors=(tensor(b"t", (1,) * 5),)), "'t' has 5 dimensions"),
    "billions of dimensions": (Raw(tensors=(tensor(b"t", (1,), rank=0xFFFFFFFF),)), "'t' has 4294967295 dimensions"),
    "an empty dimension": (Raw(tensors=(tensor(b"t", (4, 0)),)), "'t' has the shape"),
    "huge dimensions": (Raw(tensors=(tensor(b"t", (HUGE, HUGE)),)), "'t' .* beyond the end"),
    "dimensions whose product is zero modulo 2^64": (Raw(tensors=(tensor(b"t", (1 << 32, 1 << 32)),)), "'t' .* beyond the end"),
    "dimensions whose product is small modulo 2^64": (
        Raw(tensors=(tensor(b"t", ((1 << 32) + 1, (1 << 32) - 1, 3)),)),
        "'t' .* beyond the end",
    ),
    "rows that are no whole blocks": (Raw(tensors=(tensor(b"t", (33,), 8),)), "'t' .* whole blocks of 32 Q8_0"),
    "an unknown storage kind": (Raw(tensors=(tensor(b"t", (4,), 777),)), "'t' is stored as type 777"),
    "a kind that can't be decoded": (Raw(tensors=(tensor(b"t", (4,), 26),)), "'t' is stored as I32"),
    "an offset outside": (Raw(tensors=(tensor(b"t", (4,), offset=4096),)), "'t' .* beyond the end"),
    "an offset of exabytes": (Raw(tensors=(tensor(b"t", (4,), offset=(1 << 64) - 32),)), "'t' .* beyond the end"),
    "an offset that is not aligned": (Raw(tensors=(tensor(b"t", (4,), offset=4),)), "'t' lies at offset 4"),
    "a tensor that is too long": (Raw(tensors=(tensor(b"t", (65,)),)), "'t' .* beyond the end"),
    "a tensor twice": (Raw(tensors=(tensor(b"t", (4,)), tensor(b"t", (4,), offset=32))), "'t' appears twice"),
    "tensors that overlap": (
        Raw(tensors=(tensor(b"t", (16,)), tensor(b"u", (4,), offset=32))),
        "'t' and 'u' overlap",
    ),
    "the same bytes for two tensors": (Raw(tensors=(tensor(b"t", (4,)), tensor(b"u", (4,)))), "overlap"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused_by_name_in_little_memory(tmp_path: Path, name: str) -> None:
    raw, sentence = HOSTILE[name]
    path = raw.write(tmp_path / "m.gguf")
    tracemalloc.start()
    try:
        with pytest.raises(LoweringError, match=sentence) as caught:
            read_gguf(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)


def test_every_truncation_of_a_file_is_refused(tmp_path: Path) -> None:
    whole = Raw(
        entries=(entry(b"a", STRING, text(b"x")), entry(b"f", ARRAY, array(STRING, 2, text(b"x") + text(b"")))),
        tensors=(tensor(b"t", (8, 8)),),
    ).write(tmp_path / "m.gguf")
    content = whole.read_bytes()
    read_gguf(whole)
    for length in range(len(content)):
        whole.write_bytes(content[:length])
        with pytest.raises(LoweringError):
            read_gguf(whole)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none", tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(LoweringError, match="no such file"):
            read_gguf(path)


def test_a_file_that_shrinks_after_it_was_opened_is_an_error(tmp_path: Path) -> None:
    path = Raw(tensors=(tensor(b"t", (64,)),)).write(tmp_path / "m.gguf")
    file = read_gguf(path)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(LoweringError, match="'t' ends early"):
        file.read("t")
    path.unlink()
    with pytest.raises(LoweringError, match="cannot be read"):
        file.read("t")


def test_a_block_scale_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    path = Raw(tensors=(tensor(b"t", (32,), 8),), data=np.float16(np.inf).tobytes() + bytes(32)).write(
        tmp_path / "m.gguf"
    )
    with pytest.raises(LoweringError, match="'t' has a weight that is NaN or infinite"):
        read_gguf(path).read("t")


def test_a_sparse_file_of_terabytes_costs_nothing_to_refuse(tmp_path: Path) -> None:
    path = Raw(entries=(entry(b"a", ARRAY, array(0, 1 << 33, b"")),)).write(tmp_path / "m.gguf")
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    try:
        with pytest.raises(LoweringError, match="larger than 256 MiB"):
            read_gguf(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_the_strings_of_all_arrays_together_are_bounded(tmp_path: Path) -> None:
    many = array(STRING, (1 << 20) + 1, bytes(8 * ((1 << 20) + 1)))
    path = Raw(entries=(entry(b"a", ARRAY, many), entry(b"b", ARRAY, many))).write(tmp_path / "m.gguf")
    with pytest.raises(LoweringError, match="'b' claims 1048577 strings"):
        read_gguf(path)


def test_a_weight_is_decoded_within_its_own_size_and_a_little(tmp_path: Path) -> None:
    elements = 1 << 22
    path = Raw(tensors=(tensor(b"t", (elements,), 3),), data=bytes(elements // 32 * 20)).write(tmp_path / "m.gguf")
    file = read_gguf(path)
    tracemalloc.start()
    try:
        file.read("t")
        assert tracemalloc.get_traced_memory()[1] < 4 * elements + (16 << 20)
    finally:
        tracemalloc.stop()
