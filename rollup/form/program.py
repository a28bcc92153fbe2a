"""A program: header, interface, descriptors, constants; its tree and root; its folder on disk.

On disk a program is a folder: ``manifest.json`` (header, interface and descriptors as hex, metadata that nothing depends on),
``constants/<root>.bin`` (little-endian, memory-mapped when loaded). The root is recomputed from header, interface and descriptors
when it is loaded, every constant's root from its bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rollup.errors import CommitmentError, EncodingError, ProgramError
from rollup.files import whole_folder
from rollup.form.constants import let_go, load_constant, stored_bytes
from rollup.form.encoding import (
    Header,
    TensorType,
    TracePolicy,
    decode_header,
    decode_op,
    depths,
    encode_header,
    encode_op,
)
from rollup.form.interface import Interface, decode_interface, encode_interface, refuse
from rollup.form.ops import Access, Constant, Op
from rollup.merkle import (
    EMPTY,
    Tree,
    branch,
    depth_for,
    fold_branch,
    hash_descriptor,
    hash_header,
    hash_interface,
    hash_node,
    tensor_tree,
)
from rollup.types import Gindex, ModelId, Root, ValueIndex

FORMAT = "touchstone-program-2"
MANIFEST = "manifest.json"
"""The file without which a folder is no program's; written last."""

NESTING_LIMIT = 200
INTERFACE, DESCRIPTORS = 1, 2
"""Leaves of the program tree: the interface's, and that of the first descriptor; leaf 0 is the header."""

