// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title BlockHeader
/// @notice Reads the randomness (EIP-4399) out of a block's RLP header. Whoever uses it compares the header's hash with the
///         block's: nobody can choose that one header, while its hash can be chosen by whoever proposes the block.
library BlockHeader {
    /// @dev Where the fields of varying length begin: behind the list's prefix, the parent's, the ommers', the state's, the
    ///      transactions' and the receipts' hashes, the beneficiary and the bloom.
    uint256 private constant VARYING = 3 + 5 * 33 + 21 + 259;
    /// @dev They are difficulty, number, gas limit, gas used, time and extra data, each below 56 bytes.
    uint256 private constant VARYING_COUNT = 6;

    /// @notice The bytes are not the header of a block.
    error NotAHeader();

    /// @notice The block's `prevrandao`.
    function randomness(bytes calldata header) internal pure returns (bytes32) {
        uint256 offset = VARYING;
        for (uint256 j = 0; j < VARYING_COUNT; ++j) {
            if (offset >= header.length) revert NotAHeader();
            uint8 prefix = uint8(header[offset]);
            offset += prefix < 0x80 ? 1 : prefix - 0x7f;
        }
        if (offset + 33 > header.length || header[offset] != 0xa0) revert NotAHeader();
        return bytes32(header[offset + 1:offset + 33]);
    }
}
