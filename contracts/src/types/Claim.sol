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

/// @notice Claims of one model whose records have one form and stand one behind the other.
/// @dev A record is, in this order: the request id, if `named`; the trace root, if the model's policy is "with the claim"; the
///      input tensors' little-endian bytes in header order, or the input root if `inputUploaded`; the output's likewise.
/// @param count records
/// @param inputBytes of each record's input, or 32; with `outputBytes` it says to whoever reads the logs how a record is cut
/// @param outputBytes of each record's output, or 32
/// @param inputUploaded the inputs' bytes were uploaded and assembled before
/// @param outputUploaded the outputs' bytes were uploaded and assembled before
/// @param named the claims answer requests
struct Section {
    ModelId modelId;
    uint32 count;
    uint32 inputBytes;
    uint32 outputBytes;
    bool inputUploaded;
    bool outputUploaded;
    bool named;
    bytes records;
}

/// @notice A claimant's claims with consecutive nonces, in the order of their nonces.
/// @param signature 65 bytes, r | s | v: over the claim id if it is one claim, else over the digest of `Group(bytes32[] claims)`;
///        of no use if the claimant itself is the sender
struct Group {
    address claimant;
    uint256 firstNonce;
    uint64 validUntil;
    Section[] sections;
    bytes signature;
}

/// @notice Where a claim stands: its index in a batch and the path to the batch root.
struct Inclusion {
    uint256 batchId;
    uint256 index;
    bytes32[] proof;
}

/// @notice Where a group stands: its first claim's index in a batch.
struct Place {
    uint256 batchId;
    uint256 first;
}

/// @notice What L1 says about a claim.
enum Status {
    Unknown,
    Posted,
    Challenged,
    Final,
    Invalid
}
