// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Inclusion} from "../types/Claim.sol";
import {ClaimId, ModelId} from "../types/Ids.sol";
import {Model} from "../types/Model.sol";
import {Timestamp} from "../types/Time.sol";

/// @title IRollupChain
/// @notice What the dispute game asks of the chain, and the only hand that it has on money and on verdicts.
interface IRollupChain {
    /// @notice When the claim was posted; reverts if the proof does not place it in that batch.
    function postedAt(ClaimId claimId, Inclusion calldata inclusion) external view returns (Timestamp);

    /// @notice A registered model; reverts if it is not.
    function modelOf(ModelId modelId) external view returns (Model memory);

    /// @notice Credits the value sent to an account's free balance.
    function depositFor(address account) external payable;

    /// @notice Locks a part of an account's free balance. Only the game may.
    function lock(address account, uint256 amount) external;

    /// @notice Frees a locked bond whole. Only the game may.
    function unlock(address account, uint256 amount) external;

    /// @notice Takes a locked bond, credits the payees and burns the rest. Only the game may.
    function forfeit(address loser, uint256 bond, address[] calldata payees, uint256[] calldata amounts) external;

    /// @notice Marks a claim invalid for good and forfeits its bond. Only the game may.
    function convict(
        ClaimId claimId,
        address claimant,
        uint256 batchId,
        uint256 index,
        address[] calldata payees,
        uint256[] calldata amounts
    ) external;
}
