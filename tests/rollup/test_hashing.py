"""Trees: the compiled code hashes them to the same bytes as hashlib, in every way that this machine can, wherever they lie."""

from __future__ import annotations

import ctypes
import logging
import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from rollup import hashing, native
from rollup.errors import ServiceError, SettingsError
from rollup.hashing import NODE_BYTES, NativeHasher, PythonHasher, extents, leaf_count, ways
from rollup.merkle import depth_for, hash_leaf, hash_node, zeros
from rollup.native.build import ARCHITECTURES, digest, includes, sources, table
from rollup.native.load import SWITCH, load, object_path, sealed
from rollup.types import LEAF_BYTES, Root
from tests.campaigns.hashing import compare

FOLDER = Path(native.__file__).parent
LIBRARY = load(FOLDER, table(FOLDER)["object"]).library
WAYS = [name for name, usable in ways(LIBRARY) if usable] if LIBRARY else []
PYTHON = PythonHasher()

RANDOM = np.random.default_rng(0).integers(0, 256, 1100 * LEAF_BYTES, np.uint8)

AROUND = [-65, -64, -63, -2, -1, 0, 1, 2, 54, 55, 56, 62, 63, 64, 65]
"""Bytes from a leaf's border, near those of the hash's blocks and of its padding."""

COUNTS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33]
"""Leaves, around the numbers that are hashed at once."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(way: str | None = None, threads: int = 2) -> NativeHasher:
    assert LIBRARY is not None
    return NativeHasher(LIBRARY, way, threads)


def assert_equal(hasher: NativeHasher, data: np.ndarray, more: int = 1) -> None:
    depth = depth_for(leaf_count(data.nbytes)) + more
    expected = PYTHON.tensor(data, depth, zeros(depth))
    assert hasher.tensor(data, depth, zeros(depth)) == expected, (hasher.name, data.nbytes, depth)
    assert hasher.root(data, depth, zeros(depth)) == expected[-NODE_BYTES:], (hasher.name, data.nbytes, depth)


def test_this_machine_loads_the_object() -> None:
    assert platform.machine() in ARCHITECTURES and WAYS and WAYS[-1] == "portable"
    assert str(hashing.choice()) == f"compiled ({WAYS[0]})"


def test_the_objects_were_compiled_from_these_sources() -> None:
    name, wanted = table(FOLDER)["object"], digest(FOLDER)
    for architecture in ARCHITECTURES:
        data = object_path(FOLDER, name, architecture).read_bytes()
        assert wanted.encode() in data, f"the object for {architecture} is stale; run `make native`"
    assert made().sources == wanted


def test_the_digest_tells_a_changed_source(tmp_path: Path) -> None:
    for name, text in (("a.cc", "int a;"), ("native.toml", 'object = "a"')):
        (tmp_path / name).write_text(text)
    before = digest(tmp_path)
    (tmp_path / "notes.txt").write_text("no source")
    assert digest(tmp_path) == before
    (tmp_path / "a.cc").write_text("int b;")
    assert digest(tmp_path) != before


def test_the_table_names_every_source_and_headers_of_installed_packages() -> None:
    read = table(FOLDER)
    named = {name for architecture in ARCHITECTURES for name, _ in sources(read, architecture)}
    assert named == {path.name for path in FOLDER.glob("*.cc")}
    flag, folder = includes({"includes": ["numpy/_core/include"]})
    assert flag == "-isystem" and (Path(folder) / "numpy" / "ndarraytypes.h").exists()
    with pytest.raises(ServiceError, match=r"headers of no_such_package are needed .* run `make dev`"):
        includes({"includes": ["no_such_package/include"]})


def test_the_python_path_hashes_as_the_standard_says() -> None:
    # FIPS 180-4's example for hashlib, and one leaf and one node for the encoding.
    assert sha256(b"abc").hexdigest() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    zero = Root(bytes.fromhex("c55b90509b8cb9bac53fbdddfc93d4e572685c509f1218423c43a5d6013bbd48"))
    assert PYTHON.root(b"", 0, b"") == zero == sha256(bytes(1 + LEAF_BYTES)).digest()
    assert PYTHON.root(bytes(2 * LEAF_BYTES), 1, zeros(1)) == hash_node(zero, zero)


@pytest.mark.parametrize("count", COUNTS)
def test_every_remainder_of_a_leaf_and_of_a_block(way: str, count: int) -> None:
    hasher = made(way)
    for around in AROUND:
        assert_equal(hasher, RANDOM[: LEAF_BYTES * count + around])


def test_small_tensors_of_every_size(way: str) -> None:
    hasher = made(way)
    for size in range(140):
        assert_equal(hasher, RANDOM[size : 2 * size], more=0)


def test_every_alignment(way: str) -> None:
    hasher = made(way)
    for start in range(65):
        assert_equal(hasher, RANDOM[start : start + 5 * LEAF_BYTES + 17])


@pytest.mark.parametrize("leaves", [254, 255, 256, 257, 511, 513, 767, 768, 769, 1023, 1025])
@pytest.mark.parametrize("threads", [1, 2, 3, 64, 1000])
def test_what_threads_share(leaves: int, threads: int) -> None:
    for way in WAYS[:1] + WAYS[-1:]:
        assert_equal(made(way, threads), RANDOM[: LEAF_BYTES * leaves - 5], more=2)


@pytest.mark.parametrize("more", [0, 1, 2, 7, 8, 9, 13, 14, 29])
def test_every_depth(way: str, more: int) -> None:
    for size in (0, 1, 3 * LEAF_BYTES, 300 * LEAF_BYTES):
        assert_equal(made(way), RANDOM[:size], more)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 4095, 8191, 8192, 8193, 16385, 33000])
def test_levels_over_given_leaves(way: str, count: int) -> None:
    leaves, depth = RANDOM[: NODE_BYTES * count].tobytes(), depth_for(count)
    padding = RANDOM[-NODE_BYTES * (depth + 1) :].tobytes()
    for more in (0, 1):
        given = leaves, depth + more, padding[: NODE_BYTES * (depth + more)]
        expected = PYTHON.levels(*given)
        assert all(made(way, threads).levels(*given) == expected for threads in (1, 3))


@pytest.mark.parametrize("trees", [1, 2, 3, 16, 17, 40])
def test_many_tensors_at_once_are_each_alone(way: str, trees: int) -> None:
    sizes = [0, 1, 40, 1023, 1024, 1025, 2048, 3000, 4096, 17 * LEAF_BYTES + 3]
    tensors = [RANDOM[size : size + trees * size].reshape(trees, size) for size in sizes]
    depth = depth_for(18) + 1
    expected = PYTHON.forest(tensors, depth, zeros(depth))
    assert expected.shape == (trees, len(sizes), NODE_BYTES)
    for tree, value in ((0, 4), (trees - 1, 9)):
        assert expected[tree, value].tobytes() == PYTHON.root(tensors[value][tree], depth, zeros(depth))
    assert all(np.array_equal(made(way, threads).forest(tensors, depth, zeros(depth)), expected) for threads in (1, 3))


@pytest.mark.parametrize("leaves", [255, 256, 257, 512, 520])
def test_tensors_as_large_as_a_block_among_small_ones(way: str, leaves: int) -> None:
    tensors = [RANDOM[: 2 * size].reshape(2, size) for size in (100, LEAF_BYTES * leaves - 7, LEAF_BYTES * leaves)]
    depth = depth_for(leaves)
    expected = PYTHON.forest(tensors, depth, zeros(depth))
    assert all(np.array_equal(made(way, threads).forest(tensors, depth, zeros(depth)), expected) for threads in (1, 4))


@pytest.mark.parametrize("count", [1, 2, 3, 6, 85, 127, 128, 255, 256, 257, 600])
def test_many_trees_over_given_leaves(way: str, count: int) -> None:
    for trees in (1, 5):
        leaves = RANDOM[: trees * count * NODE_BYTES].reshape(trees, count, NODE_BYTES)
        for more in (0, 2):
            depth = depth_for(count) + more
            padding = RANDOM[: NODE_BYTES * depth].tobytes()
            expected = PYTHON.joined(leaves, depth, padding)
            assert expected[-1].tobytes() == PYTHON.levels(leaves[-1].tobytes(), depth, padding)[-NODE_BYTES:]
            assert all(np.array_equal(made(way, n).joined(leaves, depth, padding), expected) for n in (1, 3))


def test_no_trees_have_no_roots() -> None:
    for hasher in (PYTHON, made()):
        assert hasher.forest([np.zeros((0, 8), np.uint8)], 0, b"").shape == (0, 1, NODE_BYTES)
        assert hasher.joined(np.zeros((0, 2, NODE_BYTES), np.uint8), 1, zeros(1)).shape == (0, NODE_BYTES)


def test_random_trees() -> None:
    assert compare(300, seed=1) == 300


def test_whatever_holds_the_bytes_is_read_in_place(tmp_path: Path) -> None:
    array = RANDOM[:8192].view(np.int64).reshape(8, 128)
    array.tofile(tmp_path / "file")
    mapped = np.memmap(tmp_path / "file", np.int16, "r", shape=(4096,))
    frozen = array.copy()
    frozen.flags.writeable = False
    depth, expected = 3, PYTHON.root(array.tobytes(), 3, zeros(3))
    for data in (array, array.data, array.tobytes(), mapped, frozen, array.astype("<i8"), np.asfortranarray(array)):
        for hasher in (PYTHON, made()):
            assert hasher.root(data, depth, zeros(depth)) == expected


def test_many_threads_of_python_at_once() -> None:
    hasher, data = made(), [RANDOM[: 1000 * n] for n in range(1, 200)]
    depth = depth_for(200)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: hasher.root(one, depth, zeros(depth)), data))
    assert found == [PYTHON.root(one, depth, zeros(depth)) for one in data]


def test_levels_lie_one_behind_the_other() -> None:
    data, depth = RANDOM[: 5 * LEAF_BYTES], 4
    nodes = made().tensor(data, depth, zeros(depth))
    levels = extents(5, depth)
    assert [level.count for level in levels] == [5, 3, 2, 1, 1]
    assert [level.start for level in levels[1:]] == [level.stop for level in levels[:-1]]
    assert nodes[: levels[0].stop] == b"".join(
        hash_leaf(data[at : at + LEAF_BYTES].tobytes()) for at in range(0, 6 * LEAF_BYTES, LEAF_BYTES)
    )
    assert len(nodes) == levels[-1].stop == levels[-1].start + NODE_BYTES


def test_unknown_ways_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'abacus' is no way to hash here; there are .*portable"):
        made("abacus")


def test_the_switch_turns_compiled_code_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    found = load(FOLDER, "touchstone_hash")
    assert found.library is None and found.meant and found.reason == "TOUCHSTONE_NATIVE is 0"


def test_other_settings_of_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in ("", "1"):
        monkeypatch.setenv(SWITCH, setting)
        assert load(FOLDER, "touchstone_hash").library is not None
    monkeypatch.setenv(SWITCH, "off")
    with pytest.raises(SettingsError, match="TOUCHSTONE_NATIVE is 'off'; 0 turns compiled code off"):
        load(FOLDER, "touchstone_hash")


def test_what_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = object_path(tmp_path, "touchstone_hash", platform.machine())
    assert load(tmp_path, "touchstone_hash").reason == f"there is no {path.name} for linux on {platform.machine()}"
    path.parent.mkdir()
    good = object_path(FOLDER, "touchstone_hash", platform.machine()).read_bytes()
    for data in (b"", b"x", good[:5000], good[:-1], good[:5000] + b"?" + good[5001:], good + b"?"):
        path.write_bytes(data)
        found = load(tmp_path, "touchstone_hash")
        assert found.library is None and not found.meant
        assert found.reason == f"{path} is damaged; install the package again"
    path.write_bytes(sealed(b"whole, and no object"))
    found = load(tmp_path, "touchstone_hash")
    assert found.library is None and not found.meant
    assert found.reason.startswith(f"{path.name} can't be loaded: ")
    path.write_bytes(good)
    assert load(tmp_path, "touchstone_hash").library is not None
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert "for linux on riscv64" in load(FOLDER, "touchstone_hash").reason


@pytest.fixture
def anew() -> Iterator[None]:
    """The choice of the process is made again, before and after."""
    hashing.compiled.cache_clear()
    hashing.choice.cache_clear()
    yield
    hashing.compiled.cache_clear()
    hashing.choice.cache_clear()


@pytest.mark.usefixtures("anew")
def test_without_compiled_code_python_hashes_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert [isinstance(hashing.hasher(), PythonHasher) for _ in range(3)] == [True] * 3
    assert str(hashing.choice()).startswith("Python (there is no touchstone_hash-riscv64-linux.so for linux on riscv64")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "trees are hashed in Python" in record.getMessage()


@pytest.mark.usefixtures("anew")
def test_who_turns_compiled_code_off_is_not_warned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SWITCH, "0")
    caplog.set_level(logging.INFO)
    assert str(hashing.choice()) == "Python (TOUCHSTONE_NATIVE is 0)"
    assert [record.levelno for record in caplog.records] == [logging.INFO]


@pytest.mark.usefixtures("anew")
def test_compiled_code_that_hashes_wrongly_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        NativeHasher, "tensor", lambda self, data, depth, padding: PYTHON.tensor(data, depth, padding)[::-1]
    )
    assert isinstance(hashing.hasher(), PythonHasher)
    (record,) = caplog.records
    assert f"the compiled code ({WAYS[0]}) hashes wrongly on this machine" in record.getMessage()


def test_the_object_exports_nothing_but_what_is_called() -> None:
    assert LIBRARY is not None
    called = ("tensor", "levels", "forest", "joined", "way", "usable", "sources")
    assert all(isinstance(getattr(LIBRARY, f"touchstone_{name}"), ctypes._CFuncPtr) for name in called)
    with pytest.raises(AttributeError):
        LIBRARY.lanes_4  # noqa: B018
