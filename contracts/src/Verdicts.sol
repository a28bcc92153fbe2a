// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOneStepProver, Step} from "./interfaces/IOneStepProver.sol";
import {IRollupChain} from "./interfaces/IRollupChain.sol";
import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Partials} from "./libraries/Partials.sol";
import {Claim} from "./types/Claim.sol";
import {Question, Rule} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {ModelId} from "./types/Ids.sol";
import {Model, Outline, Tensor} from "./types/Model.sol";

/// @title Verdicts
/// @notice Whether a witness shows that a claim is false at one place, by one rule. A verdict is only ever a difference
///         between two things that were both proven; everything else reverts.
abstract contract Verdicts {
    /// @notice A place, what the trace has there, and what belongs there.
    /// @param traceIndex the value
    /// @param element element (`Step`) or byte (`Padding`) within the disputed leaf; for an op's padding not known, and 0
    /// @param part number of the part of the box (`Part`)
    /// @param claimed what the trace has: an integer, sign-extended (`Step`, `Padding`, `Epilogue`), or a tensor root (`Input`, `Output`);
    ///        for `Part` the partial result, sign-extended, or of an argument `position << 64 | uint64(value)`
    /// @param computed what belongs there, in the same form
    struct Verdict {
        uint256 traceIndex;
        uint256 element;
        uint256 part;
        bytes32 claimed;
        bytes32 computed;
    }

    IRollupChain internal immutable CHAIN;
    IOneStepProver internal immutable PROVER;

    /// @notice What was given hashes to `computed`, not to the node.
    error HashMismatch(bytes32 computed, bytes32 node);
    /// @notice The rule does not apply to this place.
    error RuleNotApplicable(Rule rule, Gindex place);
    /// @notice The witness has `given` bytes, and the rule needs `needed`.
    error WitnessLength(uint256 given, uint256 needed);
    /// @notice The witness proves that the claim is right there.
    error NoMismatch(Gindex place);

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

        if (atEntry) {
            _compareEntry(verdict, CHAIN.modelOf(claim.modelId), traceRoot, claim, place, rule, witness);
        } else if (_isOfOp(model, verdict.traceIndex)) {
            Step memory disputed = _step(model, claim, traceRoot, place);
            if (rule == Rule.Step) _compareElement(verdict, disputed, place, witness);
            else if (!PROVER.padding(disputed, witness)) revert NoMismatch(place);
        } else if (rule == Rule.Padding) {
            _comparePadding(verdict, CHAIN.modelOf(claim.modelId), traceRoot, place, witness);
        } else {
            revert RuleNotApplicable(rule, place);
        }
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

    /// @dev Witness: the leaf's 1,024 bytes, then its path in the trace tree.
    function _comparePadding(
        Verdict memory verdict,
        Model memory model,
        bytes32 traceRoot,
        Gindex place,
        bytes calldata witness
    ) private view {
        uint256 needed = Merkle.LEAF_BYTES + 32 * place.depth();
        if (witness.length != needed) revert WitnessLength(witness.length, needed);
        bytes calldata data = witness[:Merkle.LEAF_BYTES];
        bytes32 computed = Merkle.branch(Merkle.leaf(data), place, witness[Merkle.LEAF_BYTES:]);
        if (computed != traceRoot) revert HashMismatch(computed, traceRoot);

        uint256 used = 0;
        if (verdict.traceIndex < model.inputs.length) {
            uint256 byteLength = model.inputs[verdict.traceIndex].byteLength;
            uint256 before = (place.offset() & (2 ** uint256(model.tensorDepth) - 1)) * Merkle.LEAF_BYTES;
            used = byteLength > before ? byteLength - before : 0;
        }
        while (used < data.length && data[used] == 0) ++used;
        if (used >= data.length) revert NoMismatch(place);
        verdict.element = used;
        verdict.claimed = bytes32(uint256(uint8(data[used])));
    }

    /// @dev Witness: the entry and its path in the trace tree; one byte, which input or output it is; the tensor's root
    ///      and its path in the claim's input or output tree.
    function _compareEntry(
        Verdict memory verdict,
        Model memory model,
        bytes32 traceRoot,
        Claim calldata claim,
        Gindex place,
        Rule rule,
        bytes calldata witness
    ) private view {
        Tensor[] memory tensors = rule == Rule.Input ? model.inputs : model.outputs;
        uint256 depth = Header.depthFor(tensors.length);
        uint256 split = 32 + 32 * uint256(model.traceDepth);
        uint256 needed = split + 1 + 32 + 32 * depth;
        if (witness.length != needed) revert WitnessLength(witness.length, needed);
        uint8 which = uint8(witness[split]);
        if (which >= tensors.length || tensors[which].value != verdict.traceIndex) {
            revert RuleNotApplicable(rule, place);
        }
        verdict.claimed = bytes32(witness[:32]);
        bytes32 computed = Merkle.branch(verdict.claimed, place, witness[32:split]);
        if (computed != traceRoot) revert HashMismatch(computed, traceRoot);

        verdict.computed = bytes32(witness[split + 1:split + 33]);
        bytes32 root = rule == Rule.Input ? claim.inputRoot : claim.outputRoot;
        // forge-lint: disable-next-line(unsafe-typecast) a header has at most 255 inputs and outputs
        Gindex leaf = Gindex.wrap(uint128(2 ** depth + which));
        computed = Merkle.branch(verdict.computed, leaf, witness[split + 33:]);
        if (computed != root) revert HashMismatch(computed, root);
        if (verdict.claimed == verdict.computed) revert NoMismatch(place);
    }
}
