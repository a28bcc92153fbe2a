// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scores} from "../../examples/Scores.sol";
import {Base} from "../Base.sol";

contract ScoresTest is Base {
    using Scores for bytes;

    function read(bytes calldata output, uint256 class, uint256 width) external pure returns (int256) {
        return output.scoreOf(class, width);
    }

    function largest(bytes calldata output, uint256 first, uint256 last, uint256 width)
        external
        pure
        returns (uint256 class, int256 score)
    {
        return output.best(first, last, width);
    }

    /// @dev Little-endian two's complement, written plainly.
    function _encoded(int64[] memory values, uint256 width) private pure returns (bytes memory output) {
        for (uint256 j = 0; j < values.length; ++j) {
            for (uint256 k = 0; k < width; ++k) {
                output = abi.encodePacked(output, uint8(uint64(values[j]) >> (8 * k)));
            }
        }
    }

    function _cut(int64 value, uint256 width) private pure returns (int64) {
        if (width == 1) return int8(value);
        if (width == 2) return int16(value);
        if (width == 4) return int32(value);
        return value;
    }

    function test_scores_anyWidth_areReadAndCompared(int64[] memory values, uint8 size, uint8 from) public view {
        VM.assume(values.length != 0);
        uint256 width = 2 ** (size % 4);
        bytes memory output = _encoded(values, width);
        uint256 first = from % values.length;
        (uint256 class, int256 score) = this.largest(output, first, values.length, width);
        uint256 expected = first;
        for (uint256 j = 0; j < values.length; ++j) {
            int64 value = _cut(values[j], width);
            same("score", bytes32(uint256(this.read(output, j, width))), bytes32(uint256(int256(value))));
            if (j > first && value > _cut(values[expected], width)) expected = j;
        }
        same("class", class, expected);
        same("best", bytes32(uint256(score)), bytes32(uint256(int256(_cut(values[expected], width)))));
    }
}
