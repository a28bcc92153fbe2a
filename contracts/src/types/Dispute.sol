// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Gindex} from "./Gindex.sol";
import {ClaimId, GameId} from "./Ids.sol";
import {Duration, Timestamp} from "./Time.sol";

/// @notice The sides of a game; `None` where neither is meant.
enum Side {
    None,
    Defender,
    Challenger
}

/// @notice What convicts a claim.
/// @dev `Step`: an element of an op's output is not what the op gives. `Padding`: a non-zero byte behind a tensor's last
///      element or in an unused entry. `Input`, `Output`: the trace's entry is not the claim's. `Timeout`: the defender's
///      clock ran out.
enum Rule {
    Step,
    Padding,
    Input,
    Output,
    Timeout
}

/// @notice The chess clocks of one game: what each side has left at `since`.
struct Clocks {
    Timestamp since;
    Duration defender;
    Duration challenger;
}

/// @notice What all games about one claim share.
/// @param rootAt when the trace root was set; never, if it came with the claim or is still missing
/// @param games games ever opened, the counter that their ids are made of
struct Dispute {
    address claimant;
    uint64 batchId;
    uint32 index;
    bytes32 traceRoot;
    Timestamp rootAt;
    uint32 games;
    uint32 openGames;
    uint8 traceDepth;
    uint8 tensorDepth;
    bool convicted;
}

/// @notice One challenger's contest about one claim.
/// @dev The order of the fields packs what `select` changes, but for the node, into one slot.
/// @param committedAt block number of the commitment; as wide as fills the challenger's slot
/// @param moves nodes that were opened in this game and left behind
/// @param open neither lost nor won nor reclaimed
/// @param since when the clocks were charged last, and what the sides had left then
/// @param gindex where the game stands in the trace tree
/// @param node hash of the node there; not kept for the root, which is the dispute's trace root
struct Game {
    ClaimId claimId;
    address challenger;
    uint96 committedAt;
    uint16 moves;
    bool open;
    Timestamp since;
    Duration defenderLeft;
    Duration challengerLeft;
    Gindex gindex;
    bytes32 commitment;
    bytes32 node;
}

/// @notice What every move names, so that after a reorganisation it can't hit another claim or another node.
/// @param traceRoot of the claim; zero while it is not set
/// @param node on which the game stands; zero while the trace root is not set
struct Move {
    GameId gameId;
    ClaimId claimId;
    bytes32 traceRoot;
    bytes32 node;
}

/// @notice The descendants of a node, some levels below it, from left to right.
struct Reveal {
    Move move;
    bytes32[] children;
}
