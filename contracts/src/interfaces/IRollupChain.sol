// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Inclusion} from "../types/Claim.sol";
import {ClaimId, ModelId} from "../types/Ids.sol";
import {Model, Outline} from "../types/Model.sol";
import {Payout} from "../types/Payout.sol";
import {Timestamp} from "../types/Time.sol";

/// @title IRollupChain
/// @notice What the dispute game asks of the chain, and the only hand that it has on money and on verdicts.
interface IRollupChain {
    /// @notice When the claim was posted; reverts if the proof does not place it in that batch.
    function postedAt(ClaimId claimId, Inclusion calldata inclusion) external view returns (Timestamp);

    /// @notice The part of a model that most moves need; reverts if the model is not registered.
    function outlineOf(ModelId modelId) external view returns (Outline memory);

    /// @notice A registered model; reverts if it is not.
    function modelOf(ModelId modelId) external view returns (Model memory);

    /// @notice Credits the value sent to an account's free balance.
    function depositFor(address account) external payable;

    /// @notice Locks a part of an account's free balance. Only the game may.
    function lock(address account, uint256 amount) external;

    /// @notice Frees a locked bond whole. Only the game may.
    function unlock(address account, uint256 amount) external;

    /// @notice Takes a locked bond, pays from it and burns the rest. Only the game may.
    function forfeit(address loser, uint256 bond, Payout calldata payout) external;

    /// @notice Forfeits the bond of an invalid claim and frees the winner's. Only the game may, which keeps for good that
    ///         the claim is invalid.
    function convict(
        ClaimId claimId,
        address claimant,
        uint256 batchId,
        uint256 index,
        uint256 winnersBond,
        Payout calldata payout
    ) external;
}
