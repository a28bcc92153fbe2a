// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IConsumer
/// @notice A contract that asks for inferences.
interface IConsumer {
    /// @notice Told once what became of a request. Check that the sender is the Requests contract that was asked, and that the
    ///         request is one that you made: anyone can ask anything and name you as the callback.
    /// @param output the output tensors' bytes in the header's order; empty if there is a failure
    /// @param failure empty, or an encoded error that says why there is no answer
    /// @param data what the requester wanted to be handed along
    function onInference(bytes32 requestId, bytes calldata output, bytes calldata failure, bytes calldata data) external;
}
