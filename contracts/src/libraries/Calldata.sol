// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Calldata
/// @notice Big-endian fields at absolute calldata offsets.
/// @dev Nothing is checked here: bytes behind the end of the calldata read as zero, and whoever parses compares where it
///      stopped with where it had to stop.
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(unsafe-typecast)
library Calldata {
    function word(uint256 cursor) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := calldataload(cursor)
        }
    }

    function u8(uint256 cursor) internal pure returns (uint256) {
        return uint256(word(cursor)) >> 248;
    }

    function u16(uint256 cursor) internal pure returns (uint256) {
        return uint256(word(cursor)) >> 240;
    }

    function u32(uint256 cursor) internal pure returns (uint256) {
        return uint256(word(cursor)) >> 224;
    }

    function u64(uint256 cursor) internal pure returns (uint256) {
        return uint256(word(cursor)) >> 192;
    }

    function i32(uint256 cursor) internal pure returns (int256) {
        return int256(uint256(word(cursor))) >> 224;
    }

    function i64(uint256 cursor) internal pure returns (int256) {
        return int256(uint256(word(cursor))) >> 192;
    }

    /// @notice The bytes [at, at + length) of the calldata.
    // slither-disable-next-line write-after-write offset and length are two halves of one variable
    function slice(uint256 cursor, uint256 length) internal pure returns (bytes calldata data) {
        assembly ("memory-safe") {
            data.offset := cursor
            data.length := length
        }
    }

    /// @notice Absolute offset of a slice's first byte.
    function offsetOf(bytes calldata data) internal pure returns (uint256 cursor) {
        assembly ("memory-safe") {
            cursor := data.offset
        }
    }
}
