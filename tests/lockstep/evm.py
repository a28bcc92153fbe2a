"""OneStepProver, compiled as it is committed, on an EVM in this process."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyrevm
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from rollup.errors import TouchstoneError
from rollup.form.program import Program
from rollup.machine.reference import Memory
from rollup.machine.witness import epilogue_witness, outline_witness, padding_witness, part_witness, step_witness
from rollup.merkle import TraceTree, tensor_tree
from rollup.types import LEAF_BYTES, Root

ARTIFACT = Path(__file__).parents[2] / "contracts" / "artifacts" / "OneStepProver.json"
STEP = "(bytes32,bytes32,uint8,uint8,uint64)"
STEP_TYPES = [STEP, "bytes"]
OUTLINE_TYPES = [STEP, "uint32", "bytes"]
PART_TYPES = [STEP, "uint32", "uint32", "bytes"]
EPILOGUE_TYPES = [STEP, "uint32", "int64", "bytes"]
CALLER = "0x00000000000000000000000000000000000000aa"
GAS = 1 << 40


class Refused(TouchstoneError):
    """The contract reverted; ``error`` is the name of its custom error (or of the language's own)."""

    def __init__(self, error: str) -> None:
        super().__init__(f"OneStepProver reverted with {error}")
        self.error = error


@cache
def artifact() -> dict[str, Any]:
    """The committed ABI and bytecode."""
    loaded: dict[str, Any] = json.loads(ARTIFACT.read_text())
    return loaded


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def calldata(name: str, types: list[str], *arguments: object) -> bytes:
    """Of a call to the contract."""
    return selector(f"{name}({','.join(types)})") + encode(types, arguments)


@cache
def error_names() -> dict[bytes, str]:
    """Names of the errors that a call can revert with, by selector."""
    entries = [entry for entry in artifact()["abi"] if entry["type"] == "error"]
    named = {selector(f"{e['name']}({','.join(i['type'] for i in e['inputs'])})"): str(e["name"]) for e in entries}
    return named | {selector("Panic(uint256)"): "Panic", selector("Error(string)"): "Error"}


@dataclass(frozen=True)
class Disputed:
    """What OneStepProver calls Step: one leaf of one execution."""

    model_id: Root
    trace_root: Root
    trace_depth: int
    tensor_depth: int
    leaf: int

    @property
    def fields(self) -> tuple[bytes, bytes, int, int, int]:
        return (self.model_id, self.trace_root, self.trace_depth, self.tensor_depth, self.leaf)


class Execution:
    """A program with the values of one execution, as a claimant committed to them, right or wrong."""

    def __init__(self, program: Program, values: list[np.ndarray]) -> None:
        self.program, self.values = program, values

    @cached_property
    def memory(self) -> Memory:
        """What the reference reads from."""
        return Memory(self.program, self.values)

    def bytes_of(self, value: int) -> bytes:
        array = self.values[value]
        return array.astype(array.dtype.newbyteorder("<")).tobytes()

    @cached_property
    def tree(self) -> TraceTree:
        header = self.program.header
        roots = [tensor_tree(self.bytes_of(v), header.tensor_depth).root for v in range(len(self.values))]
        return TraceTree(roots, header.trace_depth, header.tensor_depth, self.bytes_of)

    def place(self, value: int, position: int) -> tuple[int, int]:
        """(leaf among all leaves of the trace, element within it) of an element of a trace value."""
        per_leaf = LEAF_BYTES // self.values[value].dtype.itemsize
        return (value << self.program.header.tensor_depth) + position // per_leaf, position % per_leaf

    def disputed(self, leaf: int) -> Disputed:
        header = self.program.header
        return Disputed(self.program.id, self.tree.root, header.trace_depth, header.tensor_depth, leaf)

    def witness(self, value: int, position: int) -> tuple[Disputed, bytes]:
        """What the contract is asked about one element, and the honest witness for it."""
        leaf, element = self.place(value, position)
        data = self.tree.leaf_bytes(leaf)
        return self.disputed(leaf), step_witness(self.program, self.values, self.tree, leaf, data, element)

    def outline(self, value: int, position: int) -> tuple[Disputed, int, bytes]:
        """What the contract is asked about the parts of one element's reduction: (dispute, element, descriptor)."""
        leaf, element = self.place(value, position)
        return self.disputed(leaf), element, outline_witness(self.program, leaf)

    def part(self, value: int, position: int, number: int) -> tuple[Disputed, int, int, bytes]:
        """What the contract is asked about one part, and the honest witness for it."""
        leaf, element = self.place(value, position)
        witness = part_witness(self.program, self.values, self.tree, leaf, element, number)
        return self.disputed(leaf), element, number, witness

    def epilogue(self, value: int, position: int, acc: int) -> tuple[Disputed, int, int, bytes]:
        """What the contract is asked about one element if its accumulator is ``acc``, and the honest witness for it."""
        leaf, element = self.place(value, position)
        data = self.tree.leaf_bytes(leaf)
        witness = epilogue_witness(self.program, self.values, self.tree, leaf, data, element, acc)
        return self.disputed(leaf), element, acc, witness

    def padding(self, leaf: int) -> tuple[Disputed, bytes]:
        return self.disputed(leaf), padding_witness(self.program, self.tree, leaf, self.tree.leaf_bytes(leaf))


class Prover:
    """The deployed contract. pyrevm is fast, but its gas is not Prague's: it is not reported from here."""

    def __init__(self) -> None:
        self._evm = pyrevm.EVM(gas_limit=GAS)
        self._evm.set_balance(CALLER, 10**30)
        self._address = self._evm.deploy(CALLER, bytes.fromhex(artifact()["bytecode"][2:]))

    def _call(self, name: str, types: list[str], *arguments: object) -> bytes:
        data = calldata(name, types, *arguments)
        try:
            return bytes(self._evm.message_call(CALLER, self._address, calldata=data, is_static=True))
        except RuntimeError as error:
            found = re.search(r"output: 0x([0-9a-f]{8})", str(error))
            raise Refused(error_names().get(bytes.fromhex(found[1]), found[0]) if found else str(error)) from None

    def step(self, disputed: Disputed, witness: bytes) -> tuple[int, int]:
        """(claimed, computed); raises Refused."""
        claimed, computed = decode(["int64", "int64"], self._call("step", STEP_TYPES, disputed.fields, witness))
        return claimed, computed

    def outline(self, disputed: Disputed, element: int, descriptor: bytes) -> tuple[int, int]:
        """(monoid, parts); raises Refused."""
        answer = self._call("outline", OUTLINE_TYPES, disputed.fields, element, descriptor)
        monoid, parts = decode(["uint8", "uint32"], answer)
        return monoid, parts

    def part(self, disputed: Disputed, element: int, number: int, witness: bytes) -> tuple[int, int]:
        """(value, position); raises Refused."""
        answer = self._call("part", PART_TYPES, disputed.fields, element, number, witness)
        value, position = decode(["int64", "uint64"], answer)
        return value, position

    def epilogue(self, disputed: Disputed, element: int, acc: int, witness: bytes) -> tuple[int, int]:
        """(claimed, computed); raises Refused."""
        answer = self._call("epilogue", EPILOGUE_TYPES, disputed.fields, element, acc, witness)
        claimed, computed = decode(["int64", "int64"], answer)
        return claimed, computed

    def padding(self, disputed: Disputed, witness: bytes) -> bool:
        """Whether a byte behind the last element is not zero; raises Refused."""
        (non_zero,) = decode(["bool"], self._call("padding", STEP_TYPES, disputed.fields, witness))
        return bool(non_zero)


def seed_of(*parts: object) -> int:
    """A seed that depends on nothing but its parts."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8], "big")
