// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Attached} from "./Attached.sol";
import {ModelId} from "./types/Ids.sol";

/// @title Authors
/// @notice Who published a model, and which part of the fees for it is the author's.
abstract contract Authors is Attached {
    /// @notice Most of a fee that goes to a model's author, in basis points.
    uint16 public constant MAX_ROYALTY = 2_000;

    struct Author {
        address account;
        uint16 royalty;
    }

    /// @notice Who published a model here, and which part of fees it asks for.
    mapping(ModelId modelId => Author author) public authors;

    mapping(bytes32 commitment => uint256 number) private _commitments;

    /// @notice A model is published by its author, who gets this part of the fees, in basis points.
    event Published(ModelId indexed modelId, address indexed author, uint16 royalty);

    /// @notice An author asks for `most` basis points at most.
    error RoyaltyTooHigh(uint16 given, uint16 most);
    /// @notice Commit to the model in an earlier block, so that nobody who sees it can publish it in front of you.
    error NotCommitted(bytes32 commitment);
    /// @notice The model is registered already; who registered it without publishing it here gave it away.
    error AlreadyRegistered(ModelId modelId);
    /// @notice Header and path are those of another model.
    error OtherModel(ModelId given, ModelId named);

    /// @notice Commits to a model that is not registered yet: `keccak256(abi.encode(model id, author, salt))`.
    function commit(bytes32 commitment) external {
        if (_commitments[commitment] == 0) _commitments[commitment] = block.number;
    }

    /// @notice Registers a model as its author, who gets a part of the fee of every request for it that is made from now on.
    /// @param salt of a commitment of an earlier block
    function publish(ModelId modelId, bytes calldata header, bytes calldata siblings, uint16 royalty, bytes32 salt)
        external
    {
        if (royalty > MAX_ROYALTY) revert RoyaltyTooHigh(royalty, MAX_ROYALTY);
        if (CHAIN.isRegistered(modelId)) revert AlreadyRegistered(modelId);
        ModelId registered = CHAIN.registerModel(header, siblings);
        if (ModelId.unwrap(registered) != ModelId.unwrap(modelId)) revert OtherModel(registered, modelId);
        bytes32 commitment = keccak256(abi.encode(modelId, msg.sender, salt));
        uint256 number = _commitments[commitment];
        if (number == 0 || number >= block.number) revert NotCommitted(commitment);
        authors[modelId] = Author(msg.sender, royalty);
        emit Published(modelId, msg.sender, royalty);
    }
}
