// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ModelId} from "./Ids.sol";

/// @notice "This model gives this output for this input", signed by a bonded claimant.
/// @param modelId the program root
/// @param claimant who signs and whose bond is locked
/// @param nonce unordered, used once, can be cancelled
/// @param validUntil last second in which the claim may be posted
/// @param requestId the request that it answers, or zero
/// @param inputRoot tree over the input tensors' roots
/// @param outputRoot tree over the output tensors' roots
/// @param traceRoot root of the trace tree; zero if the program's trace policy is "on dispute"
struct Claim {
    ModelId modelId;
    address claimant;
    uint256 nonce;
    uint64 validUntil;
    bytes32 requestId;
    bytes32 inputRoot;
    bytes32 outputRoot;
    bytes32 traceRoot;
}

/// @notice A signed claim with the bytes that it speaks of.
/// @param signature 65 bytes, r | s | v, over the claim id
/// @param input little-endian bytes of the input tensors in header order, or empty if they were uploaded and assembled
/// @param output the same for the output tensors
struct Posting {
    Claim claim;
    bytes signature;
    bytes input;
    bytes output;
}

/// @notice Where a claim stands: its index in a batch and the path to the batch root.
struct Inclusion {
    uint256 batchId;
    uint256 index;
    bytes32[] proof;
}

/// @notice What L1 says about a claim.
enum Status {
    Unknown,
    Posted,
    Challenged,
    Final,
    Invalid
}
