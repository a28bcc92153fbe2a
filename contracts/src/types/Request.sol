// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "./Claim.sol";
import {ModelId} from "./Ids.sol";
import {Duration, Timestamp} from "./Time.sol";

/// @notice A question to a model, with what its answer is worth. The hash of all of it is the request's id, so L1 keeps none of it.
/// @param modelId the program root
/// @param inputRoot tree over the input tensors' roots; the bytes were given with the request, or uploaded before
/// @param requester who asked, and gets back what was not earned
/// @param callback the contract that is told the answer
/// @param gasLimit gas of that call
/// @param fee wei in escrow for whoever answers
/// @param prover whose claim alone answers if it is posted until `proverUntil`; zero: whoever comes first
/// @param proverUntil last second in which nobody else's claim counts; with a quorum, nobody's outside the committee
/// @param until last second in which a claim that answers may be posted
/// @param author who gets a part of the fee; zero if the model has no author here
/// @param royalty the author's part, in basis points
/// @param quorum so many equal answers make it agreed, before any of them is final; zero: it waits for finality
/// @param commitBlocks so many blocks after it is picked up, those who answer for the quorum may still commit
/// @param committee who answers for the quorum (`nameCommittee`); zero: drawn from those with a seat for the model
/// @param dataHash of what is handed to the callback with the answer
/// @param number counts the requests of this contract
struct Request {
    ModelId modelId;
    bytes32 inputRoot;
    address requester;
    address callback;
    uint64 gasLimit;
    uint128 fee;
    address prover;
    Timestamp proverUntil;
    Timestamp until;
    address author;
    uint16 royalty;
    uint8 quorum;
    uint16 commitBlocks;
    bytes32 committee;
    bytes32 dataHash;
    uint256 number;
}

/// @notice A request that is made again and again, as long as its budget lasts. Its hash is its id.
/// @param first the request, whose `proverUntil`, `until` and `number` are those of the time when it is made again
/// @param interval at least so many seconds lie between two of its requests
/// @param exclusive for so long only the named prover's claim counts
/// @param patience for so long claims that answer may be posted
/// @param number counts the subscriptions of this contract
struct Subscription {
    Request first;
    Duration interval;
    Duration exclusive;
    Duration patience;
    uint256 number;
}

/// @notice How far a request is.
/// @dev `Answered`: a final claim answered it, and the fee is paid. `Undelivered`: the same, but the callback failed; it can be
///      made again. `Refunded`: nobody answered in time, or every claim of a quorum is invalid; the requester has the fee back.
///      `Agreed`: a quorum gave one answer, which the consumer was told; each prover's part of the fee waits for its claim's end.
enum Progress {
    Unknown,
    Open,
    Answered,
    Undelivered,
    Refunded,
    Agreed
}

/// @notice What an answer may be relied on for. `Agreed`: a quorum of bonded provers said it, and the game has not decided;
///         `Final`: one honest watcher was enough to keep it true.
enum Level {
    None,
    Agreed,
    Final
}

/// @notice How far a quorum is.
/// @param committee who answers; zero until it is drawn
/// @param outputRoot what the first of them answered
/// @param pickedUp block from which the committee is known
/// @param sealedAt block of its last commitment
/// @param committed those who committed
/// @param revealed those who answered
/// @param settled those whose claims are final or invalid, and who have what follows from it
/// @param invalid those of them whose claims are invalid
/// @param isSplit two answers differ
/// @param isAgreed all answers are the same
struct Round {
    bytes32 committee;
    bytes32 outputRoot;
    uint40 pickedUp;
    uint40 sealedAt;
    uint8 committed;
    uint8 revealed;
    uint8 settled;
    uint8 invalid;
    bool isSplit;
    bool isAgreed;
}

/// @notice What a prover committed to, and what is needed to post it.
/// @param signature 65 bytes, r | s | v, over the claim id
/// @param input little-endian bytes of the input tensors in header order, or empty if they were uploaded and assembled
/// @param output the same for the output tensors
/// @param salt that kept the commitment secret
struct Opening {
    Claim claim;
    bytes signature;
    bytes input;
    bytes output;
    bytes32 salt;
}
