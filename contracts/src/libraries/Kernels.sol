// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Kernels
/// @notice Inner loops over little-endian elements in calldata. An element type is given by `shift`: 1 << shift bytes.
/// @dev Lanes are made unsigned by a bias of half their range, so that sums of lanes and of products of lanes never borrow
///      from one another; the bias is taken out of the total. Lanes behind the last element are zeroed before that, and so
///      count as zero elements.
// An element has 1 << shift bytes; casts keep two's complement.
// A constant is shifted by a variable on purpose: 1 << shift bytes.
// slither-disable-start incorrect-shift
// forge-lint: disable-next-item(incorrect-shift, unsafe-typecast)
library Kernels {
    /// @dev One in each of the four 64-bit slots of a word: times this, the top slot is the sum of all slots.
    uint256 private constant ONES = 0x0000000000000001000000000000000100000000000000010000000000000001;

    /// @notice The signed element at calldata offset `cursor`.
    /// @dev Bytes are turned round in pieces of four: as four copies of seven bytes the i-th byte from the right of the
    ///      piece is picked out of copy i, where it stands at bit 24 + 64 i, and modulo 2^72 - 1 that is bit 24 - 8 i.
    function read(uint256 cursor, uint256 shift) internal pure returns (int256 value) {
        assembly ("memory-safe") {
            function piece(from) -> word {
                word := mod(
                    and(
                        mul(shr(200, calldataload(from)), 0x1000000000000010000000000000100000000000001),
                        0xff00000000000000ff00000000000000ff00000000000000ff000000
                    ),
                    0xffffffffffffffffff
                )
            }
            value := piece(cursor)
            if gt(shift, 2) { value := or(value, shl(32, piece(add(cursor, 4)))) }
            value := signextend(sub(shl(shift, 1), 1), value)
        }
    }

    /// @notice Sum of `count` products x * y, the elements `xStep` and `yStep` bytes apart (signed).
    function dot(uint256 x, uint256 xStep, uint256 xShift, uint256 y, uint256 yStep, uint256 yShift, uint256 count)
        internal
        pure
        returns (int256)
    {
        return xShift < 2 && yShift < 2 && xStep == 1 << xShift && yStep == 1 << yShift
            ? dotAdjacent(x, xShift, y, yShift, count)
            : dotStrided(x, xStep, xShift, y, yStep, yShift, count);
    }

    /// @notice Sum of `count` elements x, `xStep` bytes apart (signed).
    function total(uint256 x, uint256 xStep, uint256 xShift, uint256 count) internal pure returns (int256) {
        return
            xShift < 3 && xStep == 1 << xShift ? totalAdjacent(x, xShift, count) : totalStrided(x, xStep, xShift, count);
    }

    /// @notice Sum of `count` products of adjacent elements of 8 or 16 bits.
    /// @dev Four lanes of x times four lanes of y, one in each 64-bit slot and y's in opposite order: the top slot of the
    ///      word's product is the sum of the four products.
    function dotAdjacent(uint256 x, uint256 xShift, uint256 y, uint256 yShift, uint256 count)
        internal
        pure
        returns (int256 sum)
    {
        // An early return keeps the compiler from pasting the loop into its caller, where it is dearer.
        if (count == 0) return 0;
        assembly ("memory-safe") {
            // The first `lanes` (at most 16) elements as 16 lanes of 16 bits, the first on top, each plus 2^15.
            function lanesOf(cursor, shift, lanes) -> word {
                word := calldataload(cursor)
                if lt(lanes, 16) { word := and(word, not(shr(shl(add(shift, 3), lanes), not(0)))) }
                switch shift
                case 0 {
                    word := shl(128, shr(128, word))
                    word := and(
                        or(word, shr(64, word)),
                        0xffffffffffffffff0000000000000000ffffffffffffffff0000000000000000
                    )
                    word := and(
                        or(word, shr(32, word)),
                        0xffffffff00000000ffffffff00000000ffffffff00000000ffffffff00000000
                    )
                    word := and(
                        or(word, shr(16, word)),
                        0xffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000
                    )
                    word := and(
                        shr(8, or(word, shr(8, word))),
                        0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                    )
                    word := add(
                        xor(word, 0x0080008000800080008000800080008000800080008000800080008000800080),
                        0x7f807f807f807f807f807f807f807f807f807f807f807f807f807f807f807f80
                    )
                }
                default {
                    let mask := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                    word := or(shl(8, and(word, mask)), and(shr(8, word), mask))
                    word := xor(word, 0x8000800080008000800080008000800080008000800080008000800080008000)
                }
            }
            // Adds the products of 16 pairs of lanes, and the lanes.
            function gather(a, b, products, lanes) -> productsAfter, lanesAfter {
                let mask := 0x000000000000ffff000000000000ffff000000000000ffff000000000000ffff
                let p := and(a, mask)
                let q := and(b, mask)
                productsAfter := add(products, mul(p, q))
                lanesAfter := add(lanes, add(p, q))
                p := and(shr(16, a), mask)
                q := and(shr(16, b), mask)
                productsAfter := add(productsAfter, mul(p, q))
                lanesAfter := add(lanesAfter, add(p, q))
                p := and(shr(32, a), mask)
                q := and(shr(32, b), mask)
                productsAfter := add(productsAfter, mul(p, q))
                lanesAfter := add(lanesAfter, add(p, q))
                p := and(shr(48, a), mask)
                q := and(shr(48, b), mask)
                productsAfter := add(productsAfter, mul(p, q))
                lanesAfter := add(lanesAfter, add(p, q))
            }
            let products := 0
            let lanes := 0
            for {} count {} {
                let b := lanesOf(y, yShift, count)
                b := or(shl(128, b), shr(128, b))
                b := or(
                    and(shl(64, b), 0xffffffffffffffff0000000000000000ffffffffffffffff0000000000000000),
                    and(shr(64, b), 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff)
                )
                products, lanes := gather(lanesOf(x, xShift, count), b, products, lanes)
                products := add(products, shl(226, 1))
                x := add(x, shl(xShift, 16))
                y := add(y, shl(yShift, 16))
                count := mul(sub(count, 16), gt(count, 16))
            }
            // (x + 2^15) (y + 2^15) is the product, with 2^15 (x + 2^15 + y + 2^15) - 2^30 too much;
            // the 2^30 of 16 lanes were put into the top slot with every word.
            sum := sub(shr(192, products), shl(15, shr(192, mul(lanes, ONES))))
        }
    }

    /// @notice Sum of `count` adjacent elements of 8, 16 or 32 bits.
    function totalAdjacent(uint256 x, uint256 shift, uint256 count) internal pure returns (int256 sum) {
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
                    if shift {
                        word := xor(word, 0x8000800080008000800080008000800080008000800080008000800080008000)
                    }
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
    function dotStrided(
        uint256 x,
        uint256 xStep,
        uint256 xShift,
        uint256 y,
        uint256 yStep,
        uint256 yShift,
        uint256 count
    ) internal pure returns (int256 sum) {
        unchecked {
            if (xShift > 2 || yShift > 2) {
                for (; count != 0; --count) {
                    sum += read(x, xShift) * read(y, yShift);
                    x += xStep;
                    y += yStep;
                }
                return sum;
            }
        }
        assembly ("memory-safe") {
            // As in `read`, without its branch.
            xShift := sub(shl(xShift, 1), 1)
            yShift := sub(shl(yShift, 1), 1)
            let copies := 0x1000000000000010000000000000100000000000001
            let picks := 0xff00000000000000ff00000000000000ff00000000000000ff000000
            for {} count { count := sub(count, 1) } {
                sum := add(
                    sum,
                    mul(
                        signextend(
                            xShift,
                            mod(and(mul(shr(200, calldataload(x)), copies), picks), 0xffffffffffffffffff)
                        ),
                        signextend(
                            yShift,
                            mod(and(mul(shr(200, calldataload(y)), copies), picks), 0xffffffffffffffffff)
                        )
                    )
                )
                x := add(x, xStep)
                y := add(y, yStep)
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
        best = type(int256).min;
        assembly ("memory-safe") {
            // As in `read`.
            let copies := 0x1000000000000010000000000000100000000000001
            let picks := 0xff00000000000000ff00000000000000ff00000000000000ff000000
            let top := sub(shl(shift, 1), 1)
            for { let j := 0 } lt(j, count) { j := add(j, 1) } {
                let element := mod(and(mul(shr(200, calldataload(cursor)), copies), picks), 0xffffffffffffffffff)
                if eq(top, 7) {
                    element := or(
                        element,
                        shl(
                            32,
                            mod(and(mul(shr(200, calldataload(add(cursor, 4))), copies), picks), 0xffffffffffffffffff)
                        )
                    )
                }
                element := mul(signextend(top, element), sign)
                if sgt(element, best) {
                    best := element
                    index := j
                }
                cursor := add(cursor, step)
            }
        }
    }
}
// slither-disable-end incorrect-shift
