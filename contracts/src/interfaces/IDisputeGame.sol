// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ClaimId} from "../types/Ids.sol";

/// @title IDisputeGame
/// @notice What the chain asks of the dispute game.
interface IDisputeGame {
    /// @notice Hash of the chain that the game was deployed for and of its parameters: `keccak256(abi.encode(chain, params))`.
    function boundTo() external view returns (bytes32);

    /// @notice How many games about a claim are open, and whether it is invalid.
    function standingOf(ClaimId claimId) external view returns (uint256 openGames, bool convicted);
}
