"""What one step costs: whole transactions to OneStepProver under Prague's rules, operands of random bytes.

``python -m tests.contracts.one_step_gas`` rewrites the snapshot one_step_gas.json.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from eth_abi.abi import decode
from eth_tester import EthereumTester, PyEVMBackend

from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import Access, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.l1.answers import BASE_GAS, FLOOR_7976
from rollup.machine.reference import Memory
from rollup.types import DType, Root
from tests.lockstep.evm import (
    EPILOGUE_TYPES,
    OUTLINE_TYPES,
    PART_TYPES,
    STEP_TYPES,
    Execution,
    artifact,
    calldata,
)
from touchstone.demo.demo import lowered
from touchstone.demo.digits import digits

SNAPSHOT = Path(__file__).with_name("one_step_gas.json")
GAS = 20_000_000
IMAGE = (32, 32, 64)
LONGEST, PART = "dot i16 x i16, 16384", 512
VALUES = 50
"""Trace entries, most of them unused by the measured ops: a path as long as that of an ordinary model."""


class Synthetic:
    """A program with one op of each measured kind, over inputs and constants of random bytes."""

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._inputs = [
            TensorType(DType.I16, 0, (1 << 14,)),
            TensorType(DType.I16, 0, IMAGE),
            TensorType(DType.I32, 0, IMAGE),
            TensorType(DType.I32, 0, (128,)),
        ]
        self._inputs += [TensorType(DType.I8, 0, (1,))] * (VALUES - len(self._inputs) - 20)
        self._ops: list[Op] = []
        self._constants: dict[Root, np.ndarray] = {}
        self.names: list[str] = []
        for count in (256, 1024, 4096, 16384):
            self._dot(f"dot i16 x i16, {count}", count, DType.I16)
        self._dot("dot i16 x i8, 4096", 4096, DType.I8)
        self._convolution("convolution 3x3x64, inside", (15, 17, 3))
        self._convolution("convolution 3x3x64, rows cross leaves", (15, 16, 3))
        self._convolution("convolution 3x3x64, corner", (0, 0, 3))
        self._small()

    def _array(self, dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
        return self._random.integers(dtype.min, dtype.max, shape, dtype.numpy, endpoint=True)

    def _constant(self, dtype: DType, shape: tuple[int, ...]) -> Constant:
        array = self._array(dtype, shape)
        root = constant_root(array)
        self._constants[root] = array
        return Constant(root)

    def _add(
        self,
        name: str,
        dtype: DType,
        shape: tuple[int, ...],
        accesses: list[Access],
        domain: tuple[int, ...] = (),
        code: tuple[Instr, ...] = (),
    ) -> None:
        factors = min(2, len(accesses)) if domain else 0
        monoid = Monoid.SUM if domain else Monoid.NONE
        first = len(self._inputs) + len(self._ops)
        self._ops.append(Op(first, 1, 1, monoid, dtype, factors, shape, domain, tuple(accesses), code))
        self.names.append(name)

    def _dot(self, name: str, count: int, weights: DType) -> None:
        x = Access(Value(0), DType.I16, (1 << 14,), (0,), (Term(0, 1, 1),))
        w = Access(self._constant(weights, (16, count)), weights, (16, count), (0, 0), (Term(0, 0, 1), Term(1, 1, 1)))
        self._add(name, DType.I64, (16,), [x, w], (count,))

    def _convolution(self, name: str, place: tuple[int, ...]) -> None:
        """Output (y, x, channel), domain (dy, dx, channel): 3x3, padded by one."""
        terms = (Term(0, 0, 1), Term(0, 3, 1), Term(1, 1, 1), Term(1, 4, 1), Term(2, 5, 1))
        x = Access(Value(1), DType.I16, IMAGE, (-1, -1, 0), terms)
        shape = (64, 3, 3, 64)
        w = Access(
            self._constant(DType.I16, shape), DType.I16, shape, (0,) * 4, tuple(Term(d, 2 + d, 1) for d in range(4))
        )
        scale = Access(self._constant(DType.I32, (64, 2)), DType.I32, (64, 2), (0, 0), (Term(0, 2, 1),))
        shift = Access(scale.source, DType.I32, (64, 2), (0, 1), (Term(0, 2, 1),))
        code = (
            Instr(Opcode.LOAD, (2,)),
            Instr(Opcode.LOAD, (3,)),
            Instr(Opcode.MULSHIFT, (0, 1, 2)),
            Instr(Opcode.CONST, (), 32767),
            Instr(Opcode.MIN, (3, 4)),
            Instr(Opcode.CONST, (), 0),
            Instr(Opcode.MAX, (5, 6)),
        )
        self._add(name, DType.I16, IMAGE, [x, w, scale, shift], (3, 3, 64), code)
        self._places = {**getattr(self, "_places", {}), name: int(np.ravel_multi_index(place, IMAGE))}

    def _small(self) -> None:
        same = tuple(Term(d, d, 1) for d in range(3))
        a = Access(Value(1), DType.I16, IMAGE, (0, 0, 0), same)
        b = Access(Value(2), DType.I32, IMAGE, (0, 0, 0), same)
        load = (Instr(Opcode.LOAD, (0,)), Instr(Opcode.LOAD, (1,)))
        add = (*load, Instr(Opcode.CONST, (), 3), Instr(Opcode.SHR, (2, 3)), Instr(Opcode.ADD, (1, 4)))
        self._add("element-wise, two operands", DType.I32, IMAGE, [a, b], (), add)
        table = Access(self._constant(DType.I16, (1 << 16,)), DType.I16, (1 << 16,), (1 << 15,), (), 0, (0, 1))
        self._add(
            "look-up in 65,536 entries", DType.I16, IMAGE, [a, table], (), (load[0], Instr(Opcode.GATHER, (1, 1)))
        )
        index = Access(self._constant(DType.I16, (128,)), DType.I16, (128,), (0,), (Term(0, 0, 1),))
        rows = Access(
            self._constant(DType.I16, (2048, 128)), DType.I16, (2048, 128), (1024, 0), (Term(1, 1, 1),), 0, (0, 0)
        )
        self._add(
            "row of an embedding",
            DType.I16,
            (128, 128),
            [index, rows],
            (),
            (Instr(Opcode.LOAD, (0,)), Instr(Opcode.GATHER, (1, 1))),
        )
        total = Access(Value(3), DType.I32, (128,), (0,), (Term(0, 0, 1),))
        self._add("sum of 128 i32", DType.I64, (), [total], (128,))
        square = Access(Value(2), DType.I32, (64, 1024), (0, 0), (Term(0, 0, 1), Term(1, 1, 1)))
        self._add("sum of 1,024 squares of i32", DType.I64, (64,), [square, square], (1024,))

    def build(self, off_by: int = 0) -> tuple[Program, list[np.ndarray], list[int]]:
        """(program, all its values, by op the position of the measured element).

        Only that element of an op's output follows from the operands, or is ``off_by`` that much; the other ones make the
        leaf incompressible.
        """
        last = self._ops[-1]
        outputs = [(len(self._inputs) + len(self._ops) - 1, TensorType(last.dtype, 0, last.shape))]
        program = Program.build(self._inputs, outputs, self._ops, self._constants)
        values = [self._array(tensor.dtype, tensor.shape) for tensor in self._inputs]
        positions = []
        for j, op in enumerate(self._ops):
            position = self._places.get(self.names[j], op.elements // 2)
            array = self._array(op.dtype, op.shape)
            right = Memory(program, values).element(len(values), position)
            array.reshape(-1)[position] = right + off_by
            values.append(array)
            positions.append(position)
        return program, values, positions

    def measure(self) -> dict[str, dict[str, int]]:
        """By op: what ``cost`` says of its proof."""
        program, values, positions = self.build()
        execution, chain = Execution(program, values), Chain()
        first = len(self._inputs)
        return {name: cost(chain, execution, first + j, positions[j]) for j, name in enumerate(self.names)}

    def measure_inside(self) -> dict[str, dict[str, int]]:
        """The proofs inside an element of the longest dot, cut into parts of ``PART`` positions."""
        program, values, positions = self.build()
        j = self.names.index(LONGEST)
        ops = [replace(op, part=PART) if j == k else op for k, op in enumerate(program.ops)]
        outputs = list(program.header.outputs)
        cut = Program.build(self._inputs, outputs, ops, self._constants)
        execution, chain, value = Execution(cut, values), Chain(), len(self._inputs) + j
        step = execution.memory.step(value, positions[j])
        disputed, *rest = execution.outline(value, positions[j])
        outline = calldata("outline", OUTLINE_TYPES, disputed.fields, *rest)
        count = partition(ops[j]).count
        assert decode(["uint8", "uint32"], chain.call(outline)) == (Monoid.SUM, count)
        disputed, *rest = execution.part(value, positions[j], count // 2)
        part = calldata("part", PART_TYPES, disputed.fields, *rest)
        assert decode(["int64", "uint64"], chain.call(part)) == step.partial(count // 2)
        disputed, *rest = execution.epilogue(value, positions[j], step.reduce())
        epilogue = calldata("epilogue", EPILOGUE_TYPES, disputed.fields, *rest)
        right = step.evaluate()
        assert decode(["int64", "int64"], chain.call(epilogue)) == (right, right)
        calls = {"outline": outline, f"part of {PART}": part, "epilogue": epilogue}
        return {f"{LONGEST}: {name}": _row(chain, data) for name, data in calls.items()}


def cost(chain: Chain, execution: Execution, value: int, position: int) -> dict[str, int]:
    """Of the proof about one right element: gas of the transaction under Prague's rules and EIP-7976's, calldata bytes, and gas
    under Prague's calldata floor.
    """
    disputed, witness = execution.witness(value, position)
    data = calldata("step", STEP_TYPES, disputed.fields, witness)
    right = int(execution.values[value].reshape(-1)[position])
    assert decode(["int64", "int64"], chain.call(data)) == (right, right), (value, position)
    return _row(chain, data)


def _row(chain: Chain, data: bytes) -> dict[str, int]:
    zeros = data.count(0)
    gas = chain.send(data)
    return {
        "gas": gas,
        "gas_7976": max(gas, BASE_GAS + FLOOR_7976 * len(data)),
        "calldata": len(data),
        "floor": BASE_GAS + 10 * (zeros + 4 * (len(data) - zeros)),
    }


def measure_digits() -> dict[str, dict[str, int]]:
    """Every op of the demo's model on a held-out digit: the dearest of a few elements, corners among them."""
    data = digits()
    model = lowered(data)
    program = model.program
    execution, chain = Execution(program, model.executor.values(model.quantize(data.images[0]))), Chain()
    table = {}
    for value, descriptor, _ in program.op_values():
        elements = program.ops[descriptor].elements
        positions = {0, elements // 3, elements // 2, 2 * elements // 3, elements - 1}
        rows = [cost(chain, execution, int(value), position) for position in sorted(positions)]
        primitive = program.name(descriptor).split(" ")[0]
        table[f"digits, op {value}: {primitive}"] = max(rows, key=lambda row: row["gas"])
    return table


def measure() -> dict[str, dict[str, int]]:
    """All rows of the snapshot."""
    return {**Synthetic().measure(), **Synthetic().measure_inside(), **measure_digits()}


class Chain:
    """An embedded chain under Prague's rules with the contract on it."""

    def __init__(self) -> None:
        parameters = PyEVMBackend.generate_genesis_params({"gas_limit": 2 * GAS})
        self._tester = EthereumTester(PyEVMBackend(genesis_parameters=parameters))
        self._sender = self._tester.get_accounts()[0]
        self._to = self._mine({"data": artifact()["bytecode"]})["contract_address"]

    def _mine(self, fields: dict[str, Any]) -> dict[str, Any]:
        sent = self._tester.send_transaction({"from": self._sender, "gas": GAS, **fields})
        receipt: dict[str, Any] = self._tester.get_transaction_receipt(sent)
        assert receipt["status"] == 1
        return receipt

    def call(self, data: bytes) -> bytes:
        return bytes.fromhex(
            self._tester.call({"from": self._sender, "to": self._to, "gas": GAS, "data": "0x" + data.hex()})[2:]
        )

    def send(self, data: bytes) -> int:
        """Gas that the transaction used."""
        return int(self._mine({"to": self._to, "data": "0x" + data.hex()})["gas_used"])


def main() -> None:
    table = measure()
    SNAPSHOT.write_text(json.dumps(table, indent=1) + "\n")
    width = max(map(len, table))
    for name, row in table.items():
        print(
            f"{name:<{width}}  {row['gas']:>9,} gas, {row['gas_7976']:>9,} under EIP-7976, "
            f"{row['calldata']:>6,} bytes of calldata, floor {row['floor']:>9,}"
        )


if __name__ == "__main__":
    main()
