// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOneStepProver, Step} from "./interfaces/IOneStepProver.sol";
import {IRollupChain} from "./interfaces/IRollupChain.sol";
import {Partials} from "./libraries/Partials.sol";
import {Claim} from "./types/Claim.sol";
import {Question, Rule} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {ModelId} from "./types/Ids.sol";
import {Outline} from "./types/Model.sol";
import {NoMismatch, RuleNotApplicable, Verdict} from "./types/Verdict.sol";

/// @title Verdicts
/// @notice Whether a witness shows that a claim is false at one place, by one rule. A verdict is only ever a difference
///         between two things that were both proven; everything else reverts.
abstract contract Verdicts {
    IRollupChain internal immutable CHAIN;
    IOneStepProver internal immutable PROVER;

    constructor(IRollupChain chain, IOneStepProver prover) {
        CHAIN = chain;
        PROVER = prover;
    }

    /// @dev Reverts unless the claim's trace is wrong at the place, by the rule.
    function _verdict(bytes32 traceRoot, Claim calldata claim, Gindex place, Rule rule, bytes calldata witness)
        internal
        view
        returns (Verdict memory verdict)
    {
        Outline memory model = CHAIN.outlineOf(claim.modelId);
        bool atEntry = rule == Rule.Input || rule == Rule.Output;
        uint256 levelsBelow = atEntry ? 0 : model.tensorDepth;
        if (rule >= Rule.Timeout || place.depth() != model.traceDepth + levelsBelow) {
            revert RuleNotApplicable(rule, place);
        }
        verdict.traceIndex = place.offset() >> levelsBelow;

        if (atEntry || !_isOfOp(model, verdict.traceIndex)) {
            return CHAIN.entryVerdict(claim, traceRoot, place, rule, witness);
        }
        Step memory disputed = _step(model, claim, traceRoot, place);
        if (rule == Rule.Step) _compareElement(verdict, disputed, place, witness);
        else if (!PROVER.padding(disputed, witness)) revert NoMismatch(place);
    }

    /// @dev The leaf at a place as the prover names it; reverts unless it is one of an op's output.
    function _leafOfOp(bytes32 traceRoot, Claim calldata claim, Gindex place, Rule rule)
        internal
        view
        returns (Step memory)
    {
        Outline memory model = CHAIN.outlineOf(claim.modelId);
        bool isLeaf = place.depth() == uint256(model.traceDepth) + model.tensorDepth;
        if (!isLeaf || !_isOfOp(model, place.offset() >> model.tensorDepth)) revert RuleNotApplicable(rule, place);
        return _step(model, claim, traceRoot, place);
    }

    /// @dev Reverts unless the partial result of part `number`, `value` at `position`, is wrong.
    function _partVerdict(
        Step memory disputed,
        Question memory question,
        uint256 number,
        int64 value,
        uint64 position,
        bytes calldata witness
    ) internal view returns (Verdict memory) {
        // forge-lint: disable-next-line(unsafe-typecast) below the number of parts
        (int64 right, uint64 where) = PROVER.part(disputed, question.element, uint32(number), witness);
        if (value == right && position == where) revert NoMismatch(question.place);
        return Verdict({
            traceIndex: disputed.leaf >> disputed.tensorDepth,
            element: question.element,
            part: number,
            claimed: _shown(question.monoid, value, position),
            computed: _shown(question.monoid, right, where)
        });
    }

    /// @dev Reverts unless the element is not what the op's code makes of the accumulator.
    function _epilogueVerdict(Step memory disputed, Question memory question, int64 acc, bytes calldata witness)
        internal
        view
        returns (Verdict memory)
    {
        (int64 claimed, int64 computed) = PROVER.epilogue(disputed, question.element, acc, witness);
        if (claimed == computed) revert NoMismatch(question.place);
        return Verdict({
            traceIndex: disputed.leaf >> disputed.tensorDepth,
            element: question.element,
            part: 0,
            claimed: _extended(claimed),
            computed: _extended(computed)
        });
    }

    function _isOfOp(Outline memory model, uint256 traceIndex) private pure returns (bool) {
        return traceIndex >= model.inputs && traceIndex < model.values;
    }

    function _step(Outline memory model, Claim calldata claim, bytes32 traceRoot, Gindex place)
        private
        pure
        returns (Step memory)
    {
        // forge-lint: disable-next-line(unsafe-typecast) both depths together are at most 64
        uint64 leaf = uint64(place.offset());
        return Step(ModelId.unwrap(claim.modelId), traceRoot, model.traceDepth, model.tensorDepth, leaf);
    }

    function _shown(uint8 monoid, int64 value, uint64 position) private pure returns (bytes32) {
        if (!Partials.isArgument(monoid)) return _extended(value);
        // forge-lint: disable-next-line(unsafe-typecast) two's complement stays what it is
        return bytes32(uint256(position) << 64 | uint64(value));
    }

    function _extended(int64 value) private pure returns (bytes32) {
        // forge-lint: disable-next-line(unsafe-typecast) two's complement stays what it is
        return bytes32(uint256(int256(value)));
    }

    function _compareElement(Verdict memory verdict, Step memory disputed, Gindex place, bytes calldata witness)
        private
        view
    {
        (int64 claimed, int64 computed) = PROVER.step(disputed, witness);
        if (claimed == computed) revert NoMismatch(place);
        verdict.element = uint16(bytes2(witness[:2]));
        (verdict.claimed, verdict.computed) = (_extended(claimed), _extended(computed));
    }
}
