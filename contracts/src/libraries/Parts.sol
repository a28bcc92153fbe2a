// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FAN_OUT} from "../generated/Opcodes.sol";

/// @notice How a reduction domain is cut into parts.
/// @param domain its dimensions, row-major
/// @param axis the domain axis that is cut, @param step positions of it in a part
/// @param inner positions behind one position of the axis
/// @param each parts along the axis, of which the last may be shorter
/// @param count all parts
struct Partition {
    uint256[] domain;
    uint256 axis;
    uint256 step;
    uint256 inner;
    uint256 each;
    uint256 count;
}

/// @title Parts
/// @notice Cuts the reduction domain of a long op into parts, each small enough for one proof; the twin of `rollup/form/parts.py`.
/// @dev A part is a range of one axis of the domain, at one position of the axes before it, over all of the axes after it: so
///      the parts in order are consecutive ranges of row-major positions. They are the leaves of a tree with `FAN_OUT`
///      children a node.
// Sizes and positions have at most 64 bits.
// forge-lint: disable-next-item(unsafe-typecast)
library Parts {
    /// @notice The partition of a domain (without empty dimensions) into parts of at most `part` positions; 0: one part.
    function cut(uint256[] memory domain, uint256 part) internal pure returns (Partition memory made) {
        unchecked {
            uint256 axis = domain.length;
            uint256 inner = 1;
            while (axis != 0 && inner * domain[axis - 1] <= part) {
                inner *= domain[--axis];
            }
            made.domain = domain;
            made.each = 1;
            made.count = 1;
            if (part == 0 || axis == 0) {
                made.step = domain.length == 0 ? 1 : domain[0];
                made.inner = 1;
                for (uint256 v = 1; v < domain.length; ++v) {
                    made.inner *= domain[v];
                }
                return made;
            }
            made.axis = --axis;
            made.step = part / inner;
            made.inner = inner;
            made.each = (domain[axis] - 1) / made.step + 1;
            made.count = made.each;
            while (axis != 0) {
                made.count *= domain[--axis];
            }
        }
    }

    /// @notice The part `number`, which must exist: the range [from, to) of every domain axis, and the row-major position of its
    ///         first element in the domain.
    function ranges(Partition memory made, uint256 number)
        internal
        pure
        returns (int256[] memory from, int256[] memory to, uint256 position)
    {
        unchecked {
            uint256[] memory domain = made.domain;
            from = new int256[](domain.length);
            to = new int256[](domain.length);
            if (domain.length == 0) return (from, to, 0);
            uint256 axis = made.axis;
            uint256 row = number / made.each;
            uint256 start = (number % made.each) * made.step;
            // slither-disable-next-line divide-before-multiply a row is a whole number of parts
            position = (row * domain[axis] + start) * made.inner;
            from[axis] = int256(start);
            start += made.step;
            to[axis] = int256(start < domain[axis] ? start : domain[axis]);
            for (uint256 v = axis; v != 0;) {
                --v;
                from[v] = int256(row % domain[v]);
                to[v] = from[v] + 1;
                row /= domain[v];
            }
            for (uint256 v = axis + 1; v < domain.length; ++v) {
                to[v] = int256(domain[v]);
            }
        }
    }

    /// @notice Answers that lead from the whole domain to a single part of `count`: each has `FAN_OUT` partial results at most.
    function levels(uint256 count) internal pure returns (uint256 number) {
        unchecked {
            number = 1;
            for (uint256 covered = FAN_OUT; covered < count; covered *= FAN_OUT) {
                ++number;
            }
        }
    }

    /// @notice Number of partial results in the answer to node `index` of level `level` over `count` parts (level 0: the whole
    ///         domain); 0 for a node that does not exist, or that is a single part.
    /// @dev `count` and `index` have at most 64 bits.
    function children(uint256 count, uint256 level, uint256 index) internal pure returns (uint256) {
        unchecked {
            uint256 height = levels(count);
            if (level >= height) return 0;
            uint256 each = FAN_OUT ** (height - level - 1);
            uint256 first = index * each * FAN_OUT;
            if (first >= count) return 0;
            uint256 last = first + each * FAN_OUT;
            if (last > count) last = count;
            return (last - first + each - 1) / each;
        }
    }
}
