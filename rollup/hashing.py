"""The nodes of whole trees, hashed by compiled code where this machine can load it, and otherwise in Python; both give the same bytes.

Nodes are packed: level by level, the leaves' hashes first, the root last. A level with an odd number of nodes has its padding behind them
if a level follows. The encoding is in docs/formats.md, *Commitments*.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np

from rollup import native
from rollup.native.load import Loaded, load
from rollup.types import LEAF_BYTES, Root

NODE_BYTES = 32
LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"

Data = bytes | memoryview | np.ndarray
"""Bytes that lie together in memory; of an array its elements, row-major. They are read in place."""


@dataclass(frozen=True)
class Extent:
    """Where a level lies among packed nodes: ``count`` nodes from byte ``start`` on, the next level from ``stop`` on."""

    start: int
    count: int
    stop: int


@lru_cache(maxsize=1024)
def extents(count: int, depth: int) -> tuple[Extent, ...]:
    """The levels of a tree of ``depth`` over ``count`` leaves, the leaves' first."""
    found: list[Extent] = []
    start = 0
    for height in range(depth + 1):
        stop = start + NODE_BYTES * (count + (count & 1 if height < depth else 0))
        found.append(Extent(start, count, stop))
        start, count = stop, (count + 1) // 2
    return tuple(found)


