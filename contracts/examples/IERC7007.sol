// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IERC7007
/// @notice Tokens of what a model made of a prompt (ERC-7007), beside ERC-721 and ERC-165. Its interface id is 0x702c55a6.
interface IERC7007 {
    /// @notice The content of a token is known.
    event AigcData(uint256 indexed tokenId, bytes indexed prompt, bytes indexed aigcData, bytes proof);

    /// @notice Adds to a token what the model made of its prompt.
    function addAigcData(uint256 tokenId, bytes calldata prompt, bytes calldata aigcData, bytes calldata proof) external;

    /// @notice Whether it is final that the model makes this of the prompt.
    function verify(bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
        view
        returns (bool success);
}
