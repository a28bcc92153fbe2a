// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Models} from "./Models.sol";
import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {ModelId} from "./types/Ids.sol";
import {Model, Tensor} from "./types/Model.sol";

/// @title Uploads
/// @notice Tensors that are too large for one posting: uploaded in chunks, joined to tensors, assembled to the input or
///         output of a model. L1 computes every root from the bytes, so a root that is known here has been published.
abstract contract Uploads is Models {
    /// @notice Whether the bytes behind a root have been uploaded. The root is that of a tree of the tensor's natural
    ///         depth; the length keeps a tensor from passing for a shorter one that is filled up with zero bytes.
    mapping(bytes32 root => mapping(uint256 byteLength => bool known)) public uploaded;
    mapping(ModelId modelId => mapping(bool isOutput => mapping(bytes32 root => bool known))) private _assembled;

    /// @notice The bytes behind `root` were given.
    event ChunkUploaded(bytes32 indexed root, bytes chunk);
    /// @notice `root` stands for the bytes of `left` followed by those of `right`.
    event ChunksJoined(bytes32 indexed root, uint256 byteLength, bytes32 left, bytes32 right);
    /// @notice `root` is an input (or output) root of the model, over these tensors in header order.
    event TensorsAssembled(ModelId indexed modelId, bool isOutput, bytes32 indexed root, bytes32[] tensors);

    /// @notice No upload of `byteLength` bytes has this root; upload or join it first.
    error NotUploaded(bytes32 root, uint256 byteLength);
    /// @notice The left part of a join must fill `2**height` whole leaves, and the right part must not be longer.
    error CannotJoin(uint256 leftBytes, uint256 rightBytes);
    /// @notice The model has `needed` tensors there, not `given`.
    error TensorCount(uint256 given, uint256 needed);
    /// @notice A chunk has at least one byte.
    error EmptyChunk();

    /// @notice Publishes some bytes of a tensor.
    function upload(bytes calldata chunk) external returns (bytes32 root) {
        if (chunk.length == 0) revert EmptyChunk();
        root = Merkle.tensor(chunk, _naturalDepth(chunk.length));
        uploaded[root][chunk.length] = true;
        emit ChunkUploaded(root, chunk);
    }

    /// @notice Makes one part of two that were uploaded or joined before.
    /// @param leftBytes 1,024 times a power of two
    /// @param rightBytes at most `leftBytes`
    function join(bytes32 left, uint256 leftBytes, bytes32 right, uint256 rightBytes) external returns (bytes32 root) {
        if (!uploaded[left][leftBytes]) revert NotUploaded(left, leftBytes);
        if (!uploaded[right][rightBytes]) revert NotUploaded(right, rightBytes);
        uint256 depth = _naturalDepth(leftBytes);
        if (leftBytes != Merkle.LEAF_BYTES * 2 ** depth || rightBytes > leftBytes) {
            revert CannotJoin(leftBytes, rightBytes);
        }
        root = Merkle.node(left, _extended(right, _naturalDepth(rightBytes), depth));
        uploaded[root][leftBytes + rightBytes] = true;
        emit ChunksJoined(root, leftBytes + rightBytes, left, right);
    }

    /// @notice Makes an input or output of a model from its uploaded tensors, so that a posting can leave the bytes out.
    /// @param tensors their roots (each of the tensor's natural depth), in header order
    function assemble(ModelId modelId, bool isOutput, bytes32[] calldata tensors) external returns (bytes32 root) {
        Model storage model = _model(modelId);
        Tensor[] storage needed = isOutput ? model.outputs : model.inputs;
        if (tensors.length != needed.length) revert TensorCount(tensors.length, needed.length);
        bytes32[] memory roots = new bytes32[](tensors.length);
        for (uint256 j = 0; j < tensors.length; ++j) {
            uint256 byteLength = needed[j].byteLength;
            if (!uploaded[tensors[j]][byteLength]) revert NotUploaded(tensors[j], byteLength);
            roots[j] = _extended(tensors[j], _naturalDepth(byteLength), model.tensorDepth);
        }
        root = Merkle.extend(roots, model.tensorDepth, Header.depthFor(roots.length));
        _assembled[modelId][isOutput][root] = true;
        emit TensorsAssembled(modelId, isOutput, root, tensors);
    }

    /// @notice Whether a posting may leave out the bytes behind this input or output root.
    function isAssembled(ModelId modelId, bool isOutput, bytes32 root) public view returns (bool) {
        return _assembled[modelId][isOutput][root];
    }

    function _naturalDepth(uint256 byteLength) private pure returns (uint256) {
        return Header.depthFor((byteLength + Merkle.LEAF_BYTES - 1) / Merkle.LEAF_BYTES);
    }

    function _extended(bytes32 root, uint256 height, uint256 depth) private view returns (bytes32) {
        bytes32[] memory one = new bytes32[](1);
        one[0] = root;
        return Merkle.extend(one, height, depth - height);
    }
}
