// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Asking} from "./Asking.sol";
import {Claim, Inclusion} from "./types/Claim.sol";
import {ClaimId, ModelId} from "./types/Ids.sol";
import {Request, Round} from "./types/Request.sol";
import {Timestamp} from "./types/Time.sol";

/// @title Answering
/// @notice Which claims answer a request: by what they say, whose they are, and when they were posted.
abstract contract Answering is Asking {
    mapping(bytes32 requestId => Round round) internal _rounds;

    /// @notice The claim does not name the request, or is about another model or input.
    error NotAnswering(bytes32 requestId, ClaimId claimId);
    /// @notice The claim was posted too late, or while only the named prover's (or the committee's) counted.
    error DoesNotCount(bytes32 requestId, address claimant, Timestamp postedAt);

    /// @dev Refuses a claim that answers something else, or does not count by whose it is and when it was posted.
    function _requireAnswering(
        Request calldata asked,
        bytes32 requestId,
        Claim calldata claim,
        Inclusion memory inclusion
    ) internal view returns (ClaimId claimId) {
        claimId = CHAIN.claimIdOf(claim);
        bool same = claim.requestId == requestId && claim.inputRoot == asked.inputRoot
            && ModelId.unwrap(claim.modelId) == ModelId.unwrap(asked.modelId);
        if (!same) revert NotAnswering(requestId, claimId);
        // slither-disable-next-line unused-return only the time matters here
        (, Timestamp postedAt,,,) = CHAIN.batches(inclusion.batchId);
        bool isFree = postedAt > asked.proverUntil || _comesFirst(asked, requestId, claim.claimant);
        if (postedAt > _until(asked, requestId) || !isFree) revert DoesNotCount(requestId, claim.claimant, postedAt);
    }

    /// @dev Who answers for the request's quorum; zero if they are not drawn yet, or if it asks for none.
    function _committeeOf(Request calldata asked, bytes32 requestId) internal view returns (bytes32) {
        return asked.committee != 0 ? asked.committee : _rounds[requestId].committee;
    }

    function _comesFirst(Request calldata asked, bytes32 requestId, address prover) private view returns (bool) {
        if (asked.quorum != 0) return PROVERS.isMember(_committeeOf(asked, requestId), prover);
        return asked.prover == address(0) || asked.prover == prover;
    }
}
