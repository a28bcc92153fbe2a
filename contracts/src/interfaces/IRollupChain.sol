// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Inclusion} from "../types/Claim.sol";
import {ClaimId, ModelId} from "../types/Ids.sol";
import {Model, Outline, TracePolicy} from "../types/Model.sol";
import {Payout} from "../types/Payout.sol";

/// @title IRollupChain
/// @notice What the dispute game asks of the chain, and the only hand that it has on money and on verdicts.
interface IRollupChain {
    /// @notice Takes the bond of a challenge to a posted claim, after the value sent was deposited for the challenger; reverts
    ///         if the proof does not place the claim in that batch, or the challenge period is over. Only the game may.
    /// @return policy of the claim's model
    /// @return leafDepth levels from its trace roots down to the leaves
    function admit(ClaimId claimId, ModelId modelId, Inclusion calldata inclusion, address challenger, uint256 bond)
        external
        payable
        returns (TracePolicy policy, uint8 leafDepth);

    /// @notice The part of a model that most moves need; reverts if the model is not registered.
    function outlineOf(ModelId modelId) external view returns (Outline memory);

    /// @notice A registered model; reverts if it is not.
    function modelOf(ModelId modelId) external view returns (Model memory);

    /// @notice Frees a locked bond whole. Only the game may.
    function unlock(address account, uint256 amount) external;

    /// @notice Takes a locked bond, pays from it and burns the rest. Only the game may.
    function forfeit(address loser, uint256 bond, Payout calldata payout) external;

    /// @notice Forfeits the bond of an invalid claim and frees the winner's. Only the game may, which keeps for good that
    ///         the claim is invalid.
    function convict(ClaimId claimId, address claimant, uint256 winnersBond, Payout calldata payout) external;
}
