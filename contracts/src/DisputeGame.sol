// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Elements} from "./Elements.sol";
import {Games} from "./Games.sol";
import {IOneStepProver} from "./interfaces/IOneStepProver.sol";
import {IRollupChain} from "./interfaces/IRollupChain.sol";
import {Claims} from "./libraries/Claims.sol";
import {Clock} from "./libraries/Clock.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Position} from "./libraries/Position.sol";
import {Claim, Inclusion} from "./types/Claim.sol";
import {Clocks, Dispute, Game, GameRef, Move, Opening, Rule, Side} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {ClaimId, GameId} from "./types/Ids.sol";
import {TracePolicy} from "./types/Model.sol";
import {Params} from "./types/Params.sol";
import {Timestamp, currentTime} from "./types/Time.sol";
import {HashMismatch, Verdict} from "./types/Verdict.sol";

/// @title DisputeGame
/// @notice The moves and the clocks of disputes about claims. It holds no money: it tells the ledger what to lock, free and
///         forfeit. Any number of challengers play about one claim, each a game of its own.
/// @dev The moves inside one element are in `Elements`.
contract DisputeGame is Elements {
    using Clock for Clocks;

    /// @notice A game about a claim began. `traceRoot` came with the claim, or is zero.
    event Challenged(
        ClaimId indexed claimId,
        GameId indexed gameId,
        address indexed challenger,
        uint256 counter,
        bytes32 traceRoot,
        bytes32 commitment
    );
    /// @notice The challenger committed to a place, or to another one; it counts from the next block.
    event Committed(GameId indexed gameId, bytes32 commitment);
    /// @notice The claimant told the trace root of a claim that was posted without one.
    event TraceRootSet(ClaimId indexed claimId, bytes32 traceRoot);
    /// @notice The descendants of a node became known, `log2(children.length)` levels below it, for all games on it.
    event Revealed(bytes32 indexed node, bytes32[] children);
    /// @notice The bytes of a leaf became known, for all games on it.
    event LeafRevealed(bytes32 indexed node, bytes data);
    /// @notice The challenger went down to a node that it disputes.
    event Selected(GameId indexed gameId, Gindex gindex, bytes32 node);
    /// @notice The game ended because another one convicted the claim; its challenger's bond is free.
    event Reclaimed(ClaimId indexed claimId, GameId indexed gameId);

    /// @notice Call `index` of a multicall failed, with an error of this selector; the others stand.
    event CallFailed(uint256 index, bytes4 reason);

    /// @notice The claim is invalid already; there is nothing left to win.
    error AlreadyConvicted(ClaimId claimId);
    /// @notice Nobody has challenged this claim.
    error NotChallenged(ClaimId claimId);
    /// @notice A reveal has a power of two of children, 2 at least and `most` at most, not `given`.
    error ChildCount(uint256 given, uint256 most);
    /// @notice The node lies below the leaves, or less deep than the game's node was opened without being an entry.
    error CannotSelect(Gindex gindex);
    /// @notice A trace root is set once, and only for claims that were posted without one.
    error TraceRootAlreadySet(ClaimId claimId);
    /// @notice No clock of these games has run out (a move at the deadline is still in time), or they have ended.
    error NothingToCollect();
    /// @notice None of these games was ended by another one's conviction.
    error NothingToReclaim();

    /// @notice Call `index` of a multicall failed without saying why: it ran out of gas, or is no call of this contract.
    error Starved(uint256 index);

    /// @param params the chain's
    /// @param prover decides about single elements
    /// @param chain to be deployed behind the game, at this address
    constructor(Params memory params, IOneStepProver prover, IRollupChain chain) Games(params, prover, chain) {}

    /// @notice Makes many moves in one transaction. One that is refused (it may have become stale) spoils no other. It takes
    ///         no money along: bonds come from earnings.
    /// @param calls calldata of this contract's functions
    // slither-disable-next-line calls-loop,delegatecall-loop,controlled-delegatecall,low-level-calls,reentrancy-events it calls itself, without value
    function multicall(bytes[] calldata calls) external {
        for (uint256 j = 0; j < calls.length; ++j) {
            (bool success, bytes memory answer) = address(this).delegatecall(calls[j]);
            if (success) continue;
            if (answer.length < 4) revert Starved(j);
            // forge-lint: disable-next-line(unsafe-typecast) its first 4 bytes
            emit CallFailed(j, bytes4(answer));
        }
    }

    /// @notice Begins a game about a posted claim and locks the sender's bond, from the value sent and from earnings.
    /// @param commitment to a place (see `commit`), or zero
    // slither-disable-next-line reentrancy-eth,reentrancy-benign,reentrancy-events as in `timeout`
    function challenge(Claim calldata claim, Inclusion calldata inclusion, bytes32 commitment)
        external
        payable
        returns (GameId gameId)
    {
        ClaimId claimId = Claims.id(claim, Claims.domain(address(CHAIN)));
        Dispute storage dispute = _disputes[claimId];
        if (dispute.convicted) revert AlreadyConvicted(claimId);
        uint32 counter = dispute.games;
        (TracePolicy policy, uint8 traceDepth, uint8 leafDepth) =
            CHAIN.admit{value: msg.value}(claimId, claim.modelId, inclusion, msg.sender, CHALLENGE_BOND, counter == 0);

        if (counter == 0) {
            (dispute.claimant, dispute.policy) = (claim.claimant, policy);
            (dispute.traceDepth, dispute.leafDepth) = (traceDepth, leafDepth);
        }
        (dispute.games, dispute.openGames) = (counter + 1, dispute.openGames + 1);
        gameId = gameIdOf(claimId, claim.traceRoot, msg.sender, counter);
        Game storage game = _games[gameId];
        (game.open, game.gindex) = (true, uint72(Gindex.unwrap(Position.ROOT)));
        _setClocks(game, Clock.start(CLOCK, currentTime()));
        emit Challenged(claimId, gameId, msg.sender, counter, claim.traceRoot, commitment);
        if (commitment != 0) _commit(gameId, game, commitment);
    }

    /// @notice Commits the game to a place, or to another one, in either turn. It counts from the next block.
    /// @param commitment `keccak256(abi.encode(chainid, game contract, claim id, trace root, challenger, place, salt))`
    function commit(Move calldata move, bytes32 commitment) external {
        (GameId gameId, Game storage game,,,) = _challengersGame(move);
        _commit(gameId, game, commitment);
    }

    /// @notice Sets the trace root of a challenged claim that was posted without one. Once, for all its games.
    /// @param signature the claimant's, over `TraceRoot(claimId, traceRoot)`; may be empty if the sender is the claimant
    function setTraceRoot(ClaimId claimId, bytes32 traceRoot, bytes calldata signature) external {
        Dispute storage dispute = _disputes[claimId];
        if (dispute.games == 0) revert NotChallenged(claimId);
        if (dispute.convicted) revert AlreadyConvicted(claimId);
        if (dispute.policy == TracePolicy.WithClaim || dispute.traceRoot != 0) revert TraceRootAlreadySet(claimId);
        if (traceRoot == 0) revert NoTraceRoot(claimId);
        if (msg.sender != dispute.claimant) {
            bytes32 digest = Claims.traceRootDigest(claimId, traceRoot, Claims.domain(address(CHAIN)));
            if (!Claims.signedBy(digest, signature, dispute.claimant)) revert NotClaimant(claimId);
        }
        dispute.traceRoot = traceRoot;
        (dispute.rootAt, dispute.rootBy) = (currentTime(), msg.sender);
        emit TraceRootSet(claimId, traceRoot);
    }

    /// @notice Opens nodes: gives the descendants of each, some levels below it, from left to right. Anyone may.
    /// @dev It names no claim and no game: an opening is a preimage, true wherever its node stands, and the node is what the
    ///      children hash to. A game goes by the openings that are as deep as its own next one. What is known already is
    ///      passed over, so that nobody can spoil a defender's batch by being faster with a part of it. It does not ask for
    ///      clocks: a node opened after the defender's deadline does not save that game.
    function reveal(bytes32[][] calldata openings) external {
        for (uint256 j = 0; j < openings.length; ++j) {
            bytes32[] calldata children = openings[j];
            uint256 levels = 1;
            uint256 count = 2;
            for (; levels < ARITY && count < children.length; ++levels) {
                count *= 2;
            }
            if (children.length != count) revert ChildCount(children.length, 2 ** ARITY);
            bytes32 node = Merkle.complete(children);
            if (_open(node, levels, uint160(msg.sender))) emit Revealed(node, children);
        }
    }

    /// @notice Opens leaves: gives the 1,024 bytes of each. Anyone may; see `reveal`.
    function revealLeaf(bytes[] calldata leaves) external {
        for (uint256 j = 0; j < leaves.length; ++j) {
            bytes32 node = Merkle.leaf(leaves[j]);
            if (_open(node, 0, uint160(msg.sender))) emit LeafRevealed(node, leaves[j]);
        }
    }

    /// @notice Goes down from an opened node to a descendant: through the revealed children, and through every further
    ///         level whose preimages the challenger knows. Only at an entry may it stop above the revealed children: a
    ///         challenger can't ask for more answers than there are times the arity in the depth, and one.
    /// @param gindex of the descendant in the trace tree
    /// @param siblings its path up to the node on which the game stands, 32 bytes each
    function select(Move calldata move, Gindex gindex, bytes32 node, bytes calldata siblings) external {
        (GameId gameId, Game storage game, Dispute storage dispute, Clocks memory clocks, Opening memory opening) =
            _inTurn(move);
        Gindex relative = gindex.relativeTo(Gindex.wrap(game.gindex));
        uint256 depth = gindex.depth();
        uint256 levels = relative.depth();
        uint256 left = dispute.leafDepth + levels - depth;
        bool tooHigh = levels < (left < ARITY ? left : ARITY) && depth != dispute.traceDepth;
        if (levels == 0 || depth > dispute.leafDepth || tooHigh) revert CannotSelect(gindex);
        bytes32 computed = Merkle.branch(node, relative, siblings);
        if (computed != move.node) revert HashMismatch(computed, move.node);

        _leave(gameId, game, dispute, opening);
        // forge-lint: disable-next-line(unsafe-typecast) at most 64 levels deep
        game.gindex = uint72(Gindex.unwrap(gindex));
        _setClocks(game, clocks);
        game.node = node;
        if (depth == dispute.leafDepth || depth == dispute.traceDepth) _arrive(move.game, game, dispute, gindex);
        emit Selected(gameId, gindex, node);
    }

    /// @notice Convicts the claim if the witness shows that it is false at `place`. In either turn, while both clocks live.
    /// @param place on which the game stands, or to which it committed in an earlier block: a leaf (`Step`, `Padding`) or
    ///        an entry (`Input`, `Output`) of the trace tree
    /// @param salt of the commitment; not looked at if the game stands on the place
    /// @param witness encoded as docs/formats.md says for the rule
    function prove(
        Move calldata move,
        Claim calldata claim,
        Gindex place,
        bytes32 salt,
        Rule rule,
        bytes calldata witness
    ) external {
        (GameId gameId, Game storage game, Dispute storage dispute,,) = _challengersGame(move);
        _requireClaim(move.game, claim);
        _requireReached(gameId, move.game, game, place, salt);
        Verdict memory verdict = _verdict(move.game.traceRoot, claim, place, rule, witness);
        _convict(gameId, move.game, dispute, rule, place, verdict);
    }

    /// @notice Ends games in which a side used more time than it had. Anyone may, and is paid from the loser's bond.
    /// @dev Games that have ended or have time left are passed over; at least one must end.
    // The chain deployed this contract, and its ledger calls nobody; a batch frees the storage of every game in it.
    // slither-disable-next-line reentrancy-no-eth,reentrancy-events,calls-loop,costly-loop
    function timeout(GameRef[] calldata games) external {
        bool collected = false;
        for (uint256 j = 0; j < games.length; ++j) {
            (GameId gameId, Game storage game, Dispute storage dispute) = _named(games[j]);
            if (!_isLive(game, dispute) || !_hasRoot(games[j], dispute)) continue;
            (Gindex gindex, bytes32 node) = _place(game, games[j]);
            Opening memory opening = _openingOf(dispute, gindex, node);
            // slither-disable-next-line unused-return only who is late matters here
            (, Side expired) = _clocks(game).charge(opening.time, currentTime());
            if (expired == Side.None) continue;
            collected = true;
            if (expired == Side.Defender) {
                Verdict memory silent = Verdict(0, 0, 0, 0, 0);
                _convict(gameId, games[j], dispute, Rule.Timeout, gindex, silent);
            } else {
                _lose(gameId, games[j], game, dispute, opening);
            }
        }
        if (!collected) revert NothingToCollect();
    }

    /// @notice Frees the bonds of games that ended because another game convicted their claim. Anyone may.
    /// @dev Other games are passed over; at least one bond must become free.
    // slither-disable-next-line reentrancy-no-eth,reentrancy-events,calls-loop,costly-loop as in `timeout`
    function reclaim(GameRef[] calldata games) external {
        bool reclaimed = false;
        for (uint256 j = 0; j < games.length; ++j) {
            (GameId gameId, Game storage game, Dispute storage dispute) = _named(games[j]);
            if (!game.open || !dispute.convicted) continue;
            reclaimed = true;
            delete _games[gameId];
            emit Reclaimed(games[j].claimId, gameId);
            CHAIN.unlock(games[j].challenger, CHALLENGE_BOND);
        }
        if (!reclaimed) revert NothingToReclaim();
    }

    /// @notice The chain whose claims are disputed here, and the contract that decides about single elements.
    function contracts() external view returns (IRollupChain chain, IOneStepProver prover) {
        return (CHAIN, PROVER);
    }

    /// @notice What decides whether a claim can become final: its games that are neither lost nor ended by a conviction (an
    ///         expired one counts until it is collected), and whether it was convicted.
    function standingOf(ClaimId claimId) external view returns (uint256 open, bool convicted) {
        Dispute storage dispute = _disputes[claimId];
        return (dispute.openGames, dispute.convicted);
    }

    /// @notice What all games about a claim share.
    function disputeOf(ClaimId claimId) external view returns (Dispute memory) {
        return _disputes[claimId];
    }

    /// @notice A game as it is stored: its clocks are those of the last charge. All zero once it has ended.
    function gameOf(GameId gameId) external view returns (Game memory) {
        return _games[gameId];
    }

    /// @notice Where a live game stands now.
    /// @return node on which it stands; zero while the trace root is not set
    /// @return turn whose clock runs
    /// @return clocks what each side has left now
    /// @return expired the side that can't move any more, collected or not
    function stateOf(GameRef calldata ref)
        external
        view
        returns (bytes32 node, Side turn, Clocks memory clocks, Side expired)
    {
        (, Game storage game, Dispute storage dispute) = _live(ref);
        Gindex gindex;
        (gindex, node) = _place(game, ref);
        Timestamp opened = _openingOf(dispute, gindex, node).time;
        turn = opened.isNever() ? Side.Defender : Side.Challenger;
        (clocks, expired) = _clocks(game).charge(opened, currentTime());
    }

    /// @notice When a node was opened that many levels deep (0: a leaf's bytes, or the answer to a question); zero if never.
    function openedAt(bytes32 node, uint256 levels) external view returns (Timestamp) {
        return _opened[node][levels].time;
    }

    function _commit(GameId gameId, Game storage game, bytes32 commitment) private {
        game.commitment = commitment;
        // forge-lint: disable-next-line(unsafe-typecast) no chain has 2**40 blocks
        game.committedAt = uint40(block.number);
        emit Committed(gameId, commitment);
    }
}
