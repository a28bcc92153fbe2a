// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Arithmetic
/// @notice The arithmetic of the op form; the twin of the functions of `rollup/form/ops.py`.
/// @dev Operands are signed 64-bit values in 256-bit words (a product of two, where a shift takes one), so that no
///      intermediate result comes near the width.
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(incorrect-shift, unsafe-typecast)
library Arithmetic {
    /// @notice The number's lowest 64 bits, signed.
    function wrap(int256 number) internal pure returns (int256) {
        return int64(number);
    }

    /// @notice The number's lowest 8 << shift bits, signed.
    function cast(int256 number, uint256 shift) internal pure returns (int64) {
        if (shift == 0) return int8(number);
        if (shift == 1) return int16(number);
        if (shift == 2) return int32(number);
        return int64(number);
    }

    /// @notice floor(a / b); 0 if b is 0.
    // slither-disable-next-line divide-before-multiply the product only tells whether the quotient is exact
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

    /// @notice The k with 0 <= coordinate + slope * k < size are those of [enters, leaves); slope is not 0.
    function inside(int256 coordinate, int256 slope, int256 size) internal pure returns (int256 enters, int256 leaves) {
        unchecked {
            return slope > 0
                ? (ceilDiv(-coordinate, slope), ceilDiv(size - coordinate, slope))
                : (ceilDiv(coordinate - size + 1, -slope), ceilDiv(coordinate + 1, -slope));
        }
    }

    /// @notice ceil(a / b) for positive b.
    function ceilDiv(int256 a, int256 b) internal pure returns (int256) {
        unchecked {
            return a > 0 ? (a - 1) / b + 1 : a / b;
        }
    }
}
