// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITERATION, MAX_RANK, Monoids, NO_DIMENSION} from "../generated/Opcodes.sol";
import {Calldata} from "./Calldata.sol";

/// @notice One dimension of an access.
/// @param size elements along it
/// @param start the coordinate without the domain's part: offset, output coordinates and iteration
/// @param stride elements of the tensor between neighbours; 0 where the dimension selects a value
/// @param coordinate where it was placed last: the lowest one, if it was placed for the whole domain; @param high the highest
/// @param slope coefficient and @param variable domain dimension of one of the @param moves terms over the domain; where the domain
///        goes row by row, slope is the whole change from one element of a row to the next
struct Dimension {
    int256 size;
    int256 start;
    int256 stride;
    int256 coordinate;
    int256 high;
    int256 slope;
    uint256 variable;
    uint256 moves;
}

/// @notice Where an op reads, with the output coordinates and the iteration put in.
/// @param isConstant whether it reads a constant (by `root`), else the trace value `base + stack * coordinate 0`
/// @param shift elements have 1 << shift bytes
/// @param elements of the tensor
/// @param tree the runs of leaves that the witness gives of the source
/// @param terms those over domain dimensions: coef << 16 | domain dimension << 8 | dimension
/// @param operand the trace value that was selected last
/// @param element read first, where the access is linear over the domain, and then @param steps elements on per step of a domain
///        dimension, steps[0] in a row
/// @param enters @param leaves of a row: the access lies inside its dimensions from the one to in front of the other
struct Access {
    bool isConstant;
    bytes32 root;
    uint256 shift;
    uint256 base;
    uint256 stack;
    int256 fill;
    uint256 indirect;
    uint256 index;
    uint256 elements;
    uint256[] tree;
    Dimension[] dimensions;
    int256[] terms;
    uint256 operand;
    int256 element;
    int256[] steps;
    int256 enters;
    int256 leaves;
}

/// @notice An op, for one iteration and one output element.
/// @param t the iteration, @param shift output elements have 1 << shift bytes, @param elements of the output
/// @param coordinates of the output element
/// @param part most positions of the domain that one proof covers; 0: all of them
/// @param code calldata offset of the instructions, @param instructions how many
struct Descriptor {
    uint256 t;
    uint256 monoid;
    uint256 shift;
    uint256 factors;
    uint256 elements;
    uint256[] shape;
    uint256[] coordinates;
    uint256[] domain;
    uint256 part;
    Access[] accesses;
    uint256 code;
    uint256 instructions;
}

