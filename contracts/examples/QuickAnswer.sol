// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {IConsumer} from "../src/interfaces/IConsumer.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Level, Request} from "../src/types/Request.sol";
import {Timestamp} from "../src/types/Time.sol";

/// @title QuickAnswer
/// @notice Asks a quorum, is told once its provers agree, and keeps how far the answer can be relied on.
contract QuickAnswer is IConsumer {
    uint8 public constant QUORUM = 3;
    uint16 public constant COMMIT_BLOCKS = 20;
    uint64 public constant CALLBACK_GAS = 500_000;

    Requests private immutable REQUESTS;
    mapping(bytes32 requestId => bool mine) private _isMine;
    bytes public output;
    /// @notice At which the answer was told; `Requests.levelOf` says later whether it became final.
    Level public toldAt;

    error NotMine(address caller, bytes32 requestId);

    constructor(Requests requests) {
        REQUESTS = requests;
    }

    /// @notice The least that `ask` must be sent in this block; what provers are to earn comes on top.
    function estimate(ModelId model) external view returns (uint256) {
        return REQUESTS.estimateQuorumFee(model, CALLBACK_GAS, QUORUM);
    }

    /// @param committee who answers, by `Provers.nameCommittee`; zero: drawn from the seats for the model
    function ask(ModelId model, bytes calldata input, bytes32 committee) external payable returns (bytes32 requestId) {
        Request memory asked;
        asked.modelId = model;
        (asked.callback, asked.gasLimit) = (address(this), CALLBACK_GAS);
        asked.until = Timestamp.wrap(uint40(block.timestamp + 1 days));
        (asked.quorum, asked.commitBlocks, asked.committee) = (QUORUM, COMMIT_BLOCKS, committee);
        // Requester, fee (the whole value), author, royalty, data hash and number are filled in.
        requestId = REQUESTS.request{value: msg.value}(asked, input, "");
        _isMine[requestId] = true;
    }

    function onInference(bytes32 requestId, bytes calldata result, bytes calldata failure, bytes calldata) external {
        if (msg.sender != address(REQUESTS) || !_isMine[requestId]) revert NotMine(msg.sender, requestId);
        if (failure.length == 0) (output, toldAt) = (result, REQUESTS.levelOf(requestId));
    }

    /// @notice Takes what came back in here: the parts of provers who were convicted, or the fee that nobody earned.
    function recover() external {
        REQUESTS.withdraw();
    }

    receive() external payable {}
}
