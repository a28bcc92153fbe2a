// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Arithmetic} from "../src/libraries/Arithmetic.sol";
import {Base} from "./Base.sol";

contract ArithmeticTest is Base {
    function test_inside_equalsPlain_succeeds(int8 coordinate, int8 slope, uint8 size) external pure {
        VM.assume(slope != 0);
        (int256 enters, int256 leaves) = Arithmetic.inside(coordinate, slope, int256(uint256(size)));
        for (int256 k = -300; k < 300; ++k) {
            int256 place = int256(coordinate) + int256(slope) * k;
            bool within = place >= 0 && place < int256(uint256(size));
            yes("inside", within == (k >= enters && k < leaves));
        }
    }

    function test_floorDiv_isFloor_succeeds(int64 a, int64 b) external pure {
        int256 quotient = Arithmetic.floorDiv(a, b);
        if (b == 0) return same("by zero", uint256(quotient), 0);
        int256 rest = int256(a) - quotient * b;
        yes("rest", b > 0 ? rest >= 0 && rest < b : rest <= 0 && rest > b);
    }

    function test_roundingShift_isNearest_succeeds(int64 number, int8 s) external pure {
        int256 result = Arithmetic.roundingShift(number, s, 65);
        int256 by = s > 65 ? int256(65) : s < -64 ? int256(-64) : int256(s);
        if (by <= 0) {
            yes("left", result == int256(number) * int256(2 ** uint256(-by)));
        } else {
            int256 unit = int256(2 ** uint256(by));
            int256 twice = 2 * (int256(number) - result * unit);
            yes("nearest, halves upwards", twice >= -unit && twice < unit);
        }
    }

    function test_squareRoot_isFloor_succeeds(int64 number) external pure {
        uint256 root = Arithmetic.squareRoot(number);
        if (number <= 0) return same("none", root, 0);
        yes("floor", root * root <= uint256(int256(number)) && (root + 1) * (root + 1) > uint256(int256(number)));
    }

    function test_bitLength_isLeast_succeeds(uint64 number, uint8 by) external pure {
        number >>= by % 64;
        uint256 bits = Arithmetic.bitLength(number);
        yes("holds", number < 2 ** bits);
        yes("least", bits == 0 || number >= 2 ** (bits - 1));
    }

    function test_cast_keepsLowestBits_succeeds(int256 number) external pure {
        for (uint256 shift = 0; shift < 4; ++shift) {
            int256 kept = Arithmetic.cast(number, shift);
            uint256 bits = 8 << shift;
            yes("range", kept >= -int256(2 ** (bits - 1)) && kept < int256(2 ** (bits - 1)));
            same("bits", uint256(kept) % 2 ** bits, uint256(number) % 2 ** bits);
        }
    }
}
