// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITERATION, Monoids, NO_DIMENSION, Opcodes} from "../generated/Opcodes.sol";
import {Calldata} from "./Calldata.sol";
import {Kernels} from "./Kernels.sol";
import {Access, Descriptor, Dimension, Op} from "./Op.sol";
import {Memory, Witness} from "./Witness.sol";

/// @notice One evaluation: an op at one output element, with what it may read.
/// @param value trace index of the output: operands come before it, @param tensorDepth levels of a trace entry
/// @param k the box coordinates, @param inner the box dimension that a row runs along, @param count steps of a row
/// @param best of the monoids with an order: the largest so far (of the negated elements for a minimum), @param bestAt
///        its box position
struct Evaluation {
    Descriptor op;
    Memory store;
    uint256 value;
    uint256 tensorDepth;
    uint256[] k;
    uint256 inner;
    int256 count;
    int256 sum;
    int256 best;
    uint256 bestAt;
}

/// @title Evaluator
/// @notice Recomputes one element of one op; the twin of `rollup/machine/reference.py`, whose names it uses.
/// @dev Numbers are 256 bits wide and hold signed 64-bit values: coefficients have 32 bits and registers 64, tensors at most
///      2^64 elements, so that no coordinate, position or product comes near the width, and arithmetic is unchecked.
library Evaluator {
    using Calldata for uint256;
    using Witness for Memory;

    /// @notice The op reads trace value `operand`, which does not come before the disputed one.
    error OperandNotBefore(uint256 operand);
    /// @notice The op reads behind the end of an operand's tree: the access's dimensions are not the operand's.
    error OutsideOperand(uint256 leaf);
    /// @notice An access in the op's code depends on box coordinate `variable`, and code stands outside of the box.
    error BoxInCode(uint256 variable);
    /// @notice The op's code names register, access or opcode `number`, which does not exist there.
    error NoSuch(uint256 number);
    /// @notice The descriptor ends elsewhere than its code does.
    error DescriptorLength(uint256 length);

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

    /// @notice The number's lowest 64 bits, signed.
    function wrap(int256 number) internal pure returns (int256) {
        return int64(number);
    }

    /// @notice Trace value that the access reads; `stacked` is coordinate 0 of a stack access.
    function valueIndex(Access memory access, int256 stacked) internal pure returns (uint256) {
        unchecked {
            return uint32(access.base + access.stack * uint256(stacked));
        }
    }

    /// @notice The output element: reduce, then map, then cast.
    /// @param end calldata offset where the descriptor ends, and so must its code
    function evaluate(Evaluation memory self, uint256 end) internal pure returns (int64) {
        unchecked {
            Descriptor memory op = self.op;
            int256[] memory registers = new int256[](op.instructions + 1);
            registers[0] = reduce(self);
            self.k = new uint256[](0);
            uint256 cursor = op.code;
            for (uint256 n = 1; n <= op.instructions; ++n) {
                (registers[n], cursor) = instruction(self, registers, n, cursor);
            }
            if (cursor != end) revert DescriptorLength(cursor);
            return cast(registers[op.instructions], op.shift);
        }
    }

    /// @notice The number's lowest 8 << shift bits, signed.
    function cast(int256 number, uint256 shift) internal pure returns (int64) {
        if (shift == 0) return int8(number);
        if (shift == 1) return int16(number);
        if (shift == 2) return int32(number);
        return int64(number);
    }

    /// @notice The element that the access reads at the box coordinates `self.k`.
    function load(Evaluation memory self, Access memory access) internal pure returns (int256) {
        return load(self, access, _indirect(self, access));
    }

    /// @notice The same with `added` for its indirect coordinate.
    function load(Evaluation memory self, Access memory access, int256 added) internal pure returns (int256) {
        (bool within, int256 element) = locate(self, access, added);
        return within ? _read(self, access, element) : access.fill;
    }

    /// @notice x * y at the box coordinates, modulo 2^64; 0 without factors.
    /// @dev Under a sum a factor that is filled with zero settles the product: the other one is located, but not read.
    function term(Evaluation memory self) internal pure returns (int256 product) {
        unchecked {
            uint256 factors = self.op.factors;
            if (factors == 0) return 0;
            Access memory x = self.op.accesses[0];
            if (factors == 1) return load(self, x);
            Access memory y = self.op.accesses[1];
            // In this order x stays located: should it be y's index, it is located once more, to the same place.
            (bool yWithin, int256 b) = locate(self, y, _indirect(self, y));
            (bool xWithin, int256 a) = locate(self, x, _indirect(self, x));
            if (self.op.monoid == Monoids.SUM && ((!xWithin && x.fill == 0) || (!yWithin && y.fill == 0))) return 0;
            a = xWithin ? _read(self, x, a) : x.fill;
            return wrap(a * (yWithin ? _read(self, y, b) : y.fill));
        }
    }

    /// @notice The element that the access addresses at the box coordinates, unless a coordinate lies outside.
    function locate(Evaluation memory self, Access memory access, int256 added)
        internal
        pure
        returns (bool within, int256 element)
    {
        unchecked {
            place(self, access, added);
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                int256 coordinate = dimension.coordinate;
                if (coordinate < 0 || coordinate >= dimension.size) return (false, 0);
                element += coordinate * dimension.stride;
            }
            within = true;
        }
    }

    /// @notice Sets every dimension's coordinate for the box coordinates `self.k`.
    function place(Evaluation memory self, Access memory access, int256 added) internal pure {
        unchecked {
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                dimension.coordinate = dimension.start;
            }
            int256[] memory terms = access.terms;
            uint256[] memory k = self.k;
            for (uint256 j = 0; j < terms.length; ++j) {
                int256 packed = terms[j];
                uint256 variable = uint8(uint256(packed) >> 8);
                if (variable >= k.length) revert BoxInCode(variable);
                dimensions[uint8(uint256(packed))].coordinate += (packed >> 16) * int256(k[variable]);
            }
            if (access.indirect != NO_DIMENSION) dimensions[access.indirect].coordinate += added;
        }
    }

    /// @notice Calldata offset of element `low` of the tensor that the access (placed before) reads.
    /// @dev All leaves from that of `low` to that of `high` count as read. `low` must not lie behind `high`, and both must
    ///      lie inside the access's dimensions.
    function reach(Evaluation memory self, Access memory access, int256 low, int256 high) internal pure returns (uint256) {
        unchecked {
            uint256 from = uint256(low) << access.shift;
            uint256 leaf = from >> 10;
            uint256 last = (uint256(high) << access.shift) >> 10;
            uint256 count = last - leaf + 1;
            if (!access.isConstant) {
                uint256 operand = valueIndex(access, access.stack == 0 ? int256(0) : access.dimensions[0].coordinate);
                if (operand >= self.value) revert OperandNotBefore(operand);
                if (last >> self.tensorDepth != 0) revert OutsideOperand(last);
                leaf += operand << self.tensorDepth;
            }
            return self.store.locate(access.tree, leaf, count) + (from & 1023);
        }
    }

    function _read(Evaluation memory self, Access memory access, int256 element) private pure returns (int256) {
        return Kernels.read(reach(self, access, element, element), access.shift);
    }

    function _indirect(Evaluation memory self, Access memory access) private pure returns (int256) {
        return access.indirect == NO_DIMENSION ? int256(0) : load(self, self.op.accesses[access.index]);
    }

    /// @notice The monoid over the box, row by row along its last dimension of more than one element.
    function reduce(Evaluation memory self) internal pure returns (int256) {
        unchecked {
            Descriptor memory op = self.op;
            uint256[] memory box = op.box;
            uint256[] memory k = new uint256[](box.length);
            self.k = k;
            if (op.factors == 0) return 0;
            uint256 inner = box.length;
            while (inner != 0 && box[inner - 1] == 1) --inner;
            self.count = inner == 0 ? int256(1) : int256(box[inner - 1]);
            // Without such a dimension, `inner` names a variable that no term has.
            self.inner = inner == 0 ? box.length : inner - 1;
            self.best = type(int256).min;
            bool rows = true;
            for (uint256 j = 0; j < op.factors; ++j) {
                if (_scattered(self, op.accesses[j])) rows = false;
                _slopes(self, op.accesses[j]);
            }
            uint256 position = 0;
            uint256 turned;
            do {
                if (rows) row(self, position);
                else _slowRow(self, position);
                position += uint256(self.count);
                turned = self.inner == box.length ? 0 : self.inner;
                while (turned != 0) {
                    --turned;
                    if (++k[turned] < box[turned]) {
                        ++turned;
                        break;
                    }
                    k[turned] = 0;
                }
            } while (turned != 0);
            return _result(self);
        }
    }

    function _result(Evaluation memory self) private pure returns (int256) {
        unchecked {
            uint256 monoid = self.op.monoid;
            if (monoid <= Monoids.SUM) return wrap(self.sum);
            if (monoid == Monoids.MAX) return self.best;
            if (monoid == Monoids.MIN) return -self.best;
            return int256(self.bestAt);
        }
    }

    /// @dev Whether a step along the row changes the value that is read, or an index.
    function _scattered(Evaluation memory self, Access memory access) private pure returns (bool) {
        if (access.stack != 0) {
            for (uint256 j = 0; j < access.terms.length; ++j) {
                if (uint16(uint256(access.terms[j])) == self.inner << 8) return true;
            }
        }
        return access.indirect != NO_DIMENSION && _varies(self, self.op.accesses[access.index]);
    }

    /// @dev Whether a step along the row can change what the access reads.
    function _varies(Evaluation memory self, Access memory access) private pure returns (bool) {
        for (uint256 j = 0; j < access.terms.length; ++j) {
            if (uint8(uint256(access.terms[j]) >> 8) == self.inner) return true;
        }
        return access.indirect != NO_DIMENSION && _varies(self, self.op.accesses[access.index]);
    }

    function _slopes(Evaluation memory self, Access memory access) private pure {
        unchecked {
            for (uint256 j = 0; j < access.terms.length; ++j) {
                int256 packed = access.terms[j];
                if (uint8(uint256(packed) >> 8) == self.inner) {
                    access.dimensions[uint8(uint256(packed))].slope += packed >> 16;
                }
            }
        }
    }

    /// @notice Reduces the row at the box coordinates, whose `self.inner` is 0, and whose box position is `position`.
    /// @dev A row is cut where an access enters or leaves its operand.
    function row(Evaluation memory self, uint256 position) internal pure {
        unchecked {
            Access memory x = self.op.accesses[0];
            span(self, x);
            if (self.op.factors == 1) {
                _fill(self, x.fill, x.lo, position);
                _chunk(self, x, x.lo, x.hi, position);
                _fill(self, x.fill, self.count - x.hi, position + uint256(x.hi));
                return;
            }
            Access memory y = self.op.accesses[1];
            span(self, y);
            bool whole = x.hi - x.lo == self.count && y.hi - y.lo == self.count;
            if (whole) {
                _chunk(self, x, y, 0, self.count, position);
            } else if (self.op.monoid == Monoids.SUM && x.fill == 0 && y.fill == 0) {
                // What meets a zero fill adds nothing, and is not read.
                int256 lo = x.lo > y.lo ? x.lo : y.lo;
                _chunk(self, x, y, lo, x.hi < y.hi ? x.hi : y.hi, position);
            } else {
                _slowRow(self, position);
            }
        }
    }

    /// @dev Element by element, as the reference does it.
    function _slowRow(Evaluation memory self, uint256 position) private pure {
        unchecked {
            uint256 count = uint256(self.count);
            bool moves = self.inner < self.k.length;
            for (uint256 j = 0; j < count; ++j) {
                if (moves) self.k[self.inner] = j;
                _fill(self, term(self), 1, position + j);
            }
            if (moves) self.k[self.inner] = 0;
        }
    }

    /// @notice Finds where the row lies inside of the access's dimensions, and which elements it reads there.
    function span(Evaluation memory self, Access memory access) internal pure {
        unchecked {
            place(self, access, _indirect(self, access));
            int256 count = self.count;
            int256 lo = 0;
            int256 hi = count;
            int256 element = 0;
            int256 step = 0;
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                int256 coordinate = dimension.coordinate;
                int256 slope = dimension.slope;
                if (slope == 0) {
                    if (coordinate < 0 || coordinate >= dimension.size) hi = 0;
                } else {
                    (int256 enters, int256 leaves) = inside(coordinate, slope, dimension.size);
                    if (enters > lo) lo = enters;
                    if (leaves < hi) hi = leaves;
                    step += slope * dimension.stride;
                }
                element += coordinate * dimension.stride;
            }
            if (lo > count) lo = count;
            access.lo = lo;
            access.hi = hi < lo ? lo : hi;
            access.element = element;
            access.step = step;
        }
    }

    /// @notice The k with 0 <= coordinate + slope * k < size are those of [enters, leaves); slope is not 0.
    function inside(int256 coordinate, int256 slope, int256 size) internal pure returns (int256 enters, int256 leaves) {
        unchecked {
            return slope > 0
                ? (_ceilDiv(-coordinate, slope), _ceilDiv(size - coordinate, slope))
                : (_ceilDiv(coordinate - size + 1, -slope), _ceilDiv(coordinate + 1, -slope));
        }
    }

    function _ceilDiv(int256 a, int256 b) private pure returns (int256) {
        unchecked {
            return a > 0 ? (a - 1) / b + 1 : a / b;
        }
    }

    /// @dev Takes `count` equal elements into the reduction, the first at box position `position`.
    function _fill(Evaluation memory self, int256 element, int256 count, uint256 position) private pure {
        unchecked {
            if (count <= 0) return;
            uint256 monoid = self.op.monoid;
            if (monoid <= Monoids.SUM) {
                self.sum += element * count;
                return;
            }
            if (monoid == Monoids.MIN || monoid == Monoids.ARGMIN) element = -element;
            if (element > self.best) {
                self.best = element;
                self.bestAt = position;
            }
        }
    }

    /// @dev Whether the leaves from a row's first element to its last have all to be read.
    function _dense(Access memory access) private pure returns (bool) {
        unchecked {
            int256 step = access.step < 0 ? -access.step : access.step;
            return step <= int256(1024 >> access.shift);
        }
    }

    /// @dev Calldata offset of step `lo` of the row; everything in [lo, hi), which is dense or one element, counts as read.
    function _reachRow(Evaluation memory self, Access memory access, int256 lo, int256 hi) private pure returns (uint256) {
        unchecked {
            int256 first = access.element + access.step * lo;
            int256 last = access.element + access.step * (hi - 1);
            if (access.step >= 0) return reach(self, access, first, last);
            return reach(self, access, last, first) + (uint256(first - last) << access.shift);
        }
    }

    /// @dev One factor over [lo, hi) of the row.
    function _chunk(Evaluation memory self, Access memory x, int256 lo, int256 hi, uint256 position) private pure {
        unchecked {
            int256 length = _dense(x) ? hi - lo : int256(1);
            for (; lo < hi; lo += length) {
                uint256 from = _reachRow(self, x, lo, lo + length);
                uint256 bytesStep = uint256(x.step) << x.shift;
                if (self.op.monoid > Monoids.SUM) {
                    _extreme(self, from, bytesStep, x.shift, uint256(length), position + uint256(lo));
                } else if (x.step == 1 && x.shift < 3) {
                    self.sum += Kernels.total(from, x.shift, uint256(length));
                } else {
                    self.sum += Kernels.totalStrided(from, bytesStep, x.shift, uint256(length));
                }
            }
        }
    }

    /// @dev Two factors over [lo, hi) of the row.
    function _chunk(
        Evaluation memory self,
        Access memory x,
        Access memory y,
        int256 lo,
        int256 hi,
        uint256 position
    ) private pure {
        unchecked {
            int256 length = _dense(x) && _dense(y) ? hi - lo : int256(1);
            for (; lo < hi; lo += length) {
                uint256 a = _reachRow(self, x, lo, lo + length);
                uint256 b = _reachRow(self, y, lo, lo + length);
                if (self.op.monoid > Monoids.SUM) {
                    for (int256 j = 0; j < length; ++j) {
                        int256 product = wrap(Kernels.read(a, x.shift) * Kernels.read(b, y.shift));
                        _fill(self, product, 1, position + uint256(lo + j));
                        a += uint256(x.step) << x.shift;
                        b += uint256(y.step) << y.shift;
                    }
                } else if (x.step == 1 && y.step == 1 && x.shift < 2 && y.shift < 2) {
                    self.sum += Kernels.dot(a, x.shift, b, y.shift, uint256(length));
                } else {
                    self.sum += Kernels.dotStrided(
                        a, uint256(x.step) << x.shift, x.shift, b, uint256(y.step) << y.shift, y.shift, uint256(length)
                    );
                }
            }
        }
    }

    function _extreme(Evaluation memory self, uint256 cursor, uint256 step, uint256 shift, uint256 count, uint256 position)
        private
        pure
    {
        unchecked {
            int256 sign = self.op.monoid == Monoids.MIN || self.op.monoid == Monoids.ARGMIN ? -1 : int256(1);
            (int256 best, uint256 index) = Kernels.largest(cursor, step, shift, count, sign);
            if (best > self.best) {
                self.best = best;
                self.bestAt = position + index;
            }
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
                return (load(self, access), cursor + 2);
            }
            if (opcode == Opcodes.LOOK) {
                return (load(self, _codeAccess(self, first), _register(registers, (cursor + 2).u8(), n)), cursor + 3);
            }
            int256 a = _register(registers, first, n);
            if (opcode == Opcodes.ABS) return (wrap(a < 0 ? -a : a), cursor + 2);
            if (opcode == Opcodes.BITLEN) return (int256(bitLength(uint256(a < 0 ? -a : a))), cursor + 2);
            if (opcode == Opcodes.ISQRT) return (int256(squareRoot(a)), cursor + 2);
            int256 b = _register(registers, (cursor + 2).u8(), n);
            next = cursor + 3;
            if (opcode == Opcodes.ADD) return (wrap(a + b), next);
            if (opcode == Opcodes.SUB) return (wrap(a - b), next);
            if (opcode == Opcodes.MUL) return (wrap(a * b), next);
            if (opcode == Opcodes.DIV) return (wrap(floorDiv(a, b)), next);
            if (opcode == Opcodes.SHL) return (b >= 0 && b < 64 ? wrap(a << uint256(b)) : int256(0), next);
            if (opcode == Opcodes.SHR) return (wrap(roundingShift(a, b, 65)), next);
            if (opcode == Opcodes.AND) return (a & b, next);
            if (opcode == Opcodes.OR) return (a | b, next);
            if (opcode == Opcodes.XOR) return (a ^ b, next);
            if (opcode == Opcodes.MIN) return (a < b ? a : b, next);
            if (opcode == Opcodes.MAX) return (a < b ? b : a, next);
            if (opcode == Opcodes.LESS) return (a < b ? int256(1) : int256(0), next);
            if (opcode == Opcodes.EQUAL) return (a == b ? int256(1) : int256(0), next);
            int256 c = _register(registers, (cursor + 3).u8(), n);
            next = cursor + 4;
            if (opcode == Opcodes.MULSHIFT) return (wrap(roundingShift(a * b, c, 128)), next);
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

    /// @notice floor(a / b); 0 if b is 0.
    function floorDiv(int256 a, int256 b) internal pure returns (int256 quotient) {
        unchecked {
            if (b == 0) return 0;
            quotient = a / b;
            if ((a < 0) != (b < 0) && quotient * b != a) --quotient;
        }
    }

    /// @notice floor((number + 2^(s-1)) / 2^s), a left shift for negative s; s is first clamped to [-64, limit].
    function roundingShift(int256 number, int256 s, int256 limit) internal pure returns (int256) {
        unchecked {
            if (s < -64) s = -64;
            if (s > limit) s = limit;
            if (s <= 0) return number << uint256(-s);
            return (number + (int256(1) << uint256(s - 1))) >> uint256(s);
        }
    }

    /// @notice Bits of the number, which has at most 64.
    function bitLength(uint256 number) internal pure returns (uint256 bits) {
        unchecked {
            for (uint256 half = 64; half != 0; half >>= 1) {
                if (number >> half != 0) {
                    number >>= half;
                    bits += half;
                }
            }
            return bits + number;
        }
    }

    /// @notice floor(sqrt(number)) of a number of at most 64 bits; 0 for negative ones.
    function squareRoot(int256 number) internal pure returns (uint256 root) {
        unchecked {
            if (number <= 0) return 0;
            uint256 square = uint256(number);
            root = 1 << ((bitLength(square) + 1) >> 1);
            while (true) {
                uint256 next = (root + square / root) >> 1;
                if (next >= root) return root;
                root = next;
            }
        }
    }
}
