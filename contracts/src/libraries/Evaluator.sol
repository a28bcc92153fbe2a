// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITERATION, Opcodes} from "../generated/Opcodes.sol";
import {Arithmetic} from "./Arithmetic.sol";
import {Calldata} from "./Calldata.sol";
import {Access, Descriptor, Op} from "./Op.sol";
import {Evaluation, Operands} from "./Operands.sol";

/// @title Evaluator
/// @notice Recomputes one element of one op; with Operands and Reduction the twin of `rollup/machine/reference.py`.
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(unsafe-typecast)
library Evaluator {
    using Calldata for uint256;

    /// @notice The op's code names register, access or opcode `number`, which does not exist there.
    error NoSuch(uint256 number);
    /// @notice The descriptor does not end where its code does, at calldata offset `end`.
    error DescriptorLength(uint256 end);

    /// @notice Row-major coordinates of a position.
    function unravel(uint256 position, uint256[] memory shape) internal pure returns (uint256[] memory coordinates) {
        unchecked {
            coordinates = new uint256[](shape.length);
            for (uint256 d = shape.length; d != 0;) {
                --d;
                coordinates[d] = position % shape[d];
                position /= shape[d];
            }
        }
    }

    /// @notice The output element that the op's code makes of the accumulator `acc`, cast to the op's dtype.
    /// @param end calldata offset where the descriptor ends, and so must its code
    function map(Evaluation memory self, int256 acc, uint256 end) internal pure returns (int64) {
        unchecked {
            Descriptor memory op = self.op;
            int256[] memory registers = new int256[](op.instructions + 1);
            registers[0] = acc;
            self.k = new uint256[](0);
            uint256 cursor = op.code;
            for (uint256 n = 1; n <= op.instructions; ++n) {
                (registers[n], cursor) = instruction(self, registers, n, cursor);
            }
            if (cursor != end) revert DescriptorLength(cursor);
            return Arithmetic.cast(registers[op.instructions], op.shift);
        }
    }

    /// @notice Result of instruction `n` at calldata offset `cursor`, as a signed 64-bit number, and where the next one begins.
    function instruction(Evaluation memory self, int256[] memory registers, uint256 n, uint256 cursor)
        internal
        pure
        returns (int256 result, uint256 next)
    {
        unchecked {
            uint256 opcode = cursor.u8();
            uint256 first = (cursor + 1).u8();
            if (opcode == Opcodes.CONST) return ((cursor + 1).i64(), cursor + 9);
            if (opcode == Opcodes.INDEX) return (_index(self, first), cursor + 2);
            if (opcode == Opcodes.LOAD) {
                Access memory access = _codeAccess(self, first);
                return (Operands.load(self, access), cursor + 2);
            }
            if (opcode == Opcodes.GATHER) {
                return
                    (
                        Operands.load(self, _codeAccess(self, first), _register(registers, (cursor + 2).u8(), n)),
                        cursor + 3
                    );
            }
            int256 a = _register(registers, first, n);
            if (opcode == Opcodes.ABS) return (Arithmetic.wrap(a < 0 ? -a : a), cursor + 2);
            if (opcode == Opcodes.BITLEN) return (int256(Arithmetic.bitLength(uint256(a < 0 ? -a : a))), cursor + 2);
            if (opcode == Opcodes.ISQRT) return (int256(Arithmetic.squareRoot(a)), cursor + 2);
            int256 b = _register(registers, (cursor + 2).u8(), n);
            next = cursor + 3;
            if (opcode == Opcodes.ADD) return (Arithmetic.wrap(a + b), next);
            if (opcode == Opcodes.SUB) return (Arithmetic.wrap(a - b), next);
            if (opcode == Opcodes.MUL) return (Arithmetic.wrap(a * b), next);
            if (opcode == Opcodes.DIV) return (Arithmetic.wrap(Arithmetic.floorDiv(a, b)), next);
            if (opcode == Opcodes.SHL) return (b >= 0 && b < 64 ? Arithmetic.wrap(a << uint256(b)) : int256(0), next);
            if (opcode == Opcodes.SHR) return (Arithmetic.wrap(Arithmetic.roundingShift(a, b, 65)), next);
            if (opcode == Opcodes.AND) return (a & b, next);
            if (opcode == Opcodes.OR) return (a | b, next);
            if (opcode == Opcodes.XOR) return (a ^ b, next);
            if (opcode == Opcodes.MIN) return (a < b ? a : b, next);
            if (opcode == Opcodes.MAX) return (a < b ? b : a, next);
            if (opcode == Opcodes.LESS) return (a < b ? int256(1) : int256(0), next);
            if (opcode == Opcodes.EQUAL) return (a == b ? int256(1) : int256(0), next);
            int256 c = _register(registers, (cursor + 3).u8(), n);
            next = cursor + 4;
            if (opcode == Opcodes.MULSHIFT) return (Arithmetic.wrap(Arithmetic.roundingShift(a * b, c, 128)), next);
            if (opcode == Opcodes.SELECT) return (a != 0 ? b : c, next);
            revert NoSuch(opcode);
        }
    }

    function _register(int256[] memory registers, uint256 number, uint256 defined) private pure returns (int256) {
        if (number >= defined) revert NoSuch(number);
        return registers[number];
    }

    function _codeAccess(Evaluation memory self, uint256 number) private pure returns (Access memory) {
        if (number >= self.op.accesses.length) revert NoSuch(number);
        return self.op.accesses[number];
    }

    function _index(Evaluation memory self, uint256 variable) private pure returns (int256) {
        if (variable == ITERATION) return int256(self.op.t);
        if (variable >= self.op.coordinates.length) revert Op.NoVariable(variable);
        return int256(self.op.coordinates[variable]);
    }
}
