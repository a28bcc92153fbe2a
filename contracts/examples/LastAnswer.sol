// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {IConsumer} from "../src/interfaces/IConsumer.sol";
import {ModelId} from "../src/types/Ids.sol";

/// @title LastAnswer
/// @notice The smallest consumer: keeps the last final answer to a question that it asked.
contract LastAnswer is IConsumer {
    Requests private immutable REQUESTS;
    mapping(bytes32 requestId => bool mine) private _isMine;
    bytes public output;

    error NotMine(address caller, bytes32 requestId);

    constructor(Requests requests) {
        REQUESTS = requests;
    }

    function ask(ModelId model, bytes calldata input) external payable returns (bytes32 requestId) {
        requestId = REQUESTS.requestCallback{value: msg.value}(model, input, address(this), 500_000, "");
        _isMine[requestId] = true;
    }

    function onInference(bytes32 requestId, bytes calldata result, bytes calldata failure, bytes calldata) external {
        if (msg.sender != address(REQUESTS) || !_isMine[requestId]) revert NotMine(msg.sender, requestId);
        if (failure.length == 0) output = result;
    }
}
