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
import {Parts} from "./libraries/Parts.sol";
import {Reduction} from "./libraries/Reduction.sol";
import {Memory, Witness} from "./libraries/Witness.sol";

/// @title OneStepProver
/// @notice Recomputes one element of one op's output from a witness.
/// @dev What is read is decided by the op's descriptor alone; the witness supplies bytes, each of which is bound to the model
///      id, to the trace root or to a constant's root, and all of which must be used. Anything else reverts: no witness
///      makes a right element look wrong.
// Casts lose nothing: a monoid has one byte, a number of parts is compared first, and results have 64 bits.
// forge-lint: disable-next-item(unsafe-typecast)
contract OneStepProver is IOneStepProver {
    using Calldata for uint256;
    using Witness for Memory;

    /// @dev Stands for the trace tree where a tree names its access.
    uint256 private constant TRACE = 255;

    /// @notice Element `element` of the leaf lies behind the end of the output, or of the leaf, or is not the witness's.
    error NoElement(uint256 element);
    /// @notice Tree `tree` of the witness names access `access`: the trace tree (255) comes first, then constants in
    ///         ascending order, each by the first access that has its root.
    error TreeOrder(uint256 tree, uint256 access);
    /// @notice The op's domain has `count` parts, more than a dispute can name.
    error TooManyParts(uint256 count);
    /// @notice The descriptor's path folds to `given`, which is not the model id.
    error ModelDiffers(bytes32 given);

    /// @inheritdoc IOneStepProver
    function step(Step calldata, bytes calldata witness) external view returns (int64 claimed, int64 computed) {
        (Evaluation memory self, uint256 end) = _evaluation(Calldata.offsetOf(witness).u16(), witness);
        claimed = _claimed(self, witness);
        computed = Evaluator.map(self, Reduction.whole(self), end);
        self.store.requireAllRead();
    }

    /// @inheritdoc IOneStepProver
    function padding(Step calldata disputed, bytes calldata witness) external view returns (bool nonZero) {
        unchecked {
            uint256 cursor = Calldata.offsetOf(witness);
            uint256 end = cursor + witness.length;
            uint256 element = cursor.u16();
            if (element != 0) revert NoElement(element);
            bytes calldata data;
            (data, cursor) = _descriptor(cursor + 2);
            // slither-disable-next-line unused-return padding needs nothing behind the output's dimensions
            (Descriptor memory op,) = Op.head(data, disputed.leaf >> disputed.tensorDepth);
            if (cursor.u8() != 1) revert TreeOrder(1, (cursor + 1).u8());
            if ((cursor + 1).u8() != TRACE) revert TreeOrder(0, (cursor + 1).u8());

            Memory memory store = Witness.create(witness.length);
            uint256[] memory trace;
            (trace, cursor) = store.parse(cursor + 2, end, disputed.traceRoot, _depth());
            if (cursor != end) revert Witness.WitnessLength(end - cursor);
            uint256 from = store.locate(trace, disputed.leaf, 1);
            store.requireAllRead();

            uint256 used = op.elements << op.shift;
            uint256 before = _leafOf() << 10;
            used = used < before ? 0 : used - before;
            // The last bytes of the leaf, a word at a time; the first word begins at most 31 bytes before them.
            for (end = 1024; used < end; end -= 32) {
                uint256 word = uint256((from + end - 32).word());
                if (end - used < 32) {
                    word <<= 256 - 8 * (end - used);
                    used = end;
                }
                if (word != 0) return true;
            }
        }
    }

    /// @inheritdoc IOneStepProver
    function outline(Step calldata, uint32 element, bytes calldata descriptor)
        external
        view
        returns (uint8 monoid, uint32 parts)
    {
        unchecked {
            uint256 end = Calldata.offsetOf(descriptor) + descriptor.length;
            (bytes calldata data, uint256 cursor) = _descriptor(Calldata.offsetOf(descriptor));
            if (cursor != end) revert Witness.WitnessLength(end - cursor);
            (Descriptor memory op,) = _op(element, data);
            uint256 count = Parts.cut(op.domain, op.part).count;
            if (count > type(uint32).max) revert TooManyParts(count);
            return (uint8(op.monoid), uint32(count));
        }
    }

    /// @inheritdoc IOneStepProver
    function part(Step calldata, uint32 element, uint32 number, bytes calldata witness)
        external
        view
        returns (int64 value, uint64 position)
    {
        // slither-disable-next-line unused-return the op's code plays no part
        (Evaluation memory self,) = _evaluation(element, witness);
        (int256 result, uint256 index) = Reduction.part(self, number);
        self.store.requireAllRead();
        return (int64(result), uint64(index));
    }

    /// @inheritdoc IOneStepProver
    function epilogue(Step calldata, uint32 element, int64 acc, bytes calldata witness)
        external
        view
        returns (int64 claimed, int64 computed)
    {
        (Evaluation memory self, uint256 end) = _evaluation(element, witness);
        claimed = _claimed(self, witness);
        computed = Evaluator.map(self, acc, end);
        self.store.requireAllRead();
    }

    /// @dev What the call is about: the first argument of every function. The compiler makes one copy of an internal function for
    ///      every constant argument, and the place of this one is a constant.
    function _disputed() private pure returns (Step calldata disputed) {
        assembly ("memory-safe") {
            disputed := 4
        }
    }

    /// @dev Index of the disputed leaf within its tensor.
    function _leafOf() private pure returns (uint256) {
        unchecked {
            Step calldata disputed = _disputed();
            // forge-lint: disable-next-line(incorrect-shift) a mask of as many bits as the depth
            return disputed.leaf & ((1 << disputed.tensorDepth) - 1);
        }
    }

    function _depth() private pure returns (uint256) {
        return uint256(_disputed().traceDepth) + _disputed().tensorDepth;
    }

    /// @dev The descriptor at calldata offset `from`, proven to be one of the model; `cursor` is behind its path.
    function _descriptor(uint256 from) private view returns (bytes calldata data, uint256 cursor) {
        unchecked {
            data = Calldata.slice(from + 2, from.u16());
            cursor = from + 2 + data.length;
            uint256 depth = (cursor + 4).u8();
            bytes calldata siblings = Calldata.slice(cursor + 5, 32 * depth);
            uint256[] memory indices = new uint256[](1);
            bytes32[] memory hashes = new bytes32[](1);
            indices[0] = cursor.u32();
            cursor += 5 + 32 * depth;
            hashes[0] = Merkle.descriptorLeaf(data);
            bytes32 given = Merkle.fold(indices, hashes, depth, siblings);
            if (given != _disputed().modelId) revert ModelDiffers(given);
        }
    }

    /// @dev The op up to its domain, at an element of the leaf, and the calldata offset where its accesses begin.
    // Unnamed, a struct that is returned is not allocated twice.
    function _op(uint256 element, bytes calldata data) private pure returns (Descriptor memory, uint256) {
        unchecked {
            (Descriptor memory op, uint256 domain) = Op.head(data, _disputed().leaf >> _disputed().tensorDepth);
            uint256 perLeaf = 10 - op.shift;
            uint256 position = (_leafOf() << perLeaf) + element;
            if (element >> perLeaf != 0 || position >= op.elements) revert NoElement(element);
            op.coordinates = Evaluator.unravel(position, op.shape);
            return (op, Op.reduction(op, data, domain));
        }
    }

    /// @dev Reads a witness about an element; with it, the calldata offset where the descriptor ends.
    function _evaluation(uint256 element, bytes calldata witness) private view returns (Evaluation memory, uint256) {
        unchecked {
            uint256 start = Calldata.offsetOf(witness);
            if (start.u16() != element) revert NoElement(element);
            (bytes calldata data, uint256 cursor) = _descriptor(start + 2);
            (Descriptor memory op, uint256 accesses) = _op(element, data);
            Op.tail(op, data, accesses);
            uint256 depth = _disputed().tensorDepth;
            // slither-disable-next-line uninitialized-local nothing is loaded yet
            uint256[] memory none;
            Evaluation memory self =
                Evaluation(op, Witness.create(witness.length), none, _disputed().leaf >> depth, depth, op.coordinates);
            _trees(self, cursor, start + witness.length);
            return (self, Calldata.offsetOf(data) + data.length);
        }
    }

    /// @dev The element that the trace has.
    function _claimed(Evaluation memory self, bytes calldata witness) private pure returns (int64) {
        unchecked {
            uint256 shift = self.op.shift;
            uint256 place = self.store.locate(self.trace, _disputed().leaf, 1);
            return int64(Kernels.read(place + (Calldata.offsetOf(witness).u16() << shift), shift));
        }
    }

    /// @dev Reads all trees and hands them to the accesses that read from them.
    function _trees(Evaluation memory self, uint256 cursor, uint256 end) private view {
        unchecked {
            Access[] memory accesses = self.op.accesses;
            uint256 count = cursor.u8();
            if (count == 0 || (cursor + 1).u8() != TRACE) revert TreeOrder(0, (cursor + 1).u8());
            cursor += 2;
            // A part can do with constants alone: the trace tree has neither runs nor siblings.
            if (cursor.u32() == 0) cursor += 4;
            else (self.trace, cursor) = self.store.parse(cursor, end, _disputed().traceRoot, _depth());
            for (uint256 j = 0; j < accesses.length; ++j) {
                if (!accesses[j].isConstant) accesses[j].tree = self.trace;
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
