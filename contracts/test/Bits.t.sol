// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bits} from "../src/libraries/Bits.sol";
import {Base} from "./Base.sol";

contract BitsTest is Base {
    using Bits for mapping(uint256 word => uint256 bits);

    mapping(uint256 word => uint256 bits) private _set;

    function testFuzz_count_everyBitOnce(uint256 bits) public pure {
        uint256 ones = 0;
        for (uint256 j = 0; j < 256; ++j) {
            ones += (bits >> j) & 1;
        }
        same("count", Bits.count(bits), ones);
        same("none", Bits.count(0), 0);
        same("all", Bits.count(type(uint256).max), 256);
    }

    function testFuzz_range_exactlyThose(uint256 from, uint256 to) public pure {
        from %= 257;
        to %= 257;
        uint256 bits = Bits.range(from, to);
        for (uint256 j = 0; j < 256; ++j) {
            same("bit", (bits >> j) & 1, j >= from && j < to ? 1 : 0);
        }
    }

    function testFuzz_add_onlyThatOne(uint256 number, uint256 other) public {
        VM.assume(number != other);
        _set.add(number);
        yes("has it", _set.has(number));
        yes("not the other", !_set.has(other));
    }
}
