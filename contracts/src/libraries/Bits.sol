// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Bits
/// @notice Sets of numbers, 256 of them in a word of storage.
library Bits {
    /// @notice Whether the set has the number.
    function has(mapping(uint256 word => uint256 bits) storage self, uint256 number) internal view returns (bool) {
        return self[number >> 8] & one(number) != 0;
    }

    /// @notice Adds the number.
    function add(mapping(uint256 word => uint256 bits) storage self, uint256 number) internal {
        self[number >> 8] |= one(number);
    }

    /// @notice Whether the set has the number, for a set in memory that is large enough to have it.
    function has(uint256[] memory self, uint256 number) internal pure returns (bool) {
        return self[number >> 8] & one(number) != 0;
    }

    /// @notice The bit that stands for a number in its word.
    function one(uint256 index) internal pure returns (uint256 bit) {
        assembly ("memory-safe") {
            bit := shl(and(index, 255), 1)
        }
    }

    /// @notice The bits from `from` on, `to` excluded; both at most 256.
    function range(uint256 from, uint256 to) internal pure returns (uint256) {
        // Shifts by 256 give zero.
        return (type(uint256).max << from) & ~(type(uint256).max << to);
    }

    /// @notice How many bits are one.
    function count(uint256 bits) internal pure returns (uint256) {
        unchecked {
            // Sums of neighbouring bits, pairs, fours; then of all 32 bytes, in the highest two.
            bits -= (bits >> 1) & _every(0x55);
            bits = (bits & _every(0x33)) + ((bits >> 2) & _every(0x33));
            bits = (bits + (bits >> 4)) & _every(0x0f);
            bits = (bits & (type(uint256).max / 0xffff * 0xff)) + ((bits >> 8) & (type(uint256).max / 0xffff * 0xff));
            return (bits * (type(uint256).max / 0xffff)) >> 240;
        }
    }

    function _every(uint256 octet) private pure returns (uint256) {
        return type(uint256).max / 0xff * octet;
    }
}
