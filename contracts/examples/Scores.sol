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
        uint256 value = 0;
        for (uint256 j = 0; j < width; ++j) {
            value |= uint256(uint8(output[class * width + j])) << (8 * j);
        }
        uint256 unused = 256 - 8 * width;
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
}
