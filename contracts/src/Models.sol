// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Gindex} from "./types/Gindex.sol";
import {ModelId} from "./types/Ids.sol";
import {Model, Outline} from "./types/Model.sol";

/// @title Models
/// @notice The registered programs. A model id is a program root: nobody can change what stands behind it.
abstract contract Models {
    mapping(ModelId modelId => Model model) private _models;

    /// @notice A model became known. The header is given whole, for whoever follows L1 alone.
    event ModelRegistered(ModelId indexed modelId, bytes header);

    /// @notice No model has this id; register it with its header.
    error UnknownModel(ModelId modelId);
    /// @notice A proof of `length` bytes is no list of 32-byte siblings.
    error ProofLength(uint256 length);

    /// @notice Opens leaf 0 of a program tree. Anyone may, any number of times; nothing but the header is taken.
    /// @param header the program's header
    /// @param siblings 32 bytes each, from the leaf up to the program root
    /// @return modelId the program root that header and siblings fold to
    function registerModel(bytes calldata header, bytes calldata siblings) external returns (ModelId modelId) {
        if (siblings.length % 32 != 0 || siblings.length > 32 * 64) revert ProofLength(siblings.length);
        Gindex leaf = Gindex.wrap(uint128(2 ** (siblings.length / 32)));
        modelId = ModelId.wrap(Merkle.branch(Merkle.headerLeaf(header), leaf, siblings));
        if (isRegistered(modelId)) return modelId;
        _models[modelId] = Header.decode(header);
        emit ModelRegistered(modelId, header);
    }

    /// @notice Whether claims of this model can be posted.
    function isRegistered(ModelId modelId) public view returns (bool) {
        return _models[modelId].values != 0;
    }

    /// @notice What L1 keeps of a model's header; reverts if the model is not registered.
    function modelOf(ModelId modelId) external view returns (Model memory) {
        return _model(modelId);
    }

    /// @notice The part of a model that most moves need; reverts if the model is not registered.
    function outlineOf(ModelId modelId) external view returns (Outline memory) {
        Model storage model = _model(modelId);
        return Outline(model.policy, model.traceDepth, model.tensorDepth, model.values, model.inputs.length);
    }

    function _model(ModelId modelId) internal view returns (Model storage) {
        if (!isRegistered(modelId)) revert UnknownModel(modelId);
        return _models[modelId];
    }
}
