// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOneStepProver, Step} from "./interfaces/IOneStepProver.sol";
import {Arithmetic} from "./libraries/Arithmetic.sol";
import {Calldata} from "./libraries/Calldata.sol";
import {Evaluator} from "./libraries/Evaluator.sol";
import {Kernels} from "./libraries/Kernels.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Access, Descriptor, Op} from "./libraries/Op.sol";
import {Evaluation} from "./libraries/Operands.sol";
import {Memory, Witness} from "./libraries/Witness.sol";

/// @title OneStepProver
/// @notice Recomputes one element of one op's output from a witness.
/// @dev What is read is decided by the op's descriptor alone; the witness supplies bytes, each of which is bound to the model
///      id, to the trace root or to a constant's root, and all of which must be used. Anything else reverts: no witness
///      makes a right element look wrong.
contract OneStepProver is IOneStepProver {
    using Calldata for uint256;
    using Witness for Memory;

    /// @dev Stands for the trace tree where a tree names its access.
    uint256 private constant TRACE = 255;

    /// @notice Element `element` of the leaf lies behind the end of the output, or of the leaf.
    error NoElement(uint256 element);
    /// @notice Tree `tree` of the witness names access `access`: the trace tree (255) comes first, then constants in
    ///         ascending order, each by the first access that has its root.
    error TreeOrder(uint256 tree, uint256 access);
    /// @notice The descriptor's path folds to `given`, which is not the model id.
    error ModelDiffers(bytes32 given);

    /// @inheritdoc IOneStepProver
    function step(Step calldata disputed, bytes calldata witness)
        external
        view
        returns (int64 claimed, int64 computed)
    {
        unchecked {
            (bytes calldata data, uint256 cursor, uint256 end) = _descriptor(disputed, witness);
            uint256 value = disputed.leaf >> disputed.tensorDepth;
            (Descriptor memory op, uint256 box) = Op.head(data, value);
            uint256 shift = op.shift;
            uint256 element = Calldata.offsetOf(witness).u16();
            uint256 position = (_leafOf(disputed) << (10 - shift)) + element;
            if (element >> (10 - shift) != 0 || position >= op.elements) revert NoElement(element);
            op.coordinates = Evaluator.unravel(position, op.shape);
            Op.tail(op, data, box);

            Evaluation memory self =
                Evaluation(op, Witness.create(witness.length), value, disputed.tensorDepth, op.coordinates);
            uint256[] memory trace = _trees(self, disputed, cursor, end);
            claimed = int64(Kernels.read(self.store.locate(trace, disputed.leaf, 1) + (element << shift), shift));
            computed = Evaluator.evaluate(self, Calldata.offsetOf(data) + data.length);
            self.store.requireAllRead();
        }
    }

    /// @inheritdoc IOneStepProver
    function padding(Step calldata disputed, bytes calldata witness) external view returns (bool nonZero) {
        unchecked {
            uint256 element = Calldata.offsetOf(witness).u16();
            if (element != 0) revert NoElement(element);
            (bytes calldata data, uint256 cursor, uint256 end) = _descriptor(disputed, witness);
            // slither-disable-next-line unused-return padding needs nothing behind the output's dimensions
            (Descriptor memory op,) = Op.head(data, disputed.leaf >> disputed.tensorDepth);
            if (cursor.u8() != 1) revert TreeOrder(1, (cursor + 1).u8());
            if ((cursor + 1).u8() != TRACE) revert TreeOrder(0, (cursor + 1).u8());

            Memory memory store = Witness.create(witness.length);
            uint256[] memory trace;
            (trace, cursor) = store.parse(cursor + 2, end, disputed.traceRoot, _depth(disputed));
            if (cursor != end) revert Witness.WitnessLength(end - cursor);
            uint256 from = store.locate(trace, disputed.leaf, 1);
            store.requireAllRead();

            uint256 used = op.elements << op.shift;
            uint256 before = _leafOf(disputed) << 10;
            used = used < before ? 0 : used - before;
            for (; used < 1024; ++used) {
                if ((from + used).u8() != 0) return true;
            }
        }
    }

    /// @dev Index of the disputed leaf within its tensor.
    function _leafOf(Step calldata disputed) private pure returns (uint256) {
        unchecked {
            // forge-lint: disable-next-line(incorrect-shift) a mask of as many bits as the depth
            return disputed.leaf & ((1 << disputed.tensorDepth) - 1);
        }
    }

    function _depth(Step calldata disputed) private pure returns (uint256) {
        return uint256(disputed.traceDepth) + disputed.tensorDepth;
    }

    /// @dev The descriptor, proven to be one of the model; `cursor` is where the trees begin, `end` where the witness ends.
    function _descriptor(Step calldata disputed, bytes calldata witness)
        private
        view
        returns (bytes calldata data, uint256 cursor, uint256 end)
    {
        unchecked {
            cursor = Calldata.offsetOf(witness);
            end = cursor + witness.length;
            data = Calldata.slice(cursor + 4, (cursor + 2).u16());
            cursor += 4 + data.length;
            uint256 depth = (cursor + 4).u8();
            bytes calldata siblings = Calldata.slice(cursor + 5, 32 * depth);
            uint256[] memory indices = new uint256[](1);
            bytes32[] memory hashes = new bytes32[](1);
            indices[0] = cursor.u32();
            cursor += 5 + 32 * depth;
            if (cursor >= end) revert Witness.WitnessLength(0);
            hashes[0] = Merkle.descriptorLeaf(data);
            bytes32 given = Merkle.fold(indices, hashes, depth, siblings);
            if (given != disputed.modelId) revert ModelDiffers(given);
        }
    }

    /// @dev Reads all trees and hands them to the accesses that read from them.
    function _trees(Evaluation memory self, Step calldata disputed, uint256 cursor, uint256 end)
        private
        view
        returns (uint256[] memory trace)
    {
        unchecked {
            Access[] memory accesses = self.op.accesses;
            uint256 count = cursor.u8();
            if (count == 0 || (cursor + 1).u8() != TRACE) revert TreeOrder(0, (cursor + 1).u8());
            (trace, cursor) = self.store.parse(cursor + 2, end, disputed.traceRoot, _depth(disputed));
            for (uint256 j = 0; j < accesses.length; ++j) {
                if (!accesses[j].isConstant) accesses[j].tree = trace;
            }
            uint256 behind = 0;
            for (uint256 n = 1; n < count; ++n) {
                uint256 number = cursor.u8();
                if (number < behind || number >= accesses.length || !accesses[number].isConstant) {
                    revert TreeOrder(n, number);
                }
                behind = number + 1;
                bytes32 root = accesses[number].root;
                uint256[] memory tree;
                (tree, cursor) = self.store.parse(cursor + 1, end, root, _naturalDepth(accesses[number]));
                for (uint256 j = 0; j < accesses.length; ++j) {
                    if (!accesses[j].isConstant || accesses[j].root != root) continue;
                    if (j < number) revert TreeOrder(n, number);
                    accesses[j].tree = tree;
                }
            }
            if (cursor != end) revert Witness.WitnessLength(end - cursor);
        }
    }

    /// @dev Levels of the tree of a constant: just enough for its leaves.
    function _naturalDepth(Access memory access) private pure returns (uint256) {
        unchecked {
            uint256 size = access.elements << access.shift;
            return size == 0 ? 0 : Arithmetic.bitLength((size - 1) >> 10);
        }
    }
}
