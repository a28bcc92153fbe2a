// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {ModelId} from "../src/types/Ids.sol";
import {ModelConsumer} from "./ModelConsumer.sol";

/// @title ClassifierConsumer
/// @notice Asks a model whose first output has one score for each class (`Scores`).
abstract contract ClassifierConsumer is ModelConsumer {
    /// @notice Most classes that are compared within the callback's gas, whatever their width.
    uint256 public constant MAX_CLASSES = 100;

    /// @notice Bytes of a score.
    uint256 public immutable WIDTH;
    /// @notice How many classes there are.
    uint256 public immutable CLASSES;

    /// @notice The model's first output of `byteLength` bytes does not consist of scores of this width: 1, 2, 4 or 8.
    error WrongWidth(uint256 byteLength, uint256 width);
    /// @notice More classes than the callback's gas is enough for; an answer could never be delivered.
    error TooManyClasses(uint256 classes, uint256 most);

    constructor(Requests requests, ModelId model, uint256 width) ModelConsumer(requests, model) {
        uint256 byteLength = requests.CHAIN().modelOf(model).outputs[0].byteLength;
        bool isKnown = width == 1 || width == 2 || width == 4 || width == 8;
        if (!isKnown || byteLength == 0 || byteLength % width != 0) revert WrongWidth(byteLength, width);
        (WIDTH, CLASSES) = (width, byteLength / width);
        if (CLASSES > MAX_CLASSES) revert TooManyClasses(CLASSES, MAX_CLASSES);
    }
}
