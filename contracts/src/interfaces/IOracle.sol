// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IOracle
/// @notice The interface of the on-chain AI oracle that existing consumers are written for.
interface IOracle {
    /// @notice Asks a model; the fee is the value sent.
    /// @param modelId the program root as a number
    function requestCallback(
        uint256 modelId,
        bytes calldata input,
        address callbackContract,
        uint64 gasLimit,
        bytes calldata callbackData
    ) external payable returns (uint256 requestId);

    /// @notice The smallest fee that is taken now.
    function estimateFee(uint256 modelId, uint256 gasLimit) external view returns (uint256);

    /// @notice Whether the answer is final; here every answer that a consumer is told is.
    function isFinalized(uint256 requestId) external view returns (bool);
}

/// @notice What such a consumer is told. Anyone can ask and name it as the callback, so it checks that it made the request.
interface IOracleConsumer {
    function aiOracleCallback(uint256 requestId, bytes calldata output, bytes calldata callbackData) external;
}
