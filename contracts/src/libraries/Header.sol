// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MAX_RANK} from "../generated/Opcodes.sol";
import {Model, Tensor, TracePolicy} from "../types/Model.sol";

/// @title Header
/// @notice Decodes the header of a program, leaf 0 of its tree: version, trace policy, depths, inputs and outputs.
library Header {
    uint16 internal constant VERSION = 2;
    /// @dev A value index has 32 bits, and a leaf index within a trace 64.
    uint8 internal constant MAX_DEPTH = 32;

    /// @notice The header ends before `needed` bytes.
    error HeaderTooShort(uint256 length, uint256 needed);
    /// @notice The header has `surplus` bytes behind its last output.
    error HeaderTooLong(uint256 surplus);
    /// @notice This deployment speaks version 2 of the protocol only.
    error UnsupportedVersion(uint16 version);
    /// @notice The trace policy is 0 (with the claim) or 1 (on dispute).
    error UnknownPolicy(uint8 policy);
    /// @notice The trace and the tensor depth are at most 32 each.
    error DepthTooLarge(uint8 traceDepth, uint8 tensorDepth);
    /// @notice `values` is at most the number of inputs, so that no op gives one, or above `2**traceDepth`.
    error ValuesOutside(uint32 values);
    /// @notice A program has at least one input and one output.
    error NoTensors();
    /// @notice Element types are 0 to 3 (8, 16, 32 and 64 bits).
    error UnknownType(uint8 dtype);
    /// @notice An input or output has `rank` dimensions, more than an op's tensors may have.
    error RankTooLarge(uint256 rank);
    /// @notice An input or output does not fit `2**tensorDepth` leaves.
    error TensorTooLarge(uint256 byteLength);
    /// @notice An output names a trace value that the program does not have.
    error OutputOutside(uint32 value);

    struct Cursor {
        uint256 offset;
    }

    /// @notice What L1 needs of a header; reverts unless every byte of it is in order.
    function decode(bytes calldata header) internal pure returns (Model memory model) {
        Cursor memory cursor = Cursor(0);
        // forge-lint: disable-next-line(unsafe-typecast) two bytes were read
        uint16 version = uint16(_number(header, cursor, 2));
        if (version != VERSION) revert UnsupportedVersion(version);
        uint8 policy = _byte(header, cursor);
        if (policy > uint8(type(TracePolicy).max)) revert UnknownPolicy(policy);
        model.policy = TracePolicy(policy);
        model.traceDepth = _byte(header, cursor);
        model.tensorDepth = _byte(header, cursor);
        if (model.traceDepth > MAX_DEPTH || model.tensorDepth > MAX_DEPTH) {
            revert DepthTooLarge(model.traceDepth, model.tensorDepth);
        }
        model.values = _word(header, cursor);

        model.inputs = new Tensor[](_byte(header, cursor));
        for (uint32 j = 0; j < model.inputs.length; ++j) {
            model.inputs[j] = Tensor({value: j, byteLength: _byteLength(header, cursor, model.tensorDepth)});
        }
        // With an op the root of a trace is no entry: no game stands on a place of a proof in the block of its challenge.
        if (model.values > 2 ** uint256(model.traceDepth) || model.values <= model.inputs.length) {
            revert ValuesOutside(model.values);
        }

        model.outputs = new Tensor[](_byte(header, cursor));
        for (uint256 j = 0; j < model.outputs.length; ++j) {
            uint32 value = _word(header, cursor);
            if (value >= model.values) revert OutputOutside(value);
            model.outputs[j] = Tensor({value: value, byteLength: _byteLength(header, cursor, model.tensorDepth)});
        }
        if (model.inputs.length == 0 || model.outputs.length == 0) revert NoTensors();
        if (cursor.offset != header.length) revert HeaderTooLong(header.length - cursor.offset);
    }

    /// @notice Depth of the tree over `count` roots.
    function depthFor(uint256 count) internal pure returns (uint256 depth) {
        while (2 ** depth < count) ++depth;
    }

    /// @dev Reads dtype, scale, rank and dimensions.
    function _byteLength(bytes calldata header, Cursor memory cursor, uint8 tensorDepth) private pure returns (uint64) {
        uint8 dtype = _byte(header, cursor);
        if (dtype > 3) revert UnknownType(dtype);
        _byte(header, cursor);
        uint256 length = 2 ** uint256(dtype);
        uint256 rank = _byte(header, cursor);
        // Whoever follows L1 decodes the same headers: what its decoder refuses may not be registered.
        if (rank > MAX_RANK) revert RankTooLarge(rank);
        for (; rank != 0; --rank) {
            length *= _word(header, cursor);
            if (length > 2 ** uint256(tensorDepth) * 1024) revert TensorTooLarge(length);
        }
        // forge-lint: disable-next-line(unsafe-typecast) at most 2**42
        return uint64(length);
    }

    function _byte(bytes calldata header, Cursor memory cursor) private pure returns (uint8) {
        // forge-lint: disable-next-line(unsafe-typecast) one byte was read
        return uint8(_number(header, cursor, 1));
    }

    function _word(bytes calldata header, Cursor memory cursor) private pure returns (uint32) {
        // forge-lint: disable-next-line(unsafe-typecast) four bytes were read
        return uint32(_number(header, cursor, 4));
    }

    function _number(bytes calldata header, Cursor memory cursor, uint256 size) private pure returns (uint256 value) {
        uint256 end = cursor.offset + size;
        if (end > header.length) revert HeaderTooShort(header.length, end);
        for (uint256 j = cursor.offset; j < end; ++j) {
            value = (value << 8) | uint8(header[j]);
        }
        cursor.offset = end;
    }
}