/// @title Op
/// @notice Reads op descriptors (docs/formats.md, *Descriptor encoding*).
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(unsafe-typecast)
library Op {
    using Calldata for uint256;

    /// @notice The descriptor does not execute trace index `value`; take the descriptor of the disputed value.
    error NotExecuted(uint256 value);
    /// @notice The descriptor breaks its format at byte `position`.
    error Malformed(uint256 position);
    /// @notice The op's code or an access uses variable `variable`, which does not exist there.
    error NoVariable(uint256 variable);

    /// @dev Beyond this many elements a tensor has no place in any trace; the limit keeps all arithmetic inside 256 bits.
    uint256 private constant MAX_ELEMENTS = 1 << 64;

    /// @notice Everything up to the output's dimensions, which says what is computed at all.
    /// @param value trace index that the descriptor must execute
    /// @return op with t, monoid, shift, factors, shape and elements, @return cursor where the domain begins
    function head(bytes calldata data, uint256 value) internal pure returns (Descriptor memory op, uint256 cursor) {
        uint256 start = Calldata.offsetOf(data);
        uint256 first = start.u32();
        uint256 body = (start + 4).u32();
        if (value < first || body == 0 || (value - first) % body != 0) revert NotExecuted(value);
        op.t = (value - first) / body;
        if (op.t >= (start + 8).u32()) revert NotExecuted(value);
        op.monoid = (start + 12).u8();
        op.shift = (start + 13).u8();
        op.factors = (start + 14).u8();
        if (op.monoid > Monoids.ARGMIN || op.shift > 3 || op.factors > 2) revert Malformed(12);
        cursor = start + 15;
        (op.shape, op.elements, cursor) = _dims(cursor, start);
        if (cursor > start + data.length) revert Malformed(data.length);
    }

    /// @notice The reduction domain and the size of its parts.
    /// @param cursor where the domain begins
    /// @return next where the accesses begin
    function reduction(Descriptor memory op, bytes calldata data, uint256 cursor) internal pure returns (uint256 next) {
        unchecked {
            uint256 start = Calldata.offsetOf(data);
            uint256 boxElements;
            (op.domain, boxElements, cursor) = _dims(cursor, start);
            // An empty domain dimension leaves nothing to reduce; without a monoid there is exactly one element.
            if (boxElements == 0 || (op.monoid == Monoids.NONE && boxElements != 1)) revert Malformed(cursor - start);
            op.part = cursor.u32();
            return cursor + 4;
        }
    }

    /// @notice The rest of the descriptor; `op.coordinates` and the domain must be set.
    /// @param cursor where the accesses begin
    function tail(Descriptor memory op, bytes calldata data, uint256 cursor) internal pure {
        unchecked {
            uint256 start = Calldata.offsetOf(data);
            uint256 count = cursor.u8();
            ++cursor;
            if (op.factors > count) revert Malformed(cursor - start);
            Access[] memory accesses = new Access[](count);
            op.accesses = accesses;
            for (uint256 j = 0; j < count; ++j) {
                cursor = _access(op, accesses[j], cursor, start);
            }
            op.instructions = cursor.u8();
            op.code = cursor + 1;
        }
    }

    function _dims(uint256 cursor, uint256 start)
        private
        pure
        returns (uint256[] memory dims, uint256 elements, uint256)
    {
        unchecked {
            uint256 rank = cursor.u8();
            if (rank > MAX_RANK) revert Malformed(cursor - start);
            ++cursor;
            dims = new uint256[](rank);
            elements = 1;
            for (uint256 d = 0; d < rank; ++d) {
                uint256 size = cursor.u32();
                dims[d] = size;
                elements *= size;
                if (elements > MAX_ELEMENTS) revert Malformed(cursor - start);
                cursor += 4;
            }
            return (dims, elements, cursor);
        }
    }

    function _access(Descriptor memory op, Access memory access, uint256 cursor, uint256 start)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 kind = cursor.u8();
            access.shift = (cursor + 1).u8();
            if (kind > 2 || access.shift > 3) revert Malformed(cursor - start);
            cursor += 2;
            if (kind == 0) {
                access.isConstant = true;
                access.root = cursor.word();
                cursor += 32;
            } else {
                // value_index without the stack's part; both bases wrap modulo 2^32 where they are used.
                access.base = cursor.u32() + (cursor + 4).u32() * op.t;
                cursor += 8;
                if (kind == 2) {
                    if (op.t == 0) access.base = cursor.u32();
                    cursor += 4;
                }
            }
            uint256 stack = cursor.u32();
            access.stack = stack;
            access.fill = (cursor + 4).i64();
            access.indirect = (cursor + 12).u8();
            access.index = (cursor + 13).u8();
            cursor += 14;
            uint256 rank = cursor.u8();
            bool direct = access.indirect == NO_DIMENSION;
            if (
                rank > MAX_RANK
                    || (direct ? access.index != 0 : access.indirect >= rank || access.index >= op.accesses.length)
                    || (stack != 0 && (rank == 0 || access.isConstant))
            ) revert Malformed(cursor - start);
            ++cursor;
            cursor = _dimensions(access, cursor, rank, start);
            return _terms(op, access, cursor, start);
        }
    }

    function _dimensions(Access memory access, uint256 cursor, uint256 rank, uint256 start)
        private
        pure
        returns (uint256)
    {
        unchecked {
            Dimension[] memory dimensions = new Dimension[](rank);
            access.dimensions = dimensions;
            uint256 elements = 1;
            for (uint256 d = rank; d != 0;) {
                --d;
                Dimension memory dimension = dimensions[d];
                uint256 field = cursor + 8 * d;
                uint256 size = field.u32();
                dimension.size = int256(size);
                dimension.start = (field + 4).i32();
                if (d == 0 && access.stack != 0) break;
                dimension.stride = int256(elements);
                elements *= size;
                if (elements > MAX_ELEMENTS) revert Malformed(cursor - start);
            }
            access.elements = elements;
            return cursor + 8 * rank;
        }
    }

    function _terms(Descriptor memory op, Access memory access, uint256 cursor, uint256 start)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 count = cursor.u8();
            ++cursor;
            uint256 rank = access.dimensions.length;
            uint256 outputs = op.coordinates.length;
            uint256 variables = outputs + op.domain.length;
            int256[] memory terms = new int256[](count);
            uint256 kept = 0;
            for (uint256 j = 0; j < count; ++j) {
                uint256 d = cursor.u8();
                uint256 variable = (cursor + 1).u8();
                int256 coef = (cursor + 2).i32();
                if (d >= rank) revert Malformed(cursor - start);
                cursor += 6;
                if (variable == ITERATION) {
                    access.dimensions[d].start += coef * int256(op.t);
                } else if (variable < outputs) {
                    access.dimensions[d].start += coef * int256(op.coordinates[variable]);
                } else if (variable < variables) {
                    terms[kept++] = (coef << 16) | int256(((variable - outputs) << 8) | d);
                } else {
                    revert NoVariable(variable);
                }
            }
            // Only the terms over the domain are left; the array is shortened in place.
            assembly ("memory-safe") {
                mstore(terms, kept)
            }
            access.terms = terms;
            return cursor;
        }
    }
}
