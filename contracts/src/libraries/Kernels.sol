// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Kernels
/// @notice Inner loops over little-endian elements in calldata. An element type is given by `shift`: 1 << shift bytes.
/// @dev Lanes are made unsigned by a bias of half their range, so that sums of lanes and of products of lanes never borrow
///      from one another; the bias is taken out of the total. Lanes behind the last element are zeroed before that, and so
///      count as zero elements.
library Kernels {
    /// @dev One in each of the four 64-bit slots of a word: times this, the top slot is the sum of all slots.
    uint256 private constant ONES = 0x0000000000000001000000000000000100000000000000010000000000000001;

    /// @notice The signed element at calldata offset `cursor`.
    function read(uint256 cursor, uint256 shift) internal pure returns (int256 value) {
        assembly ("memory-safe") {
            let word := calldataload(cursor)
            switch shift
            case 0 { value := signextend(0, byte(0, word)) }
            case 1 { value := signextend(1, or(byte(0, word), shl(8, byte(1, word)))) }
            case 2 {
                word := shr(224, word)
                word := or(shl(8, and(word, 0xff00ff)), and(shr(8, word), 0xff00ff))
                value := signextend(3, or(shl(16, word), shr(16, word)))
            }
            default {
                word := shr(192, word)
                word := or(shl(8, and(word, 0xff00ff00ff00ff)), and(shr(8, word), 0xff00ff00ff00ff))
                word := or(shl(16, and(word, 0xffff0000ffff)), and(shr(16, word), 0xffff0000ffff))
                value := signextend(7, or(shl(32, word), shr(32, word)))
            }
        }
    }

    /// @notice Sum of `count` products of adjacent elements of 8 or 16 bits.
    /// @dev Four lanes of x times four lanes of y, one in each 64-bit slot and y's in opposite order: the top slot of the
    ///      word's product is the sum of the four products.
    function dot(uint256 x, uint256 xShift, uint256 y, uint256 yShift, uint256 count) internal pure returns (int256 sum) {
        assembly ("memory-safe") {
            /// The first `lanes` (at most 16) elements at `cursor` as 16 biased lanes of 16 bits, the first on top.
            function lanesOf(cursor, shift, lanes) -> word {
                word := and(calldataload(cursor), not(shr(shl(add(shift, 3), lanes), not(0))))
                switch shift
                case 0 {
                    word := xor(word, 0x8080808080808080808080808080808000000000000000000000000000000000)
                    word := and(or(word, shr(64, word)), 0xffffffffffffffff0000000000000000ffffffffffffffff0000000000000000)
                    word := and(or(word, shr(32, word)), 0xffffffff00000000ffffffff00000000ffffffff00000000ffffffff00000000)
                    word := and(or(word, shr(16, word)), 0xffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000)
                    word := and(shr(8, or(word, shr(8, word))), 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
                }
                default {
                    let mask := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                    word := or(shl(8, and(word, mask)), and(shr(8, word), mask))
                    word := xor(word, 0x8000800080008000800080008000800080008000800080008000800080008000)
                }
            }
            let mask := 0x000000000000ffff000000000000ffff000000000000ffff000000000000ffff
            let products := 0
            let xSum := 0
            let ySum := 0
            let lanes := 16
            for { let left := count } left {} {
                if lt(left, 16) { lanes := left }
                let a := lanesOf(x, xShift, lanes)
                let b := lanesOf(y, yShift, lanes)
                b := or(shl(128, b), shr(128, b))
                b := or(
                    and(shl(64, b), 0xffffffffffffffff0000000000000000ffffffffffffffff0000000000000000),
                    and(shr(64, b), 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff)
                )
                let p := and(a, mask)
                let q := and(b, mask)
                products := add(products, mul(p, q))
                xSum := add(xSum, p)
                ySum := add(ySum, q)
                p := and(shr(16, a), mask)
                q := and(shr(16, b), mask)
                products := add(products, mul(p, q))
                xSum := add(xSum, p)
                ySum := add(ySum, q)
                p := and(shr(32, a), mask)
                q := and(shr(32, b), mask)
                products := add(products, mul(p, q))
                xSum := add(xSum, p)
                ySum := add(ySum, q)
                p := shr(48, and(a, shl(48, mask)))
                q := shr(48, and(b, shl(48, mask)))
                products := add(products, mul(p, q))
                xSum := add(xSum, p)
                ySum := add(ySum, q)
                left := sub(left, lanes)
                x := add(x, shl(xShift, 16))
                y := add(y, shl(yShift, 16))
            }
            let xBias := shl(shl(3, xShift), 128)
            let yBias := shl(shl(3, yShift), 128)
            sum := sub(shr(192, products), mul(yBias, shr(192, mul(xSum, ONES))))
            sum := sub(sum, mul(xBias, shr(192, mul(ySum, ONES))))
            sum := add(sum, mul(mul(xBias, yBias), and(add(count, 15), not(15))))
        }
    }

    /// @notice Sum of `count` adjacent elements of 8, 16 or 32 bits.
    function total(uint256 x, uint256 shift, uint256 count) internal pure returns (int256 sum) {
        assembly ("memory-safe") {
            let bytesLeft := shl(shift, count)
            let slots := 0
            for {} bytesLeft {} {
                let word := calldataload(x)
                let used := 32
                if lt(bytesLeft, 32) {
                    used := bytesLeft
                    word := and(word, not(shr(shl(3, used), not(0))))
                }
                let mask := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                switch shift
                case 0 {
                    word := xor(word, 0x8080808080808080808080808080808080808080808080808080808080808080)
                    word := add(and(word, mask), and(shr(8, word), mask))
                }
                default {
                    word := or(shl(8, and(word, mask)), and(shr(8, word), mask))
                }
                mask := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
                switch shift
                case 2 {
                    word := or(shl(16, and(word, mask)), and(shr(16, word), mask))
                    word := xor(word, 0x8000000080000000800000008000000080000000800000008000000080000000)
                }
                default {
                    if shift { word := xor(word, 0x8000800080008000800080008000800080008000800080008000800080008000) }
                    word := add(and(word, mask), and(shr(16, word), mask))
                }
                mask := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
                slots := add(slots, add(and(word, mask), and(shr(32, word), mask)))
                bytesLeft := sub(bytesLeft, used)
                x := add(x, 32)
            }
            let lanes := and(add(count, sub(shr(shift, 32), 1)), not(sub(shr(shift, 32), 1)))
            sum := sub(shr(192, mul(slots, ONES)), mul(lanes, shl(shl(3, sub(shl(shift, 1), 1)), 128)))
        }
    }

    /// @notice Sum of `count` elements x, `xStep` bytes apart (signed).
    function totalStrided(uint256 x, uint256 xStep, uint256 xShift, uint256 count) internal pure returns (int256 sum) {
        unchecked {
            for (; count != 0; --count) {
                sum += read(x, xShift);
                x += xStep;
            }
        }
    }

    /// @notice Sum of `count` products x * y, the elements `xStep` and `yStep` bytes apart (signed).
    /// @dev Exact modulo 2^64 and far beyond.
    function dotStrided(uint256 x, uint256 xStep, uint256 xShift, uint256 y, uint256 yStep, uint256 yShift, uint256 count)
        internal
        pure
        returns (int256 sum)
    {
        unchecked {
            for (; count != 0; --count) {
                sum += read(x, xShift) * read(y, yShift);
                x += xStep;
                y += yStep;
            }
        }
    }

    /// @notice The largest of `count` (at least one) elements times `sign`, `step` bytes (signed) apart, and its index, the
    ///         lowest one first.
    function largest(uint256 cursor, uint256 step, uint256 shift, uint256 count, int256 sign)
        internal
        pure
        returns (int256 best, uint256 index)
    {
        unchecked {
            best = type(int256).min;
            for (uint256 j = 0; j < count; ++j) {
                int256 element = read(cursor, shift) * sign;
                if (element > best) {
                    best = element;
                    index = j;
                }
                cursor += step;
            }
        }
    }
}
