// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A program root.
type ModelId is bytes32;

/// @notice The EIP-712 digest of a claim.
type ClaimId is bytes32;

/// @notice Hash of a claim id, the trace root that came with the claim, a challenger and the claim's game counter.
type GameId is bytes32;

function otherClaim(ClaimId a, ClaimId b) pure returns (bool) {
    return ClaimId.unwrap(a) != ClaimId.unwrap(b);
}

using {otherClaim as !=} for ClaimId global;