_MARKS = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""Brackets outside of strings; a string is passed over whole, closed or not."""

POLICY_LIMIT_BYTES = 1 << 20
"""Traces up to this size are hashed with every claim, larger ones on dispute."""


@dataclass(frozen=True)
class Segment:
    """Consecutive descriptors that are repeated together: ``ops[start:stop]`` execute ``repeat`` times, from trace index ``first`` on."""

    start: int
    stop: int
    first: int
    repeat: int


@dataclass(frozen=True, eq=False)
class Program:
    """Integers only. ``interface``: what they stand for; ``constants`` holds every tensor that a descriptor names by root;
    ``names[j]`` says where descriptor j came from.
    """

    header: Header
    interface: Interface
    ops: tuple[Op, ...]
    constants: Mapping[Root, np.ndarray]
    names: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        inputs: Sequence[TensorType],
        outputs: Sequence[tuple[int, TensorType]],
        ops: Sequence[Op],
        constants: Mapping[Root, np.ndarray],
        policy: TracePolicy | None = None,
        names: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
        interface: Interface | None = None,
    ) -> Program:
        """Make a program from its parts; depths follow from the sizes, the policy (if not given) from the trace's bytes.

        Without an interface, inputs and outputs are numbered. Raises EncodingError for one that does not fit.
        """
        values = len(inputs) + sum(op.repeat for op in ops)
        sizes = [tensor.bytes for tensor in inputs] + [op.bytes for op in ops]
        if policy is None:
            total = sum(tensor.bytes for tensor in inputs) + sum(op.bytes * op.repeat for op in ops)
            policy = TracePolicy.WITH_CLAIM if total <= POLICY_LIMIT_BYTES else TracePolicy.ON_DISPUTE
        header = Header(policy, *depths(values, sizes), values, tuple(inputs), tuple(outputs))
        return cls.of(header, ops, constants, names, meta, interface)

    @classmethod
    def of(
        cls,
        header: Header,
        ops: Sequence[Op],
        constants: Mapping[Root, np.ndarray],
        names: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
        interface: Interface | None = None,
    ) -> Program:
        """As ``build``, under a header that is at hand."""
        interface = interface or Interface.of(header)
        refuse(interface.problems(header))
        return cls(header, interface, tuple(ops), dict(constants), tuple(names), dict(meta or {}))

    @cached_property
    def header_bytes(self) -> bytes:
        return encode_header(self.header)

    @cached_property
    def interface_bytes(self) -> bytes:
        return encode_interface(self.interface)

    @cached_property
    def descriptors(self) -> tuple[bytes, ...]:
        return tuple(encode_op(op) for op in self.ops)

    @cached_property
    def tree(self) -> Tree:
        leaves = [
            hash_header(self.header_bytes),
            hash_interface(self.interface_bytes),
            *(hash_descriptor(data) for data in self.descriptors),
        ]
        return Tree(leaves, depth_for(len(leaves)), _program_padding)

    @property
    def id(self) -> ModelId:
        """The model id: the program root."""
        return self.tree.root

    @property
    def interface_proof(self) -> list[Root]:
        """The interface's siblings in the program tree, lowest first; see ``proven_interface``."""
        return branch(self.tree, Gindex((1 << self.tree.depth) + INTERFACE))

    @property
    def depth(self) -> int:
        """Depth of the trace tree, from its root to the leaves of tensors."""
        return self.header.trace_depth + self.header.tensor_depth

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The descriptors grouped by the segment that repeats them, in trace order."""
        found, start = [], 0
        while start < len(self.ops):
            op = self.ops[start]
            stop = start + 1
            if op.repeat > 1:
                stop = min(start + op.body, len(self.ops))
            else:
                while stop < len(self.ops) and self.ops[stop].repeat == 1:
                    stop += 1
            found.append(Segment(start, stop, op.first, op.repeat))
            start = stop
        return tuple(found)

    @cached_property
    def segment_starts(self) -> np.ndarray:
        """The trace index at which every segment begins, ascending."""
        return np.array([segment.first for segment in self.segments], dtype=np.int64)

    def locate(self, value: int) -> tuple[int, int]:
        """(descriptor number, iteration t) of the op that gives trace value ``value``."""
        for segment in self.segments:
            body = segment.stop - segment.start
            if segment.first <= value < segment.first + body * segment.repeat:
                t, j = divmod(value - segment.first, body)
                return segment.start + j, t
        raise ProgramError(
            f"trace value {value} is no op's output; ops give {len(self.header.inputs)} to {self.header.values - 1}"
        )

    def type_of(self, value: int) -> tuple[int, int]:
        """(elements, bytes per element) of trace value ``value``; (0, 1) for an unused entry."""
        if value < len(self.header.inputs):
            tensor = self.header.inputs[value]
            return tensor.elements, tensor.dtype.size
        if value >= self.header.values:
            return 0, 1
        op = self.ops[self.locate(value)[0]]
        return op.elements, op.dtype.size

    def op_values(self) -> Iterator[tuple[ValueIndex, int, int]]:
        """(trace value, descriptor number, iteration) of every op, in trace order."""
        for segment in self.segments:
            at = segment.first
            for t in range(segment.repeat):
                for j in range(segment.start, segment.stop):
                    yield ValueIndex(at), j, t
                    at += 1

    def constant(self, root: Root) -> np.ndarray:
        try:
            return self.constants[root]
        except KeyError:
            raise ProgramError(
                f"the program names a constant {root.hex()[:16]}... that it does not hold; fetch the complete program"
            ) from None

    def constant_tree(self, root: Root) -> Tree:
        """The tree of a constant, hashed when it is first asked for."""
        if root not in self._trees:
            self._trees[root] = tensor_tree(stored_bytes(self.constant(root)))
        return self._trees[root]

    @cached_property
    def _trees(self) -> dict[Root, Tree]:
        return {}

    def let_go(self) -> None:
        """Give back the memory of constants that are mapped from files, once they have another form elsewhere."""
        for array in self.constants.values():
            let_go(array)

    def seen(self, access: Access) -> np.ndarray:
        """The elements that an access to a constant sees, flat, with the access's dtype.

        A root commits to bytes up to zero padding, not to a dtype or a length: two constants may share one. What an access
        sees is therefore the root's bytes, zero-padded, read with its own dtype and element count, here as on chain.
        """
        assert isinstance(access.source, Constant)
        array = self.constant(access.source.root)
        if array.dtype == access.dtype.numpy and array.size == access.elements:
            return array.reshape(-1)
        data, size = stored_bytes(array), access.elements * access.dtype.size
        whole = data[:size] if size <= len(data) else bytes(data).ljust(size, b"\x00")
        return np.frombuffer(whole, dtype=access.dtype.numpy)

    @staticmethod
    def seen_key(access: Access) -> str:
        """A name of what an access to a constant sees: root, dtype and length."""
        assert isinstance(access.source, Constant)
        return f"{access.source.root.hex()}:{access.dtype.name}:{access.elements}"

    def name(self, descriptor: int) -> str:
        """Where the op came from, for people."""
        return self.names[descriptor] if descriptor < len(self.names) else f"op {descriptor}"

    def save(self, folder: str | Path) -> None:
        """Write the program into ``folder`` (created if missing), whole or not at all; raises FileError."""
        entries = {
            root.hex(): {"dtype": array.dtype.name, "shape": list(array.shape)}
            for root, array in self.constants.items()
        }
        manifest = {
            "format": FORMAT,
            "model_id": self.id.hex(),
            "header": self.header_bytes.hex(),
            "interface": self.interface_bytes.hex(),
            "ops": [{"descriptor": data.hex(), "name": self.name(j)} for j, data in enumerate(self.descriptors)],
            "constants": entries,
            "meta": self.meta,
        }
        with whole_folder(folder, MANIFEST) as target:
            (target / "constants").mkdir()
            for root, array in self.constants.items():
                (target / "constants" / f"{root.hex()}.bin").write_bytes(stored_bytes(array))
            (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Program:
        """Read a program and check every root; raises EncodingError naming the file that is wrong."""
        source = Path(folder)
        path = source / MANIFEST
        if path.exists() and not path.is_file():
            raise EncodingError(f"{path} is no regular file; give the folder that a model was saved to")
        try:
            manifest = parse_json(path.read_text())
        except FileNotFoundError:
            raise EncodingError(f"{source} holds no {MANIFEST}; give the folder that a model was saved to") from None
        except ValueError as error:
            # Undecodable text, bad JSON, too deep a nesting, and a number of more digits than Python reads.
            raise EncodingError(f"{path} is not JSON ({error}); the file is damaged, fetch it again") from None
        except OSError as error:
            raise EncodingError(f"{path} can't be read ({error}); give the folder that a model was saved to") from None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise EncodingError(f"{path} is no program of format {FORMAT}; lower the model with this release")
        try:
            header = decode_header(bytes.fromhex(manifest["header"]))
            interface = decode_interface(bytes.fromhex(manifest["interface"]), header)
            ops = tuple(decode_op(bytes.fromhex(entry["descriptor"])) for entry in manifest["ops"])
            names = tuple(str(entry["name"]) for entry in manifest["ops"])
            entries = {
                Root(bytes.fromhex(key)): (str(entry["dtype"]), [int(n) for n in entry["shape"]])
                for key, entry in manifest["constants"].items()
            }
            meta, expected = dict(manifest["meta"]), str(manifest["model_id"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EncodingError(
                f"{path} lacks or garbles a field ({type(error).__name__}: {error}); fetch it again"
            ) from None
        constants = {root: load_constant(source / "constants", root, *entry) for root, entry in entries.items()}
        program = cls(header, interface, ops, constants, names, meta)
        if program.id.hex() != expected:
            raise EncodingError(
                f"{path} says model id {expected[:16]}... but its contents hash to {program.id.hex()[:16]}...; it was altered"
            )
        for op in ops:
            for access in op.accesses:
                if isinstance(access.source, Constant):
                    program.constant(access.source.root)
        return program


def proven_interface(model_id: ModelId, header: Header, data: bytes, proof: Sequence[Root]) -> Interface:
    """The interface in ``data``, if it is that of the model; raises EncodingError, CommitmentError."""
    found = fold_branch(hash_interface(data), Gindex((1 << len(proof)) + INTERFACE), proof)
    if found != model_id:
        raise CommitmentError(f"the interface belongs to model {found.hex()[:16]}..., not to {model_id.hex()[:16]}...")
    return decode_interface(data, header)


def parse_json(text: str) -> Any:
    """JSON of bounded depth; raises ValueError.

    The decoder recurses in C, and libraries of a chain raise Python's recursion limit beyond what the stack holds: depth is
    looked at first.
    """
    depth = 0
    for mark in _MARKS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        if depth > NESTING_LIMIT:
            raise ValueError(f"it nests more than {NESTING_LIMIT} levels deep")
    return json.loads(text)


def _program_padding(height: int) -> Root:
    return EMPTY if height == 0 else hash_node(_program_padding(height - 1), _program_padding(height - 1))