def leaf_count(byte_count: int) -> int:
    """Leaves of a tensor of ``byte_count`` bytes (at least one)."""
    return max(1, -(-byte_count // LEAF_BYTES))


class Hasher(Protocol):
    """Hashes trees. ``padding``: 32 bytes for every level below the root, what stands there beyond the last node.

    A tree must be deep enough for its leaves, and have one at least.
    """

    name: str

    def tensor(self, data: Data, depth: int, padding: bytes) -> memoryview:
        """All nodes of a tensor's tree, packed."""
        ...

    def root(self, data: Data, depth: int, padding: bytes) -> Root:
        """The root of a tensor's tree; its nodes are not kept."""
        ...

    def levels(self, leaves: bytes, depth: int, padding: bytes) -> memoryview:
        """All nodes of a tree over leaves' hashes, 32 bytes each, packed."""
        ...

    def forest(self, tensors: Sequence[np.ndarray], depth: int, padding: bytes) -> np.ndarray:
        """The roots [trees, tensors, 32] of the trees of many tensors: uint8 [trees, bytes] each, row-major."""
        ...

    def joined(self, leaves: np.ndarray, depth: int, padding: bytes) -> np.ndarray:
        """The roots [trees, 32] of trees over leaves' hashes, uint8 [trees, count, 32], row-major."""
        ...


class PythonHasher:
    """With hashlib, one node after the other: what the compiled code is compared with."""

    name = "Python"

    def tensor(self, data: Data, depth: int, padding: bytes) -> memoryview:
        return self.levels(b"".join(self._leaves(_raw(data).data)), depth, padding)

    def root(self, data: Data, depth: int, padding: bytes) -> Root:
        return Root(bytes(self.tensor(data, depth, padding)[-NODE_BYTES:]))

    def levels(self, leaves: bytes, depth: int, padding: bytes) -> memoryview:
        levels = [leaves]
        for height in range(depth):
            if len(levels[-1]) % (2 * NODE_BYTES):
                levels[-1] += padding[NODE_BYTES * height : NODE_BYTES * (height + 1)]
            below = levels[-1]
            pairs = range(0, len(below), 2 * NODE_BYTES)
            levels.append(b"".join([sha256(NODE_PREFIX + below[at : at + 2 * NODE_BYTES]).digest() for at in pairs]))
        return memoryview(b"".join(levels))

    def forest(self, tensors: Sequence[np.ndarray], depth: int, padding: bytes) -> np.ndarray:
        trees = range(len(tensors[0]))
        return _nodes([[self.root(tensor[tree], depth, padding) for tensor in tensors] for tree in trees], len(tensors))

    def joined(self, leaves: np.ndarray, depth: int, padding: bytes) -> np.ndarray:
        return _nodes([[self.levels(tree.tobytes(), depth, padding)[-NODE_BYTES:]] for tree in leaves], 1)[:, 0]

    @staticmethod
    def _leaves(view: memoryview) -> Iterator[bytes]:
        whole = len(view) - len(view) % LEAF_BYTES
        prefixed = sha256(LEAF_PREFIX)
        for at in range(0, whole, LEAF_BYTES):
            hashed = prefixed.copy()
            hashed.update(view[at : at + LEAF_BYTES])
            yield hashed.digest()
        if whole < len(view) or not whole:
            yield sha256(LEAF_PREFIX + bytes(view[whole:]).ljust(LEAF_BYTES, b"\x00")).digest()


class NativeHasher:
    """With ``native/tree.cc``, which other threads of Python run beside.

    ``way``: which of the ways in which it can hash, by name; the best for this processor if None. ``threads``: how many a large
    tensor is shared among. Raises ValueError for a way that the object lacks or the processor can't go.
    """

    def __init__(self, library: ctypes.CDLL, way: str | None = None, threads: int | None = None) -> None:
        usable = {name: number for number, (name, works) in enumerate(ways(library)) if works}
        if way is not None and way not in usable:
            raise ValueError(f"{way!r} is no way to hash here; there are {', '.join(usable)}")
        self.name = next(iter(usable)) if way is None else way
        self.sources: str = _declare(library.touchstone_sources, ctypes.c_char_p)().decode()
        self._way = usable[self.name]
        self._threads = _processors() if threads is None else threads
        pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64
        self._tensor = _declare(
            library.touchstone_tensor, number, number, number, pointer, size, number, pointer, pointer, pointer
        )
        self._levels = _declare(
            library.touchstone_levels, None, number, number, size, number, pointer, pointer, pointer
        )
        self._forest = _declare(
            library.touchstone_forest, number, number, number, size, size, pointer, pointer, number, pointer, pointer
        )
        self._joined = _declare(
            library.touchstone_joined, number, number, number, size, size, number, pointer, pointer, pointer
        )

    def tensor(self, data: Data, depth: int, padding: bytes) -> memoryview:
        nodes = np.empty(extents(leaf_count(_raw(data).nbytes), depth)[-1].stop, np.uint8)
        self._run(data, depth, padding, nodes)
        return nodes.data

    def root(self, data: Data, depth: int, padding: bytes) -> Root:
        return self._run(data, depth, padding, None)

    def _run(self, data: Data, depth: int, padding: bytes, nodes: np.ndarray | None) -> Root:
        raw, root = _raw(data), _Node()
        assert leaf_count(raw.nbytes) <= 1 << depth and len(padding) == NODE_BYTES * depth
        held = None if nodes is None else nodes.ctypes.data
        if self._tensor(self._way, self._threads, raw.ctypes.data, raw.nbytes, depth, padding, held, root):
            raise MemoryError
        return Root(root.raw)

    def levels(self, leaves: bytes, depth: int, padding: bytes) -> memoryview:
        count = len(leaves) // NODE_BYTES
        assert 0 < count <= 1 << depth and len(padding) == NODE_BYTES * depth
        nodes = bytearray(leaves)
        nodes.extend(bytes(extents(count, depth)[-1].stop - len(leaves)))
        held = ctypes.c_char.from_buffer(nodes)
        self._levels(self._way, self._threads, count, depth, padding, ctypes.addressof(held), _Node())
        return memoryview(nodes)

    def forest(self, tensors: Sequence[np.ndarray], depth: int, padding: bytes) -> np.ndarray:
        count, trees = len(tensors), len(tensors[0])
        roots = np.empty([trees, count, NODE_BYTES], np.uint8)
        if not roots.size:
            return roots
        for one in tensors:
            assert one.dtype == np.uint8 and len(one) == trees and one.flags.c_contiguous
            assert leaf_count(one.shape[1]) <= 1 << depth
        assert len(padding) == NODE_BYTES * depth
        data = (ctypes.c_void_p * count)(*[one.__array_interface__["data"][0] for one in tensors])
        sizes = (ctypes.c_uint64 * count)(*[one.shape[1] for one in tensors])
        given = self._way, self._threads, trees, count, data, sizes, depth, padding, roots.ctypes.data
        if self._forest(*given):
            raise MemoryError
        return roots

    def joined(self, leaves: np.ndarray, depth: int, padding: bytes) -> np.ndarray:
        trees, count, _ = leaves.shape
        roots = np.empty([trees, NODE_BYTES], np.uint8)
        if not trees:
            return roots
        assert leaves.dtype == np.uint8 and leaves.shape[2] == NODE_BYTES and leaves.flags.c_contiguous
        assert 0 < count <= 1 << depth and len(padding) == NODE_BYTES * depth
        given = self._way, self._threads, trees, count, depth, padding, leaves.ctypes.data, roots.ctypes.data
        if self._joined(*given):
            raise MemoryError
        return roots


def ways(library: ctypes.CDLL) -> list[tuple[str, bool]]:
    """Every way in which the compiled code can hash, the best first, and whether this processor can go it."""
    name, usable = _declare(library.touchstone_way, ctypes.c_char_p, ctypes.c_int), library.touchstone_usable
    found: list[tuple[str, bool]] = []
    while (called := name(len(found))) is not None:
        found.append((called.decode(), bool(usable(len(found)))))
    return found


def _declare(function: ctypes._NamedFuncPointer, result: type | None, *arguments: type) -> ctypes._NamedFuncPointer:
    function.restype, function.argtypes = result, list(arguments)
    return function


_Node = ctypes.c_char * NODE_BYTES


def _nodes(rows: Sequence[Sequence[bytes | memoryview]], count: int) -> np.ndarray:
    """Rows of ``count`` hashes as uint8 [rows, count, 32]."""
    packed = b"".join([b"".join(row) for row in rows])
    return np.frombuffer(packed, np.uint8).reshape([len(rows), count, NODE_BYTES])


def _raw(data: Data) -> np.ndarray:
    """The bytes as an array of them, in place."""
    if isinstance(data, np.ndarray):
        return data.reshape(-1).view(np.uint8)
    return np.frombuffer(data, np.uint8)


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def compiled() -> Loaded:
    """The shared object of ``native/``, or why it can't be used."""
    return load(Path(native.__file__).parent, "touchstone_hash")


@dataclass(frozen=True)
class Choice:
    """What hashes in this process, and if that is Python, why."""

    hasher: Hasher
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.hasher.name} ({self.reason})" if self.reason else f"compiled ({self.hasher.name})"


@cache
def choice() -> Choice:
    """Compiled code, if it can be loaded and hashes a small tree right. Says once, in the log, if it is Python instead."""
    found = compiled()
    reason = found.reason
    if found.library is not None:
        hasher = NativeHasher(found.library)
        if hasher.tensor(*_SAMPLE) == PythonHasher().tensor(*_SAMPLE):
            return Choice(hasher)
        reason = f"the compiled code ({hasher.name}) hashes wrongly on this machine"
    level = logging.INFO if found.meant else logging.WARNING
    logging.getLogger(__name__).log(level, "trees are hashed in Python, several times slower: %s", reason)
    return Choice(PythonHasher(), reason)


_SAMPLE = (bytes(range(256)) * 150)[:-100], 7, bytes(range(7 * NODE_BYTES))
"""A tensor that fills the widest kernel and leaves something over, its depth and padding."""


def hasher() -> Hasher:
    """What hashes in this process."""
    return choice().hasher
