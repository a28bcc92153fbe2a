// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Gindex} from "./Gindex.sol";
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
///      clock ran out. `Part`: a partial result is not what its part of the domain reduces to. `Epilogue`: an element is not
///      what the op's code makes of the accumulator that the claimant gave.
enum Rule {
    Step,
    Padding,
    Input,
    Output,
    Timeout,
    Part,
    Epilogue
}

/// @notice The chess clocks of one game: what each side has left at `since`.
struct Clocks {
    Timestamp since;
    Duration defender;
    Duration challenger;
}

/// @notice What all games about one claim share.
/// @dev The first slot has all that a game needs while the trace root comes with the claim.
/// @param games games ever opened, the counter that their ids are made of
/// @param traceDepth levels from the trace root down to the entries
/// @param leafDepth levels from the trace root down to the leaves
/// @param traceRoot of a claim that was posted without one, once it is set; zero for all others
/// @param rootAt when that trace root was set
/// @param rootBy who sent it
struct Dispute {
    address claimant;
    uint32 games;
    uint32 openGames;
    uint8 traceDepth;
    uint8 leafDepth;
    TracePolicy policy;
    bool convicted;
    bytes32 traceRoot;
    Timestamp rootAt;
    address rootBy;
}

/// @notice One challenger's contest about one claim, from its challenge to its end, when it is deleted.
/// @dev What never changes is in its id (`GameRef`); what `select` changes, but for the node, is in one slot.
/// @param committedAt block number of the commitment
/// @param moves nodes that were opened in this game and left behind
/// @param helpers length of the list of those who opened some of them and are not the claimant
/// @param open neither lost nor won nor reclaimed
/// @param inside whether it has descended to an element: `node` is then the hash of a question about the leaf at `gindex`
/// @param since when the clocks were charged last, and what the sides had left then
/// @param gindex where the game stands in the trace tree: 65 bits at most, since both depths are at most 32
/// @param node hash of the node there; not kept for the root, which is the claim's trace root
struct Game {
    uint40 committedAt;
    uint8 moves;
    uint8 helpers;
    bool open;
    bool inside;
    Timestamp since;
    Duration defenderLeft;
    Duration challengerLeft;
    uint72 gindex;
    bytes32 commitment;
    bytes32 node;
}

/// @notice That a node was opened, for all games on it.
/// @param mark who opened it; of a question, which its claimant alone answers, what identifies the answer
struct Opening {
    Timestamp time;
    uint216 mark;
}

/// @notice Somebody other than the claimant who opened nodes of a game, and how many one after the other.
struct Helper {
    address account;
    uint8 moves;
}

/// @notice The game that gets the reward for a proof at one place of one claim's trace, while it is live.
struct First {
    address challenger;
    uint32 counter;
}

/// @notice What a game is about inside an element: the whole reduction domain of the op there, or a range of its parts.
/// @dev Parts are the leaves of a tree with `FAN_OUT` children a node, see `Parts`. Node `index` of level `level` is in
///      question; level 0 is the whole domain.
/// @param place of the leaf
/// @param element of the leaf
/// @param monoid of the op
/// @param parts their number
/// @param value the partial result that the claimant gave for the node; 0 at level 0
/// @param position of the best element in the whole domain, for an argument; 0 for other monoids and at level 0
struct Question {
    Gindex place;
    uint32 element;
    uint8 monoid;
    uint32 parts;
    uint8 level;
    uint32 index;
    int64 value;
    uint64 position;
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
