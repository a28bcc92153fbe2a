// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Games} from "./Games.sol";
import {Step} from "./interfaces/IOneStepProver.sol";
import {FAN_OUT} from "./generated/Opcodes.sol";
import {Partials} from "./libraries/Partials.sol";
import {Parts} from "./libraries/Parts.sol";
import {Claim} from "./types/Claim.sol";
import {Clocks, Dispute, Game, Move, Opening, Question, Rule} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {ClaimId, GameId} from "./types/Ids.sol";
import {Verdict} from "./types/Verdict.sol";

/// @title Elements
/// @notice The moves inside one element of an op with a long reduction domain, which no single proof covers.
/// @dev The challenger asks what the domain reduces to. The claimant answers with the partial results of up to `FAN_OUT` ranges of
///      parts, which must combine to what is in question. The challenger disputes one of them, which is the next question, or
///      proves that a single part, or the op's code behind the reduction, gives something else. While a game is inside an
///      element, its node is the question's hash; an answer opens it for all games on it.
abstract contract Elements is Games {
    /// @dev Stands for a child where the op's code is settled and no partial result.
    uint256 private constant EPILOGUE = type(uint256).max;

    /// @notice The challenger asks what the domain of an element reduces to; the game stands on that question.
    event Descended(GameId indexed gameId, Question question);
    /// @notice The claimant gave the partial results of a question (`node` is its hash), for all games on it.
    event Answered(bytes32 indexed node, ClaimId indexed claimId, bytes results);
    /// @notice The challenger disputes a partial result, which the game's next question is about.
    event Narrowed(GameId indexed gameId, Question question);

    /// @notice The game is inside an element already.
    error InsideElement(GameId gameId);
    /// @notice The op's domain has `parts` parts: a step proof covers it whole.
    error NotDivided(uint256 parts);
    /// @notice The answer has `given` bytes, and the partial results of this node have `needed`; 0 if there is no such node.
    error PartialCount(uint256 given, uint256 needed);
    /// @notice The partial results reduce to another value, or to the same one at another position, than they should.
    error PartialsDoNotCombine(int64 value, uint64 position);
    /// @notice The game stands on another node than the question's.
    error NotThisQuestion(bytes32 node);
    /// @notice The claimant gave other partial results.
    error NotTheseResults(bytes32 node);
    /// @notice The answer has `count` partial results.
    error NoSuchChild(uint256 child, uint256 count);
    /// @notice On this level partial results stand for single parts, or for many, or it is not the whole domain.
    error WrongLevel(uint256 level);

    /// @notice Asks what the reduction domain of one element of a leaf reduces to. In either turn, while both clocks live.
    /// @param place of the leaf, on which the game stands, or to which it has committed in an earlier block
    /// @param salt of the commitment; not looked at if the game stands on the place
    /// @param descriptor the op's, with its path in the program tree: a part of the witness of a step
    // slither-disable-next-line reentrancy-no-eth,reentrancy-benign,reentrancy-events the prover is pure
    function descend(
        Move calldata move,
        Claim calldata claim,
        Gindex place,
        bytes32 salt,
        uint16 element,
        bytes calldata descriptor
    ) external {
        (GameId gameId, Game storage game, Dispute storage dispute, Clocks memory clocks, Opening memory opening) =
            _challengersGame(move);
        _requireClaim(move.game, claim);
        if (game.inside) revert InsideElement(gameId);
        // Coming there and going inside may be one transaction: neither convicts, and `settle` has to wait for a later block.
        if (Gindex.unwrap(place) != game.gindex) _requireReached(gameId, move.game, game, place, salt);
        Step memory disputed = _leafOfOp(move.game.traceRoot, claim, place, Rule.Part);
        (uint8 monoid, uint32 parts) = PROVER.outline(disputed, element, descriptor);
        if (parts <= 1) revert NotDivided(parts);

        Question memory question = Question(place, element, monoid, parts, 0, 0, 0, 0);
        if (!opening.time.isNever()) _leave(gameId, game, dispute, opening);
        // forge-lint: disable-next-line(unsafe-typecast) at most 64 levels deep
        (game.gindex, game.inside) = (uint72(Gindex.unwrap(place)), true);
        _setClocks(game, clocks);
        game.node = _nodeOf(move.game.claimId, move.game.traceRoot, question);
        _arrive(move.game, game, dispute, place);
        emit Descended(gameId, question);
    }

    /// @notice Answers a question: gives its partial results, as `Partials` says. Only the claimant may, since they are its word
    ///         and no preimages. What is answered already is passed over.
    /// @param traceRoot of the claim's games
    function partials(ClaimId claimId, bytes32 traceRoot, Question memory question, bytes calldata results) external {
        if (msg.sender != _disputes[claimId].claimant) revert NotClaimant(claimId);
        uint8 monoid = question.monoid;
        uint256 needed = Parts.children(question.parts, question.level, question.index) * Partials.width(monoid);
        if (needed == 0 || results.length != needed) revert PartialCount(results.length, needed);
        if (question.level != 0) {
            (int64 value, uint64 position) = Partials.combine(results, monoid);
            if (value != question.value || position != question.position) revert PartialsDoNotCombine(value, position);
        }
        bytes32 node = _nodeOf(claimId, traceRoot, question);
        if (_open(node, 0, _digest(results))) emit Answered(node, claimId, results);
    }

    /// @notice Disputes a partial result that stands for several parts: it is the next question.
    /// @param question on which the game stands
    /// @param results the answer to it
    /// @param child number of the partial result
    function narrow(Move calldata move, Question memory question, bytes calldata results, uint256 child) external {
        (GameId gameId, Game storage game, Dispute storage dispute, Clocks memory clocks, Opening memory opening) =
            _inTurn(move);
        _requireAnswer(move, question, results, opening);
        _requireChild(question, results, child);
        if (question.level + 1 >= Parts.levels(question.parts)) revert WrongLevel(question.level);

        question.level += 1;
        // forge-lint: disable-next-line(unsafe-typecast) below the number of parts
        question.index = uint32(question.index * FAN_OUT + child);
        (question.value, question.position) = Partials.one(results, question.monoid, child);
        _leave(gameId, game, dispute, opening);
        _setClocks(game, clocks);
        game.node = _nodeOf(move.game.claimId, move.game.traceRoot, question);
        emit Narrowed(gameId, question);
    }

    /// @notice Convicts the claim if the witness shows that a partial result is false, or that the op's code makes another
    ///         element of what the partial results reduce to.
    /// @param question on which the game stands
    /// @param results the answer to it
    /// @param child number of a partial result, which must stand for a single part; or `type(uint256).max` for the code
    /// @param witness encoded as docs/formats.md says for the rule
    // slither-disable-next-line reentrancy-no-eth,reentrancy-benign,reentrancy-events the prover is pure
    function settle(
        Move calldata move,
        Claim calldata claim,
        Question memory question,
        bytes calldata results,
        uint256 child,
        bytes calldata witness
    ) external {
        (GameId gameId, Game storage game, Dispute storage dispute,, Opening memory opening) = _inTurn(move);
        _requireAnswer(move, question, results, opening);
        _requireClaim(move.game, claim);
        if (game.committedAt >= block.number) revert PlaceNotReached(gameId, question.place);
        Rule rule = child == EPILOGUE ? Rule.Epilogue : Rule.Part;
        Step memory disputed = _leafOfOp(move.game.traceRoot, claim, question.place, rule);
        Verdict memory verdict;
        if (rule == Rule.Epilogue) {
            if (question.level != 0) revert WrongLevel(question.level);
            (int64 value, uint64 position) = Partials.combine(results, question.monoid);
            // forge-lint: disable-next-line(unsafe-typecast) a position has at most 32 bits if the claimant is honest
            int64 acc = Partials.isArgument(question.monoid) ? int64(position) : value;
            verdict = _epilogueVerdict(disputed, question, acc, witness);
        } else {
            _requireChild(question, results, child);
            if (question.level + 1 != Parts.levels(question.parts)) revert WrongLevel(question.level);
            (int64 value, uint64 position) = Partials.one(results, question.monoid, child);
            uint256 number = question.index * FAN_OUT + child;
            verdict = _partVerdict(disputed, question, number, value, position, witness);
        }
        _convict(gameId, move.game, dispute, rule, question.place, verdict);
    }

    /// @dev Refuses another question than the one on which the game stands, and other results than the answer to it.
    function _requireAnswer(
        Move calldata move,
        Question memory question,
        bytes calldata results,
        Opening memory opening
    ) private pure {
        if (move.node != _nodeOf(move.game.claimId, move.game.traceRoot, question)) {
            revert NotThisQuestion(move.node);
        }
        if (opening.mark != _digest(results)) revert NotTheseResults(move.node);
    }

    /// @dev What was answered has the right length.
    function _requireChild(Question memory question, bytes calldata results, uint256 child) private pure {
        uint256 count = results.length / Partials.width(question.monoid);
        if (child >= count) revert NoSuchChild(child, count);
    }

    /// @dev What stands for a question where otherwise the hash of a node of the trace tree does.
    function _nodeOf(ClaimId claimId, bytes32 traceRoot, Question memory question) private pure returns (bytes32) {
        return keccak256(abi.encode(claimId, traceRoot, question));
    }

    function _digest(bytes calldata results) private pure returns (uint216) {
        // forge-lint: disable-next-line(unsafe-typecast) cut to what fits beside the time
        return uint216(uint256(keccak256(results)));
    }
}
