// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Verdicts} from "./Verdicts.sol";
import {IOneStepProver} from "./interfaces/IOneStepProver.sol";
import {IRollupChain} from "./interfaces/IRollupChain.sol";
import {Claims} from "./libraries/Claims.sol";
import {Clock} from "./libraries/Clock.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Position} from "./libraries/Position.sol";
import {Claim, Inclusion} from "./types/Claim.sol";
import {Clocks, Dispute, Game, GameRef, Move, Rule, Side} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {ClaimId, GameId} from "./types/Ids.sol";
import {TracePolicy} from "./types/Model.sol";
import {Params} from "./types/Params.sol";
import {Payout} from "./types/Payout.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title DisputeGame
/// @notice The moves and the clocks of disputes about claims. It holds no money: it tells the ledger what to lock, free and
///         forfeit. Any number of challengers play about one claim, each a game of its own.
/// @dev Whose turn it is follows from the node on which a game stands: once its descendants (or a leaf's bytes) were
///      revealed it is the challenger's, before that the defender's.
contract DisputeGame is Verdicts {
    using Clock for Clocks;

    Duration private immutable WINDOW;
    Duration private immutable CLOCK;
    uint8 private immutable ARITY;
    uint128 private immutable CLAIM_BOND;
    uint128 private immutable CHALLENGE_BOND;
    uint128 private immutable REWARD;
    uint128 private immutable MOVE_FEE;
    uint128 private immutable COLLECT_FEE;

    mapping(ClaimId claimId => Dispute dispute) private _disputes;
    mapping(GameId gameId => Game game) private _games;
    mapping(bytes32 node => mapping(uint256 levels => Timestamp time)) private _opened;

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
    /// @notice The claim is invalid. `place`, `traceIndex` and the rest say where and why, see `Verdict`; for a timeout
    ///         `place` is where the game stood.
    event Convicted(
        ClaimId indexed claimId,
        GameId indexed gameId,
        Rule rule,
        Gindex place,
        uint256 traceIndex,
        uint256 element,
        bytes32 claimed,
        bytes32 computed
    );
    /// @notice The challenger's clock ran out; its bond paid the defender, and `collector` for saying so.
    event ChallengeLost(
        ClaimId indexed claimId, GameId indexed gameId, address indexed collector, uint256 paidToDefender
    );
    /// @notice The game ended because another one convicted the claim; its challenger's bond is free.
    event Reclaimed(ClaimId indexed claimId, GameId indexed gameId);

    /// @notice The claim is invalid already; there is nothing left to win.
    error AlreadyConvicted(ClaimId claimId);
    /// @notice Nobody has challenged this claim.
    error NotChallenged(ClaimId claimId);
    /// @notice The game does not exist or has ended.
    error GameOver(GameId gameId);
    /// @notice The move is about another claim (`actual`) than the one that it names.
    error WrongClaim(ClaimId named, ClaimId actual);
    /// @notice The move names another trace root than the claim's.
    error WrongTraceRoot(bytes32 named, bytes32 actual);
    /// @notice The game stands on another node than the move names.
    error WrongNode(bytes32 named, bytes32 actual);
    /// @notice Only the game's challenger may make this move.
    error NotChallenger(address caller);
    /// @notice This side has used up its time; its game can only be collected.
    error ClockExpired(GameId gameId, Side side);
    /// @notice The node was not opened yet: it is the defender's turn.
    error NotOpened(bytes32 node);
    /// @notice A reveal has a power of two of children, 2 at least and `most` at most, not `given`.
    error ChildCount(uint256 given, uint256 most);
    /// @notice The node lies below the leaves, or is the one on which the game stands.
    error CannotSelect(Gindex gindex);
    /// @notice A trace root is set once, and only for claims that were posted without one.
    error TraceRootAlreadySet(ClaimId claimId);
    /// @notice The trace root was not set yet, or would be set to zero.
    error NoTraceRoot(ClaimId claimId);
    /// @notice The claimant itself sets the trace root, or signs it.
    error NotClaimant(ClaimId claimId);
    /// @notice The game does not stand on this place, and did not commit to it in an earlier block.
    error PlaceNotReached(GameId gameId, Gindex place);
    /// @notice No clock of these games has run out (a move at the deadline is still in time), or they have ended.
    error NothingToCollect();
    /// @notice None of these games was ended by another one's conviction.
    error NothingToReclaim();

    constructor(Params memory params, IOneStepProver prover, IRollupChain chain) Verdicts(chain, prover) {
        WINDOW = params.window;
        CLOCK = params.clock;
        ARITY = params.arity;
        CLAIM_BOND = params.claimBond;
        CHALLENGE_BOND = params.challengeBond;
        REWARD = params.reward;
        MOVE_FEE = params.moveFee;
        COLLECT_FEE = params.collectFee;
    }

    /// @notice Begins a game about a posted claim and locks the sender's bond; the value sent is deposited first.
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
        (TracePolicy policy, uint8 leafDepth) =
            CHAIN.admit{value: msg.value}(claimId, claim.modelId, inclusion, msg.sender, CHALLENGE_BOND);

        uint32 counter = dispute.games;
        if (counter == 0) {
            (dispute.claimant, dispute.policy, dispute.leafDepth) = (claim.claimant, policy, leafDepth);
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
        dispute.rootAt = currentTime();
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
            while (levels < ARITY && 2 ** levels < children.length) ++levels;
            if (children.length != 2 ** levels) revert ChildCount(children.length, 2 ** ARITY);
            bytes32 node = Merkle.complete(children);
            if (_open(node, levels)) emit Revealed(node, children);
        }
    }

    /// @notice Opens leaves: gives the 1,024 bytes of each. Anyone may; see `reveal`.
    function revealLeaf(bytes[] calldata leaves) external {
        for (uint256 j = 0; j < leaves.length; ++j) {
            bytes32 node = Merkle.leaf(leaves[j]);
            if (_open(node, 0)) emit LeafRevealed(node, leaves[j]);
        }
    }

    /// @notice Goes down from an opened node to a descendant: through the revealed children, and through every further
    ///         level whose preimages the challenger knows.
    /// @param gindex of the descendant in the trace tree
    /// @param siblings its path up to the node on which the game stands, 32 bytes each
    function select(Move calldata move, Gindex gindex, bytes32 node, bytes calldata siblings) external {
        (GameId gameId, Game storage game, Dispute storage dispute, Clocks memory clocks, bool isOpen) =
            _challengersGame(move);
        if (!isOpen) revert NotOpened(move.node);
        Gindex relative = gindex.relativeTo(Gindex.wrap(game.gindex));
        if (relative.depth() == 0 || gindex.depth() > dispute.leafDepth) revert CannotSelect(gindex);
        bytes32 computed = Merkle.branch(node, relative, siblings);
        if (computed != move.node) revert HashMismatch(computed, move.node);

        game.moves += 1;
        // forge-lint: disable-next-line(unsafe-typecast) at most 64 levels deep
        game.gindex = uint72(Gindex.unwrap(gindex));
        _setClocks(game, clocks);
        game.node = node;
        emit Selected(gameId, gindex, node);
    }

    /// @notice Convicts the claim if the witness shows that it is false at `place`. In either turn, while both clocks live.
    /// @param place on which the game stands, or to which it committed in an earlier block: a leaf (`Step`, `Padding`) or
    ///        an entry (`Input`, `Output`) of the trace tree
    /// @param salt of the commitment; not looked at if the game stands on the place
    /// @param witness encoded as ARCHITECTURE.md says for the rule
    function prove(
        Move calldata move,
        Claim calldata claim,
        Gindex place,
        bytes32 salt,
        Rule rule,
        bytes calldata witness
    ) external {
        (GameId gameId, Game storage game, Dispute storage dispute,,) = _challengersGame(move);
        ClaimId claimId = Claims.id(claim, Claims.domain(address(CHAIN)));
        bytes32 traceRoot = move.game.traceRoot;
        if (claimId != move.game.claimId) revert WrongClaim(move.game.claimId, claimId);
        if (traceRoot == 0) revert NoTraceRoot(claimId);
        if (Gindex.unwrap(place) != game.gindex) {
            bytes32 expected = commitmentOf(claimId, traceRoot, msg.sender, place, salt);
            if (game.commitment != expected || game.committedAt >= block.number) {
                revert PlaceNotReached(gameId, place);
            }
        }
        _convict(gameId, move.game, dispute, rule, place, _verdict(traceRoot, claim, place, rule, witness));
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
            // slither-disable-next-line unused-return only who is late matters here
            (, Side expired) = _clocks(game).charge(_openedAt(dispute, gindex, node), currentTime());
            if (expired == Side.None) continue;
            collected = true;
            if (expired == Side.Defender) {
                Verdict memory silent = Verdict(0, 0, 0, 0);
                _convict(gameId, games[j], dispute, Rule.Timeout, gindex, silent);
            } else {
                _lose(gameId, games[j], dispute, game.moves);
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

    /// @notice The parameters of this deployment.
    function parameters() external view returns (Params memory) {
        return Params({
            window: WINDOW,
            clock: CLOCK,
            arity: ARITY,
            claimBond: CLAIM_BOND,
            challengeBond: CHALLENGE_BOND,
            reward: REWARD,
            moveFee: MOVE_FEE,
            collectFee: COLLECT_FEE
        });
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
        Timestamp opened = _openedAt(dispute, gindex, node);
        turn = opened.isNever() ? Side.Defender : Side.Challenger;
        (clocks, expired) = _clocks(game).charge(opened, currentTime());
    }

    /// @notice When a node was opened that many levels deep (0: a leaf's bytes); zero if never.
    function openedAt(bytes32 node, uint256 levels) external view returns (Timestamp) {
        return _opened[node][levels];
    }

    /// @notice The id of a claim's game number `counter` (from 0), if this challenger opened it.
    /// @param traceRoot that came with the claim; zero if it was posted without one, also after it is set
    function gameIdOf(ClaimId claimId, bytes32 traceRoot, address challenger, uint256 counter)
        public
        pure
        returns (GameId)
    {
        return GameId.wrap(keccak256(abi.encode(claimId, traceRoot, challenger, counter)));
    }

    /// @notice What a challenger commits to.
    function commitmentOf(ClaimId claimId, bytes32 traceRoot, address challenger, Gindex place, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), claimId, traceRoot, challenger, place, salt));
    }

    /// @dev Whether that was news.
    function _open(bytes32 node, uint256 levels) private returns (bool) {
        if (!_opened[node][levels].isNever()) return false;
        _opened[node][levels] = currentTime();
        return true;
    }

    function _commit(GameId gameId, Game storage game, bytes32 commitment) private {
        game.commitment = commitment;
        // forge-lint: disable-next-line(unsafe-typecast) no chain has 2**48 blocks
        game.committedAt = uint48(block.number);
        emit Committed(gameId, commitment);
    }

    // slither-disable-next-line calls-loop,costly-loop as in `timeout`
    function _convict(
        GameId gameId,
        GameRef calldata ref,
        Dispute storage dispute,
        Rule rule,
        Gindex place,
        Verdict memory verdict
    ) private {
        delete _games[gameId];
        (dispute.openGames, dispute.convicted) = (0, true);
        emit Convicted(
            ref.claimId, gameId, rule, place, verdict.traceIndex, verdict.element, verdict.claimed, verdict.computed
        );
        // Only a timeout has somebody who collected it.
        uint128 fee = rule == Rule.Timeout ? COLLECT_FEE : 0;
        Payout memory payout = Payout(ref.challenger, REWARD, msg.sender, fee);
        CHAIN.convict(ref.claimId, dispute.claimant, CHALLENGE_BOND, payout);
    }

    // slither-disable-next-line calls-loop,costly-loop as in `timeout`
    function _lose(GameId gameId, GameRef calldata ref, Dispute storage dispute, uint16 moves) private {
        delete _games[gameId];
        dispute.openGames -= 1;
        // The challenger lost in its own turn, so the node on which it stood was opened as well.
        // In 256 bits: a product that reverted would keep the game, and so the claim, open for ever.
        uint256 fees = (uint256(moves) + 1) * MOVE_FEE;
        uint128 most = CHALLENGE_BOND - COLLECT_FEE;
        // forge-lint: disable-next-line(unsafe-typecast) below `most`
        uint128 paid = fees < most ? uint128(fees) : most;
        emit ChallengeLost(ref.claimId, gameId, msg.sender, paid);
        CHAIN.forfeit(ref.challenger, CHALLENGE_BOND, Payout(dispute.claimant, paid, msg.sender, COLLECT_FEE));
    }

    /// @dev What a move of the challenger is about, if it has the right to make it now: the clocks as charged until now,
    ///      and whether the game's node is open.
    function _challengersGame(Move calldata move)
        private
        view
        returns (GameId gameId, Game storage game, Dispute storage dispute, Clocks memory clocks, bool isOpen)
    {
        GameRef calldata ref = move.game;
        (gameId, game, dispute) = _live(ref);
        (Gindex gindex, bytes32 node) = _place(game, ref);
        if (move.node != node) revert WrongNode(move.node, node);
        if (msg.sender != ref.challenger) revert NotChallenger(msg.sender);
        Timestamp opened = _openedAt(dispute, gindex, node);
        Side expired;
        (clocks, expired) = _clocks(game).charge(opened, currentTime());
        if (expired != Side.None) revert ClockExpired(gameId, expired);
        isOpen = !opened.isNever();
    }

    /// @dev The game that a move names; it is not open if there is none.
    function _named(GameRef calldata ref)
        private
        view
        returns (GameId gameId, Game storage game, Dispute storage dispute)
    {
        dispute = _disputes[ref.claimId];
        bytes32 posted = dispute.policy == TracePolicy.WithClaim ? ref.traceRoot : bytes32(0);
        gameId = gameIdOf(ref.claimId, posted, ref.challenger, ref.counter);
        game = _games[gameId];
    }

    function _live(GameRef calldata ref)
        private
        view
        returns (GameId gameId, Game storage game, Dispute storage dispute)
    {
        (gameId, game, dispute) = _named(ref);
        if (!_isLive(game, dispute)) revert GameOver(gameId);
        if (!_hasRoot(ref, dispute)) revert WrongTraceRoot(ref.traceRoot, dispute.traceRoot);
    }

    function _isLive(Game storage game, Dispute storage dispute) private view returns (bool) {
        return game.open && !dispute.convicted;
    }

    /// @dev A root that came with the claim is a part of the game's id already.
    function _hasRoot(GameRef calldata ref, Dispute storage dispute) private view returns (bool) {
        return dispute.policy == TracePolicy.WithClaim || ref.traceRoot == dispute.traceRoot;
    }

    function _clocks(Game storage game) private view returns (Clocks memory) {
        return Clocks({since: game.since, defender: game.defenderLeft, challenger: game.challengerLeft});
    }

    function _setClocks(Game storage game, Clocks memory clocks) private {
        (game.since, game.defenderLeft, game.challengerLeft) = (clocks.since, clocks.defender, clocks.challenger);
    }

    /// @dev Where the game stands, and the hash of that node.
    function _place(Game storage game, GameRef calldata ref) private view returns (Gindex gindex, bytes32 node) {
        gindex = Gindex.wrap(game.gindex);
        node = _isRoot(gindex) ? ref.traceRoot : game.node;
    }

    function _isRoot(Gindex gindex) private pure returns (bool) {
        return Gindex.unwrap(gindex) == Gindex.unwrap(Position.ROOT);
    }

    /// @dev When the next opening of a node, which goes down by the arity, or to the leaves, or to a leaf's bytes, was made.
    ///      A root that was opened for another claim counts here from when this claim's was set.
    function _openedAt(Dispute storage dispute, Gindex gindex, bytes32 node) private view returns (Timestamp opened) {
        uint256 left = dispute.leafDepth - gindex.depth();
        opened = _opened[node][left < ARITY ? left : ARITY];
        bool lateRoot = _isRoot(gindex) && dispute.policy == TracePolicy.OnDispute;
        if (lateRoot && !opened.isNever() && dispute.rootAt > opened) opened = dispute.rootAt;
    }
}
