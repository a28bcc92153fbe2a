// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Verdicts} from "./Verdicts.sol";
import {IOneStepProver} from "./interfaces/IOneStepProver.sol";
import {IRollupChain} from "./interfaces/IRollupChain.sol";
import {Claims} from "./libraries/Claims.sol";
import {Clock} from "./libraries/Clock.sol";
import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Position} from "./libraries/Position.sol";
import {Claim, Inclusion} from "./types/Claim.sol";
import {Clocks, Dispute, Game, Move, Reveal, Rule, Side} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {ClaimId, GameId} from "./types/Ids.sol";
import {Outline, TracePolicy} from "./types/Model.sol";
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

    /// @notice A game about a claim began.
    event Challenged(
        ClaimId indexed claimId,
        GameId indexed gameId,
        address indexed challenger,
        uint256 batchId,
        uint256 index,
        bytes32 commitment
    );
    /// @notice The challenger committed to a place, or to another one; it counts from the next block.
    event Committed(GameId indexed gameId, bytes32 commitment);
    /// @notice The claimant told the trace root of a claim that was posted without one.
    event TraceRootSet(ClaimId indexed claimId, bytes32 traceRoot);
    /// @notice The descendants of a node became known, `log2(children.length)` levels below it, for all games on it.
    event Revealed(bytes32 indexed node, GameId indexed gameId, bytes32[] children);
    /// @notice The bytes of a leaf became known, for all games on it.
    event LeafRevealed(bytes32 indexed node, GameId indexed gameId, bytes data);
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

    /// @notice The challenge period ended at `end`.
    error WindowOver(Timestamp end);
    /// @notice The claim is invalid already; there is nothing left to win.
    error AlreadyConvicted(ClaimId claimId);
    /// @notice Nobody has challenged this claim.
    error NotChallenged(ClaimId claimId);
    /// @notice The game does not exist or has ended.
    error GameOver(GameId gameId);
    /// @notice The move names another claim than the game's.
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
    /// @notice The node is a leaf: reveal its bytes.
    error LeafReached(bytes32 node);
    /// @notice The node is no leaf: reveal its descendants.
    error LeafNotReached(bytes32 node);
    /// @notice A reveal here has `needed` children, not `given`.
    error ChildCount(uint256 given, uint256 needed);
    /// @notice The node lies below the leaves, or is the one on which the game stands.
    error CannotSelect(Gindex gindex);
    /// @notice A trace root is set once, and only for claims that were posted without one.
    error TraceRootAlreadySet(bytes32 traceRoot);
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
    function challenge(Claim calldata claim, Inclusion calldata inclusion, bytes32 commitment)
        external
        payable
        returns (GameId gameId)
    {
        ClaimId claimId = Claims.id(claim, Claims.domain(address(CHAIN)));
        Dispute storage dispute = _disputes[claimId];
        if (dispute.convicted) revert AlreadyConvicted(claimId);
        Timestamp end = CHAIN.postedAt(claimId, inclusion).plus(WINDOW);
        if (currentTime() > end) revert WindowOver(end);
        if (dispute.games == 0) _begin(dispute, claim, inclusion);

        gameId = gameIdOf(claimId, msg.sender, dispute.games);
        dispute.games += 1;
        dispute.openGames += 1;
        Game storage game = _games[gameId];
        game.claimId = claimId;
        game.challenger = msg.sender;
        game.open = true;
        _setClocks(game, Clock.start(CLOCK, currentTime()));
        game.gindex = Position.ROOT;
        emit Challenged(claimId, gameId, msg.sender, inclusion.batchId, inclusion.index, commitment);
        if (commitment != 0) _commit(gameId, game, commitment);

        if (msg.value != 0) CHAIN.depositFor{value: msg.value}(msg.sender);
        CHAIN.lock(msg.sender, CHALLENGE_BOND);
    }

    /// @notice Commits the game to a place, or to another one, in either turn. It counts from the next block.
    /// @param commitment `keccak256(abi.encode(chainid, game contract, claim id, trace root, challenger, place, salt))`
    function commit(Move calldata move, bytes32 commitment) external {
        (Game storage game,,,) = _challengersGame(move);
        _commit(move.gameId, game, commitment);
    }

    /// @notice Sets the trace root of a challenged claim that was posted without one. Once, for all its games.
    /// @param signature the claimant's, over `TraceRoot(claimId, traceRoot)`; may be empty if the sender is the claimant
    function setTraceRoot(ClaimId claimId, bytes32 traceRoot, bytes calldata signature) external {
        Dispute storage dispute = _disputes[claimId];
        if (dispute.games == 0) revert NotChallenged(claimId);
        if (dispute.convicted) revert AlreadyConvicted(claimId);
        if (dispute.traceRoot != 0) revert TraceRootAlreadySet(dispute.traceRoot);
        if (traceRoot == 0) revert NoTraceRoot(claimId);
        if (msg.sender != dispute.claimant) {
            bytes32 digest = Claims.traceRootDigest(claimId, traceRoot, Claims.domain(address(CHAIN)));
            if (!Claims.signedBy(digest, signature, dispute.claimant)) revert NotClaimant(claimId);
        }
        dispute.traceRoot = traceRoot;
        dispute.rootAt = currentTime();
        emit TraceRootSet(claimId, traceRoot);
    }

    /// @notice Opens nodes: gives their descendants `min(arity, levels left)` levels below. Anyone may; they are preimages.
    /// @dev What is known already, or belongs to a game that has ended, is passed over, so that nobody can spoil a
    ///      defender's batch by being faster with a part of it. It does not ask for clocks: a node opened after the
    ///      defender's deadline does not save that game.
    function reveal(Reveal[] calldata reveals) external {
        for (uint256 j = 0; j < reveals.length; ++j) {
            Move calldata move = reveals[j].move;
            bytes32[] calldata children = reveals[j].children;
            (Game storage game, Dispute storage dispute) = _named(move);
            if (!_isLive(game, dispute) || !_opened[move.node][Header.depthFor(children.length)].isNever()) continue;
            _requireNode(move, game, dispute);
            uint256 levels = _levels(game, dispute);
            if (levels == 0) revert LeafReached(move.node);
            if (children.length != 2 ** levels) revert ChildCount(children.length, 2 ** levels);
            bytes32 computed = Merkle.extend(children, 0, levels);
            if (computed != move.node) revert HashMismatch(computed, move.node);
            _opened[move.node][levels] = currentTime();
            emit Revealed(move.node, move.gameId, children);
        }
    }

    /// @notice Opens a leaf: gives its 1,024 bytes. Anyone may, and passed over as in `reveal`.
    function revealLeaf(Move calldata move, bytes calldata data) external {
        (Game storage game, Dispute storage dispute) = _named(move);
        if (!_isLive(game, dispute) || !_opened[move.node][0].isNever()) return;
        _requireNode(move, game, dispute);
        if (_levels(game, dispute) != 0) revert LeafNotReached(move.node);
        bytes32 computed = Merkle.leaf(data);
        if (computed != move.node) revert HashMismatch(computed, move.node);
        _opened[move.node][0] = currentTime();
        emit LeafRevealed(move.node, move.gameId, data);
    }

    /// @notice Goes down from an opened node to a descendant: through the revealed children, and through every further
    ///         level whose preimages the challenger knows.
    /// @param gindex of the descendant in the trace tree
    /// @param siblings its path up to the node on which the game stands, 32 bytes each
    function select(Move calldata move, Gindex gindex, bytes32 node, bytes calldata siblings) external {
        (Game storage game, Dispute storage dispute, Clocks memory clocks, bool isOpen) = _challengersGame(move);
        if (!isOpen) revert NotOpened(move.node);
        Gindex relative = gindex.relativeTo(game.gindex);
        if (relative.depth() == 0 || gindex.depth() > _leafDepth(dispute)) revert CannotSelect(gindex);
        bytes32 computed = Merkle.branch(node, relative, siblings);
        if (computed != move.node) revert HashMismatch(computed, move.node);

        _setClocks(game, clocks);
        game.gindex = gindex;
        game.node = node;
        game.moves += 1;
        emit Selected(move.gameId, gindex, node);
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
        (Game storage game, Dispute storage dispute,,) = _challengersGame(move);
        ClaimId claimId = Claims.id(claim, Claims.domain(address(CHAIN)));
        if (claimId != move.claimId) revert WrongClaim(claimId, move.claimId);
        if (move.traceRoot == 0) revert NoTraceRoot(claimId);
        if (Gindex.unwrap(place) != Gindex.unwrap(game.gindex)) {
            bytes32 expected = commitmentOf(claimId, move.traceRoot, msg.sender, place, salt);
            if (game.commitment != expected || game.committedAt >= block.number) {
                revert PlaceNotReached(move.gameId, place);
            }
        }
        _convict(move.gameId, game, dispute, rule, place, _verdict(move.traceRoot, claim, place, rule, witness));
    }

    /// @notice Ends games in which a side used more time than it had. Anyone may, and is paid from the loser's bond.
    /// @dev Games that have ended or have time left are passed over; at least one must end.
    // slither-disable-next-line reentrancy-no-eth,calls-loop the chain deployed this contract, and its ledger calls nobody
    function timeout(GameId[] calldata gameIds) external {
        bool collected = false;
        for (uint256 j = 0; j < gameIds.length; ++j) {
            Game storage game = _games[gameIds[j]];
            Dispute storage dispute = _disputes[game.claimId];
            if (!_isLive(game, dispute)) continue;
            Side expired = _expired(game, dispute);
            if (expired == Side.None) continue;
            collected = true;
            if (expired == Side.Defender) {
                Verdict memory silent = Verdict(0, 0, 0, 0);
                _convict(gameIds[j], game, dispute, Rule.Timeout, game.gindex, silent);
            } else {
                _lose(gameIds[j], game, dispute);
            }
        }
        if (!collected) revert NothingToCollect();
    }

    /// @notice Frees the bonds of games that ended because another game convicted their claim. Anyone may.
    /// @dev Other games are passed over; at least one bond must become free.
    // slither-disable-next-line reentrancy-no-eth,calls-loop as in `timeout`
    function reclaim(GameId[] calldata gameIds) external {
        bool reclaimed = false;
        for (uint256 j = 0; j < gameIds.length; ++j) {
            Game storage game = _games[gameIds[j]];
            if (!game.open || !_disputes[game.claimId].convicted) continue;
            reclaimed = true;
            game.open = false;
            emit Reclaimed(game.claimId, gameIds[j]);
            CHAIN.unlock(game.challenger, CHALLENGE_BOND);
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

    /// @notice A game as it is stored: its clocks are those of the last charge.
    function gameOf(GameId gameId) external view returns (Game memory) {
        return _games[gameId];
    }

    /// @notice Where a live game stands now.
    /// @return node on which it stands; zero while the trace root is not set
    /// @return turn whose clock runs
    /// @return clocks what each side has left now
    /// @return expired the side that can't move any more, collected or not
    function stateOf(GameId gameId)
        external
        view
        returns (bytes32 node, Side turn, Clocks memory clocks, Side expired)
    {
        Game storage game = _games[gameId];
        Dispute storage dispute = _disputes[game.claimId];
        if (!_isLive(game, dispute)) revert GameOver(gameId);
        Timestamp opened = _openedAt(game, dispute);
        node = _node(game, dispute);
        turn = opened.isNever() ? Side.Defender : Side.Challenger;
        (clocks, expired) = _clocks(game).charge(opened, currentTime());
    }

    /// @notice When a node was opened that many levels deep (0: a leaf's bytes); zero if never.
    function openedAt(bytes32 node, uint256 levels) external view returns (Timestamp) {
        return _opened[node][levels];
    }

    /// @notice The id of a claim's game number `counter` (from 0), if this challenger opened it.
    function gameIdOf(ClaimId claimId, address challenger, uint256 counter) public pure returns (GameId) {
        return GameId.wrap(keccak256(abi.encode(claimId, challenger, counter)));
    }

    /// @notice What a challenger commits to.
    function commitmentOf(ClaimId claimId, bytes32 traceRoot, address challenger, Gindex place, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), claimId, traceRoot, challenger, place, salt));
    }

    function _begin(Dispute storage dispute, Claim calldata claim, Inclusion calldata inclusion) private {
        Outline memory model = CHAIN.outlineOf(claim.modelId);
        dispute.claimant = claim.claimant;
        // forge-lint: disable-next-line(unsafe-typecast) the chain counts batches, and 32 bits of claims in each
        (dispute.batchId, dispute.index) = (uint64(inclusion.batchId), uint32(inclusion.index));
        if (model.policy == TracePolicy.WithClaim) dispute.traceRoot = claim.traceRoot;
        dispute.traceDepth = model.traceDepth;
        dispute.tensorDepth = model.tensorDepth;
    }

    function _commit(GameId gameId, Game storage game, bytes32 commitment) private {
        game.commitment = commitment;
        // forge-lint: disable-next-line(unsafe-typecast) no chain has 2**96 blocks
        game.committedAt = uint96(block.number);
        emit Committed(gameId, commitment);
    }

    function _convict(
        GameId gameId,
        Game storage game,
        Dispute storage dispute,
        Rule rule,
        Gindex place,
        Verdict memory verdict
    ) private {
        ClaimId claimId = game.claimId;
        game.open = false;
        dispute.openGames = 0;
        dispute.convicted = true;
        emit Convicted(
            claimId, gameId, rule, place, verdict.traceIndex, verdict.element, verdict.claimed, verdict.computed
        );
        // Only a timeout has somebody who collected it.
        uint128 fee = rule == Rule.Timeout ? COLLECT_FEE : 0;
        Payout memory payout = Payout(game.challenger, REWARD, msg.sender, fee);
        CHAIN.convict(claimId, dispute.claimant, dispute.batchId, dispute.index, CHALLENGE_BOND, payout);
    }

    function _lose(GameId gameId, Game storage game, Dispute storage dispute) private {
        game.open = false;
        dispute.openGames -= 1;
        // The challenger lost in its own turn, so the node on which it stood was opened as well.
        uint128 fees = (uint128(game.moves) + 1) * MOVE_FEE;
        uint128 most = CHALLENGE_BOND - COLLECT_FEE;
        uint128 paid = fees < most ? fees : most;
        emit ChallengeLost(game.claimId, gameId, msg.sender, paid);
        CHAIN.forfeit(game.challenger, CHALLENGE_BOND, Payout(dispute.claimant, paid, msg.sender, COLLECT_FEE));
    }

    /// @dev What a move of the challenger is about, if it has the right to make it now: the clocks as charged until now,
    ///      and whether the game's node is open.
    function _challengersGame(Move calldata move)
        private
        view
        returns (Game storage game, Dispute storage dispute, Clocks memory clocks, bool isOpen)
    {
        (game, dispute) = _named(move);
        if (!_isLive(game, dispute)) revert GameOver(move.gameId);
        _requireNode(move, game, dispute);
        if (msg.sender != game.challenger) revert NotChallenger(msg.sender);
        Timestamp opened = _openedAt(game, dispute);
        Side expired;
        (clocks, expired) = _clocks(game).charge(opened, currentTime());
        if (expired != Side.None) revert ClockExpired(move.gameId, expired);
        isOpen = !opened.isNever();
    }

    /// @dev Checks what never changes while a game is played, except that a missing trace root is set.
    function _named(Move calldata move) private view returns (Game storage game, Dispute storage dispute) {
        game = _games[move.gameId];
        ClaimId claimId = game.claimId;
        if (ClaimId.unwrap(claimId) == 0) revert GameOver(move.gameId);
        if (move.claimId != claimId) revert WrongClaim(move.claimId, claimId);
        dispute = _disputes[claimId];
        bytes32 traceRoot = dispute.traceRoot;
        if (move.traceRoot != traceRoot) revert WrongTraceRoot(move.traceRoot, traceRoot);
    }

    function _requireNode(Move calldata move, Game storage game, Dispute storage dispute) private view {
        bytes32 actual = _node(game, dispute);
        if (move.node != actual) revert WrongNode(move.node, actual);
    }

    function _isLive(Game storage game, Dispute storage dispute) private view returns (bool) {
        return game.open && !dispute.convicted;
    }

    function _expired(Game storage game, Dispute storage dispute) private view returns (Side expired) {
        // slither-disable-next-line unused-return only who is late matters here
        (, expired) = _clocks(game).charge(_openedAt(game, dispute), currentTime());
    }

    function _clocks(Game storage game) private view returns (Clocks memory) {
        return Clocks({since: game.since, defender: game.defenderLeft, challenger: game.challengerLeft});
    }

    function _setClocks(Game storage game, Clocks memory clocks) private {
        (game.since, game.defenderLeft, game.challengerLeft) = (clocks.since, clocks.defender, clocks.challenger);
    }

    function _isAtRoot(Game storage game) private view returns (bool) {
        return Gindex.unwrap(game.gindex) == Gindex.unwrap(Position.ROOT);
    }

    function _node(Game storage game, Dispute storage dispute) private view returns (bytes32) {
        return _isAtRoot(game) ? dispute.traceRoot : game.node;
    }

    /// @dev A root that was opened for another claim counts here from when this claim's was set.
    function _openedAt(Game storage game, Dispute storage dispute) private view returns (Timestamp opened) {
        opened = _opened[_node(game, dispute)][_levels(game, dispute)];
        if (!opened.isNever() && _isAtRoot(game) && dispute.rootAt > opened) opened = dispute.rootAt;
    }

    /// @dev Levels that the next reveal opens; zero at a leaf.
    function _levels(Game storage game, Dispute storage dispute) private view returns (uint256) {
        uint256 left = _leafDepth(dispute) - game.gindex.depth();
        return left < ARITY ? left : ARITY;
    }

    function _leafDepth(Dispute storage dispute) private view returns (uint256) {
        return uint256(dispute.traceDepth) + dispute.tensorDepth;
    }
}
