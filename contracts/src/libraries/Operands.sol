// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NO_DIMENSION} from "../generated/Opcodes.sol";
import {Kernels} from "./Kernels.sol";
import {Access, Descriptor, Dimension} from "./Op.sol";
import {Memory, Witness} from "./Witness.sol";

/// @notice One evaluation: an op at one output element, with what it may read.
/// @param trace the runs of leaves that the witness gives of the trace
/// @param value trace index of the output: operands come before it
/// @param tensorDepth levels of a trace entry
/// @param k the domain coordinates; none in code
struct Evaluation {
    Descriptor op;
    Memory store;
    uint256[] trace;
    uint256 value;
    uint256 tensorDepth;
    uint256[] k;
}

/// @title Operands
/// @notice Locates and reads what an op reads; the twin of `Step` in `rollup/machine/reference.py`, whose names it uses.
/// @dev Coefficients have 32 bits and registers 64, tensors at most 2^64 elements: no coordinate or position comes near 256
///      bits, and arithmetic is unchecked.
// Casts keep low bits on purpose: packed fields, wrapped numbers, two's complement steps.
// forge-lint: disable-next-item(unsafe-typecast)
library Operands {
    using Witness for Memory;

    /// @notice The op reads trace value `operand`, which does not come before the disputed one.
    error OperandNotBefore(uint256 operand);
    /// @notice The op reads behind the end of an operand's tree: the access's dimensions are not the operand's.
    error OutsideOperand(uint256 leaf);
    /// @notice An access in the op's code depends on domain coordinate `variable`, and code stands outside of the domain.
    error DomainInCode(uint256 variable);
    /// @notice An access is its own index, directly or through others.
    error IndexCycle();

    /// @notice The element that the access reads at the domain coordinates `self.k`.
    function load(Evaluation memory self, Access memory access) internal pure returns (int256) {
        return load(self, access, added(self, access));
    }

    /// @notice The same with `extra` for its indirect coordinate.
    function load(Evaluation memory self, Access memory access, int256 extra) internal pure returns (int256) {
        (bool within, int256 element) = locate(self, access, extra);
        return within ? read(self, access, element) : access.fill;
    }

    /// @notice The element that the access addresses at the domain coordinates, unless a coordinate lies outside.
    function locate(Evaluation memory self, Access memory access, int256 extra)
        internal
        pure
        returns (bool within, int256 element)
    {
        unchecked {
            place(self, access, extra);
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                int256 coordinate = dimension.coordinate;
                if (coordinate < 0 || coordinate >= dimension.size) return (false, 0);
                element += coordinate * dimension.stride;
            }
            within = true;
        }
    }

    /// @notice Sets every dimension's coordinate and the trace value for the domain coordinates `self.k`.
    function place(Evaluation memory self, Access memory access, int256 extra) internal pure {
        unchecked {
            Dimension[] memory dimensions = access.dimensions;
            for (uint256 d = 0; d < dimensions.length; ++d) {
                Dimension memory dimension = dimensions[d];
                dimension.coordinate = dimension.start;
            }
            int256[] memory terms = access.terms;
            uint256[] memory k = self.k;
            for (uint256 j = 0; j < terms.length; ++j) {
                int256 packed = terms[j];
                uint256 variable = uint8(uint256(packed) >> 8);
                if (variable >= k.length) revert DomainInCode(variable);
                dimensions[uint8(uint256(packed))].coordinate += (packed >> 16) * int256(k[variable]);
            }
            if (access.indirect != NO_DIMENSION) dimensions[access.indirect].coordinate += extra;
            select(access, access.stack == 0 ? int256(0) : dimensions[0].coordinate);
        }
    }

    /// @notice Sets the trace value that the access reads; `stacked` is coordinate 0 of a stack access.
    function select(Access memory access, int256 stacked) internal pure {
        unchecked {
            access.operand = uint32(access.base + access.stack * uint256(stacked));
        }
    }

    /// @notice Calldata offset of element `low` of the tensor that the access, whose trace value is selected, reads.
    /// @dev All leaves from that of `low` to that of `high` count as read. `low` must not lie behind `high`, and both must
    ///      lie inside the access's dimensions.
    function reach(Evaluation memory self, Access memory access, int256 low, int256 high)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            uint256 from = uint256(low) << access.shift;
            uint256 leaf = from >> 10;
            uint256 last = (uint256(high) << access.shift) >> 10;
            uint256 count = last - leaf + 1;
            if (!access.isConstant) {
                uint256 operand = access.operand;
                if (operand >= self.value) revert OperandNotBefore(operand);
                if (last >> self.tensorDepth != 0) revert OutsideOperand(last);
                leaf += operand << self.tensorDepth;
            }
            return self.store.locate(access.tree, leaf, count) + (from & 1023);
        }
    }

    /// @notice The element at a position of the tensor that the access, whose trace value is selected, reads.
    function read(Evaluation memory self, Access memory access, int256 element) internal pure returns (int256) {
        return Kernels.read(reach(self, access, element, element), access.shift);
    }

    /// @notice What is added to the access's indirect coordinate at the domain coordinates `self.k`.
    /// @dev An index can have an index; the last of the chain is read first.
    function added(Evaluation memory self, Access memory access) internal pure returns (int256 extra) {
        unchecked {
            for (uint256 n = indices(self, access); n != 0; --n) {
                Access memory index = access;
                for (uint256 j = 0; j < n; ++j) {
                    index = self.op.accesses[index.index];
                }
                extra = load(self, index, extra);
            }
        }
    }

    /// @notice Length of the chain of indices that the access has.
    function indices(Evaluation memory self, Access memory access) internal pure returns (uint256 count) {
        unchecked {
            Access[] memory accesses = self.op.accesses;
            for (; access.indirect != NO_DIMENSION; ++count) {
                if (count == accesses.length) revert IndexCycle();
                access = accesses[access.index];
            }
        }
    }
}
