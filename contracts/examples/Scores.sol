// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Scores
/// @notice A classifier's output as a contract reads it: signed little-endian integers, one for each class. They are real numbers
///         in the model's fixed-point format, so they compare as they are.
library Scores {
    /// @notice The score of one class.
    /// @param width bytes of a score, 8 at most
    // forge-lint: disable-next-item(unsafe-typecast) the lowest bytes of a word, as two's complement
    function scoreOf(bytes calldata output, uint256 class, uint256 width) internal pure returns (int256) {
        uint256 unused = 256 - 8 * width;
        uint256 value = _reversed(uint64(bytes8(output[class * width:(class + 1) * width])));
        return int256(value << unused) >> unused;
    }

    /// @notice The class with the largest score among those from `first` to `last - 1`; of equal ones the first.
    function best(bytes calldata output, uint256 first, uint256 last, uint256 width)
        internal
        pure
        returns (uint256 class, int256 score)
    {
        (class, score) = (first, scoreOf(output, first, width));
        for (uint256 other = first + 1; other < last; ++other) {
            int256 rival = scoreOf(output, other, width);
            if (rival > score) (class, score) = (other, rival);
        }
    }

    /// @dev The eight bytes in the other order, which makes a number of little-endian bytes.
    function _reversed(uint64 value) private pure returns (uint64) {
        value = ((value & 0xff00ff00ff00ff00) >> 8) | ((value & 0x00ff00ff00ff00ff) << 8);
        value = ((value & 0xffff0000ffff0000) >> 16) | ((value & 0x0000ffff0000ffff) << 16);
        return (value >> 32) | (value << 32);
    }
}
