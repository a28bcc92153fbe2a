// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Models} from "./Models.sol";
import {Calldata} from "./libraries/Calldata.sol";
import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Claim} from "./types/Claim.sol";
import {Rule} from "./types/Dispute.sol";
import {Gindex} from "./types/Gindex.sol";
import {Model, Tensor} from "./types/Model.sol";
import {HashMismatch, NoMismatch, RuleNotApplicable, Verdict, WitnessLength} from "./types/Verdict.sol";

/// @title Entries
/// @notice Whether a witness shows that a trace is wrong where no op says what belongs there: in an input's or output's entry, or
///         in the padding of an input or of an unused entry. It needs the model's header and nothing else.
abstract contract Entries is Models {
    using Calldata for uint256;

    /// @notice The difference that the witness shows at a place, by the rule; reverts if there is none.
    /// @param place an entry (`Input`, `Output`) or a leaf that is none of an op's output (`Padding`)
    function entryVerdict(Claim calldata claim, bytes32 traceRoot, Gindex place, Rule rule, bytes calldata witness)
        external
        view
        returns (Verdict memory verdict)
    {
        Model storage model = _model(claim.modelId);
        if (rule == Rule.Input || rule == Rule.Output) {
            verdict.traceIndex = place.offset();
            _compareEntry(verdict, model, traceRoot, claim, place, rule, witness);
        } else if (rule == Rule.Padding) {
            verdict.traceIndex = place.offset() >> model.tensorDepth;
            _comparePadding(verdict, model, traceRoot, place, witness);
        } else {
            revert RuleNotApplicable(rule, place);
        }
    }

    /// @dev Witness: the leaf's 1,024 bytes, then its path in the trace tree.
    function _comparePadding(
        Verdict memory verdict,
        Model storage model,
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
        uint256 from = Calldata.offsetOf(data);
        unchecked {
            while (used + 32 <= Merkle.LEAF_BYTES && (from + used).word() == 0) used += 32;
            while (used < Merkle.LEAF_BYTES && (from + used).u8() == 0) ++used;
        }
        if (used >= Merkle.LEAF_BYTES) revert NoMismatch(place);
        verdict.element = used;
        verdict.claimed = bytes32((from + used).u8());
    }

    /// @dev Witness: the entry and its path in the trace tree; one byte, which input or output it is; the tensor's root
    ///      and its path in the claim's input or output tree.
    function _compareEntry(
        Verdict memory verdict,
        Model storage model,
        bytes32 traceRoot,
        Claim calldata claim,
        Gindex place,
        Rule rule,
        bytes calldata witness
    ) private view {
        Tensor[] storage tensors = rule == Rule.Input ? model.inputs : model.outputs;
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
