// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ClaimId} from "./Ids.sol";
import {TracePolicy} from "./Model.sol";
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
/// @dev The first slot has all that a game needs while the trace root comes with the claim.
/// @param leafDepth levels from the trace root down to the leaves
/// @param games games ever opened, the counter that their ids are made of
/// @param traceRoot of a claim that was posted without one, once it is set; zero for all others
/// @param rootAt when that trace root was set
struct Dispute {
    address claimant;
    uint32 games;
    uint32 openGames;
    uint8 leafDepth;
    TracePolicy policy;
    bool convicted;
    bytes32 traceRoot;
    Timestamp rootAt;
}

/// @notice One challenger's contest about one claim, from its challenge to its end, when it is deleted.
/// @dev What never changes is in its id (`GameRef`); what `select` changes, but for the node, is in one slot.
/// @param committedAt block number of the commitment
/// @param moves nodes that were opened in this game and left behind
/// @param open neither lost nor won nor reclaimed
/// @param since when the clocks were charged last, and what the sides had left then
/// @param gindex where the game stands in the trace tree: 65 bits at most, since both depths are at most 32
/// @param node hash of the node there; not kept for the root, which is the claim's trace root
struct Game {
    uint48 committedAt;
    uint16 moves;
    bool open;
    Timestamp since;
    Duration defenderLeft;
    Duration challengerLeft;
    uint72 gindex;
    bytes32 commitment;
    bytes32 node;
}

/// @notice Names a game by what never changes in it, which its id is the hash of.
/// @param traceRoot of the claim; zero while it is not set
/// @param counter of the claim's games, from 0
struct GameRef {
    ClaimId claimId;
    bytes32 traceRoot;
    address challenger;
    uint32 counter;
}

/// @notice What every move of a challenger names, so that after a reorganisation it can't hit another claim or node.
/// @param node on which the game stands; zero while the trace root is not set
struct Move {
    GameRef game;
    bytes32 node;
}
