// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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
/// @param proverUntil last second in which nobody else's claim counts
/// @param until last second in which a claim that answers may be posted
/// @param author who gets a part of the fee; zero if the model has no author here
/// @param royalty the author's part, in basis points
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
///      made again. `Refunded`: nobody answered in time; the requester has the fee back.
enum Progress {
    Unknown,
    Open,
    Answered,
    Undelivered,
    Refunded
}
