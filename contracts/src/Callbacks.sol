// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Attached} from "./Attached.sol";
import {IConsumer} from "./interfaces/IConsumer.sol";
import {ModelId} from "./types/Ids.sol";
import {Request} from "./types/Request.sol";

/// @title Callbacks
/// @notice How a consumer is told, so that one that fails, burns its gas or returns megabytes harms itself alone.
abstract contract Callbacks is Attached {
    /// @dev Gas that is left behind a callback to write down that it failed.
    uint256 private constant RESERVE = 60_000;

    /// @dev What a consumer was to be told and was not.
    mapping(bytes32 requestId => bytes32 outputRoot) internal _outputs;

    /// @notice The callback failed; anyone can make it again (`deliver`).
    event CallbackFailed(bytes32 indexed requestId);
    /// @notice The callback was made.
    event Delivered(bytes32 indexed requestId);

    /// @notice The bytes have another root than the claim's output.
    error WrongOutput(bytes32 given, bytes32 needed);
    /// @notice The callback could not get its gas; send `needed` with the transaction at least.
    error NotEnoughGas(uint256 left, uint256 needed);

    function _requireOutput(ModelId modelId, bytes32 outputRoot, bytes calldata output) internal view {
        bytes32 root = CHAIN.rootOf(modelId, true, output);
        if (root != outputRoot) revert WrongOutput(root, outputRoot);
    }

    /// @dev Whether the consumer took the call. It gets all the gas that the request names, or nothing happens at all; what it
    ///      returns is not looked at.
    // slither-disable-next-line low-level-calls,assembly
    function _call(
        Request calldata asked,
        bytes32 requestId,
        bytes memory output,
        bytes memory failure,
        bytes calldata data
    ) internal returns (bool success) {
        address callback = asked.callback;
        uint256 gasLimit = asked.gasLimit;
        bytes memory message = abi.encodeCall(IConsumer.onInference, (requestId, output, failure, data));
        // A call gets 63/64 of what is left at most (EIP-150).
        uint256 needed = gasLimit * 64 / 63 + RESERVE;
        if (gasleft() < needed) revert NotEnoughGas(gasleft(), needed);
        if (callback.code.length == 0) return false;
        assembly ("memory-safe") {
            success := call(gasLimit, callback, 0, add(message, 32), mload(message), 0, 0)
        }
    }
}
