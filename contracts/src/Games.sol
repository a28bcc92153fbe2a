// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Verdicts} from "./Verdicts.sol";
import {IOneStepProver} from "./interfaces/IOneStepProver.sol";
import {IRollupChain} from "./interfaces/IRollupChain.sol";
import {Claims} from "./libraries/Claims.sol";
import {Clock} from "./libraries/Clock.sol";
import {Position} from "./libraries/Position.sol";
import {Claim} from "./types/Claim.sol";
import {Clocks, Dispute, First, Game, GameRef, Helper, Move, Opening, Rule, Side} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {ClaimId, GameId} from "./types/Ids.sol";
import {TracePolicy} from "./types/Model.sol";
import {Params} from "./types/Params.sol";
import {Payment} from "./types/Payment.sol";
import {Duration, currentTime, latest} from "./types/Time.sol";
import {Verdict} from "./types/Verdict.sol";

/// @title Games
/// @notice The games, what names them, whose turn it is, and how they end: what all moves stand on.
/// @dev Whose turn it is follows from the node on which a game stands: once its descendants (or a leaf's bytes, or the
///      partial results in question) were given it is the challenger's, before that the defender's.
abstract contract Games is Verdicts {
    using Clock for Clocks;

    /// @dev Entries in a game's list of helpers; what does not fit is paid to the claimant.
    uint256 internal constant MAX_HELPERS = 8;

    Duration internal immutable CLOCK;
    uint8 internal immutable ARITY;
    uint128 internal immutable CHALLENGE_BOND;
    uint128 internal immutable REWARD;
    uint128 internal immutable MOVE_FEE;
    uint128 internal immutable COLLECT_FEE;

    /// @notice Hash of the chain that the game was deployed for and of its parameters: `keccak256(abi.encode(chain, params))`.
    bytes32 public immutable boundTo;

    mapping(ClaimId claimId => Dispute dispute) internal _disputes;
    mapping(GameId gameId => Game game) internal _games;
    mapping(bytes32 node => mapping(uint256 levels => Opening opening)) internal _opened;
    mapping(GameId gameId => mapping(uint256 number => Helper helper)) private _helpers;
    mapping(ClaimId claimId => mapping(Gindex place => First first)) private _firsts;

    /// @notice The claim is invalid. `place`, `traceIndex` and the rest say where and why, see `Verdict`; for a timeout
    ///         `place` is where the game stood.
    event Convicted(
        ClaimId indexed claimId,
        GameId indexed gameId,
        Rule rule,
        Gindex place,
        uint256 traceIndex,
        uint256 element,
        uint256 part,
        bytes32 claimed,
        bytes32 computed
    );
    /// @notice The challenger's clock ran out; its bond paid the claimant and others who opened nodes in its game, and
    ///         `collector` for saying so.
    event ChallengeLost(
        ClaimId indexed claimId, GameId indexed gameId, address indexed collector, uint256 paidToClaimant
    );
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
    /// @notice The trace root was not set yet, or would be set to zero.
    error NoTraceRoot(ClaimId claimId);
    /// @notice Only the claimant may do this, or who has its signature.
    error NotClaimant(ClaimId claimId);
    /// @notice The game has neither stood on this place nor committed to it since an earlier block.
    error PlaceNotReached(GameId gameId, Gindex place);

    /// @notice There is no contract at the prover's address.
    error NoProver(IOneStepProver prover);

    constructor(Params memory params, IOneStepProver prover, IRollupChain chain) Verdicts(chain, prover) {
        if (address(prover).code.length == 0) revert NoProver(prover);
        boundTo = keccak256(abi.encode(chain, params));
        CLOCK = params.clock;
        ARITY = params.arity;
        CHALLENGE_BOND = params.challengeBond;
        REWARD = params.reward;
        MOVE_FEE = params.moveFee;
        COLLECT_FEE = params.collectFee;
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

    // slither-disable-next-line calls-loop,costly-loop as in `timeout`
    function _convict(
        GameId gameId,
        GameRef calldata ref,
        Dispute storage dispute,
        Rule rule,
        Gindex place,
        Verdict memory verdict
    ) internal {
        // Silence is nobody's find, and only a timeout has somebody who collected it.
        bool silent = rule == Rule.Timeout;
        Payment[] memory payments = new Payment[](2);
        payments[0] = Payment(silent ? ref.challenger : _firstAt(ref, dispute, place), REWARD);
        payments[1] = Payment(msg.sender, silent ? COLLECT_FEE : 0);
        delete _games[gameId];
        (dispute.openGames, dispute.convicted) = (0, true);
        emit Convicted(
            ref.claimId,
            gameId,
            rule,
            place,
            verdict.traceIndex,
            verdict.element,
            verdict.part,
            verdict.claimed,
            verdict.computed
        );
        CHAIN.convict(ref.claimId, dispute.claimant, ref.challenger, CHALLENGE_BOND, payments);
    }

    /// @dev Ends a game that the challenger lost in its own turn, so that the node on which it stands was opened, too. The
    ///      bond pays the claimant first, then the others who opened nodes, then whoever else sent the trace root, as far as
    ///      it suffices. No number may make it fail: that would keep the game, and so the claim, open for ever.
    // slither-disable-next-line calls-loop,costly-loop as in `timeout`
    function _lose(
        GameId gameId,
        GameRef calldata ref,
        Game storage game,
        Dispute storage dispute,
        Opening memory opening
    ) internal {
        _leave(gameId, game, dispute, opening);
        uint256 count = game.helpers;
        uint256 byClaimant = game.moves;
        Payment[] memory payments = new Payment[](count + 3);
        for (uint256 j = 0; j < count; ++j) {
            Helper memory helper = _helpers[gameId][j];
            delete _helpers[gameId][j];
            payments[j + 1] = Payment(helper.account, _fees(helper.moves));
            byClaimant -= helper.moves;
        }
        if (dispute.policy == TracePolicy.OnDispute) {
            if (dispute.rootBy == dispute.claimant) ++byClaimant;
            else payments[count + 1] = Payment(dispute.rootBy, _fees(1));
        }
        payments[0] = Payment(dispute.claimant, _fees(byClaimant));
        uint128 left = CHALLENGE_BOND - COLLECT_FEE;
        for (uint256 j = 0; j <= count + 1; ++j) {
            if (payments[j].amount > left) payments[j].amount = left;
            left -= payments[j].amount;
        }
        payments[count + 2] = Payment(msg.sender, COLLECT_FEE);
        delete _games[gameId];
        dispute.openGames -= 1;
        emit ChallengeLost(ref.claimId, gameId, msg.sender, payments[0].amount);
        CHAIN.forfeit(ref.challenger, CHALLENGE_BOND, payments);
    }

    /// @dev Notes that the game leaves a node that was opened, and who had opened it if that was not the claimant. The list is
    ///      bounded: a challenger that opens nodes from many accounts can't make its own loss dear to collect.
    function _leave(GameId gameId, Game storage game, Dispute storage dispute, Opening memory opening) internal {
        game.moves += 1;
        // forge-lint: disable-next-line(unsafe-typecast) the mark of a node of the tree is an address
        address by = game.inside ? dispute.claimant : address(uint160(opening.mark));
        if (by == dispute.claimant) return;
        uint8 count = game.helpers;
        if (count != 0 && _helpers[gameId][count - 1].account == by) {
            _helpers[gameId][count - 1].moves += 1;
        } else if (count < MAX_HELPERS) {
            _helpers[gameId][count] = Helper(by, 1);
            game.helpers = count + 1;
        }
    }

    /// @dev Notes that the game has come to where a proof can be. The reward goes to the earliest challenge that stands there,
    ///      so that whoever follows another one's path earns nothing.
    function _arrive(GameRef calldata ref, Game storage game, Dispute storage dispute, Gindex place) internal {
        // forge-lint: disable-next-line(unsafe-typecast) no chain has 2**40 blocks
        game.committedAt = uint40(block.number);
        First memory first = _firsts[ref.claimId][place];
        bool isTaken = first.challenger != address(0) && first.counter < ref.counter
            && Gindex.unwrap(place) == _noted(ref, dispute, first).gindex;
        if (!isTaken) _firsts[ref.claimId][place] = First(ref.challenger, ref.counter);
    }

    /// @dev Who gets the reward for a proof that this game made there.
    function _firstAt(GameRef calldata ref, Dispute storage dispute, Gindex place) private returns (address) {
        First memory first = _firsts[ref.claimId][place];
        if (first.challenger == address(0)) return ref.challenger;
        delete _firsts[ref.claimId][place];
        if (first.counter >= ref.counter) return ref.challenger;
        Game storage game = _noted(ref, dispute, first);
        bool stands = Gindex.unwrap(place) == game.gindex && game.committedAt < block.number;
        return stands ? first.challenger : ref.challenger;
    }

    /// @dev The game about the same claim that was noted as the first somewhere; all zero if it has ended.
    function _noted(GameRef calldata ref, Dispute storage dispute, First memory first)
        private
        view
        returns (Game storage)
    {
        return _games[gameIdOf(ref.claimId, _postedRoot(ref, dispute), first.challenger, first.counter)];
    }

    /// @dev Refuses a place on which the game has not stood, and to which it has not committed, since an earlier block: a
    ///      pending proof can't be copied by somebody who comes to its place in front of it.
    function _requireReached(GameId gameId, GameRef calldata ref, Game storage game, Gindex place, bytes32 salt)
        internal
        view
    {
        bool reached = Gindex.unwrap(place) == game.gindex
            || game.commitment == commitmentOf(ref.claimId, ref.traceRoot, msg.sender, place, salt);
        if (!reached || game.committedAt >= block.number) revert PlaceNotReached(gameId, place);
    }

    /// @dev Refuses another claim than the game's, and a claim whose trace root is not known.
    function _requireClaim(GameRef calldata ref, Claim calldata claim) internal view {
        ClaimId claimId = Claims.id(claim, Claims.domain(address(CHAIN)));
        if (claimId != ref.claimId) revert WrongClaim(ref.claimId, claimId);
        if (ref.traceRoot == 0) revert NoTraceRoot(claimId);
    }

    /// @dev What a move of the challenger is about, if it has the right to make it now: the clocks as charged until now,
    ///      and how the game's node was opened.
    function _challengersGame(Move calldata move)
        internal
        view
        returns (
            GameId gameId,
            Game storage game,
            Dispute storage dispute,
            Clocks memory clocks,
            Opening memory opening
        )
    {
        GameRef calldata ref = move.game;
        (gameId, game, dispute) = _live(ref);
        (Gindex gindex, bytes32 node) = _place(game, ref);
        if (move.node != node) revert WrongNode(move.node, node);
        if (msg.sender != ref.challenger) revert NotChallenger(msg.sender);
        opening = _openingOf(dispute, gindex, node);
        Side expired;
        (clocks, expired) = _clocks(game).charge(opening.time, currentTime());
        if (expired != Side.None) revert ClockExpired(gameId, expired);
    }

    /// @dev The same, for a move that the challenger makes in its own turn only.
    function _inTurn(Move calldata move)
        internal
        view
        returns (
            GameId gameId,
            Game storage game,
            Dispute storage dispute,
            Clocks memory clocks,
            Opening memory opening
        )
    {
        (gameId, game, dispute, clocks, opening) = _challengersGame(move);
        if (opening.time.isNever()) revert NotOpened(move.node);
    }

    /// @dev The game that a move names; it is not open if there is none.
    function _named(GameRef calldata ref)
        internal
        view
        returns (GameId gameId, Game storage game, Dispute storage dispute)
    {
        dispute = _disputes[ref.claimId];
        gameId = gameIdOf(ref.claimId, _postedRoot(ref, dispute), ref.challenger, ref.counter);
        game = _games[gameId];
    }

    function _live(GameRef calldata ref)
        internal
        view
        returns (GameId gameId, Game storage game, Dispute storage dispute)
    {
        (gameId, game, dispute) = _named(ref);
        if (!_isLive(game, dispute)) revert GameOver(gameId);
        if (!_hasRoot(ref, dispute)) revert WrongTraceRoot(ref.traceRoot, dispute.traceRoot);
    }

    function _isLive(Game storage game, Dispute storage dispute) internal view returns (bool) {
        return game.open && !dispute.convicted;
    }

    /// @dev A root that came with the claim is a part of the game's id already.
    function _hasRoot(GameRef calldata ref, Dispute storage dispute) internal view returns (bool) {
        return dispute.policy == TracePolicy.WithClaim || ref.traceRoot == dispute.traceRoot;
    }

    function _clocks(Game storage game) internal view returns (Clocks memory) {
        return Clocks({since: game.since, defender: game.defenderLeft, challenger: game.challengerLeft});
    }

    function _setClocks(Game storage game, Clocks memory clocks) internal {
        (game.since, game.defenderLeft, game.challengerLeft) = (clocks.since, clocks.defender, clocks.challenger);
    }

    /// @dev Where the game stands, and the hash of that node.
    function _place(Game storage game, GameRef calldata ref) internal view returns (Gindex gindex, bytes32 node) {
        gindex = Gindex.wrap(game.gindex);
        node = _isRoot(gindex) ? ref.traceRoot : game.node;
    }

    /// @dev The next opening of a node, which goes down by the arity, or to the leaves, or to a leaf's bytes (or is the
    ///      answer to a question about a leaf's element). A root that was opened for another claim counts here from when
    ///      this claim's was set.
    function _openingOf(Dispute storage dispute, Gindex gindex, bytes32 node)
        internal
        view
        returns (Opening memory opening)
    {
        uint256 left = dispute.leafDepth - gindex.depth();
        opening = _opened[node][left < ARITY ? left : ARITY];
        bool lateRoot = _isRoot(gindex) && dispute.policy == TracePolicy.OnDispute;
        if (lateRoot && !opening.time.isNever()) opening.time = latest(opening.time, dispute.rootAt);
    }

    /// @dev Opens a node; whether that was news.
    function _open(bytes32 node, uint256 levels, uint216 mark) internal returns (bool) {
        if (!_opened[node][levels].time.isNever()) return false;
        _opened[node][levels] = Opening({time: currentTime(), mark: mark});
        return true;
    }

    /// @dev The trace root that came with the claim of a game, or zero.
    function _postedRoot(GameRef calldata ref, Dispute storage dispute) private view returns (bytes32) {
        return dispute.policy == TracePolicy.WithClaim ? ref.traceRoot : bytes32(0);
    }

    /// @dev The fees for some moves, as far as a bond can pay them.
    function _fees(uint256 moves) private view returns (uint128) {
        // In 256 bits, where the product fits.
        uint256 fees = moves * MOVE_FEE;
        // forge-lint: disable-next-line(unsafe-typecast) at most a bond
        return fees < CHALLENGE_BOND ? uint128(fees) : CHALLENGE_BOND;
    }

    function _isRoot(Gindex gindex) private pure returns (bool) {
        return Gindex.unwrap(gindex) == Gindex.unwrap(Position.ROOT);
    }
}
