// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {IConsumer} from "../src/interfaces/IConsumer.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Tensor} from "../src/types/Model.sol";
import {Progress} from "../src/types/Request.sol";

/// @title ModelConsumer
/// @notice What all examples need: asks one model, knows its own requests, and gives the fee of an unanswered request back to
///         who paid it. All money leaves by `withdraw`.
abstract contract ModelConsumer is IConsumer {
    /// @notice Gas of a callback. It can't be changed later: an answer that needs more could never be delivered.
    uint64 public constant CALLBACK_GAS = 500_000;

    /// @notice Where this contract asks.
    Requests public immutable REQUESTS;
    /// @notice Whom it asks.
    ModelId public immutable MODEL;

    /// @dev Who paid for a request, and what it was about; forgotten when it ends.
    struct Question {
        address payer;
        uint96 fee;
        bytes32 subject;
    }

    /// @notice Wei that an account can withdraw here.
    mapping(address account => uint256 amount) public owed;
    mapping(bytes32 requestId => Question question) private _questions;

    /// @notice The fee has more than 96 bits.
    error FeeTooHigh(uint256 fee);
    /// @notice Only the Requests contract tells answers, and only to questions that this contract asked and that are open.
    error NotAsked(address caller, bytes32 requestId);
    /// @notice The request was not given up; its answer may still come.
    error NotRefunded(bytes32 requestId, Progress progress);
    /// @notice Nothing to withdraw.
    error NothingOwed(address account);
    /// @notice The account does not take money.
    error WithdrawalRefused(address account);

    constructor(Requests requests, ModelId model) {
        (REQUESTS, MODEL) = (requests, model);
    }

    /// @notice Takes nothing but the fees that come back.
    receive() external payable {
        if (msg.sender != address(REQUESTS)) revert NotAsked(msg.sender, 0);
    }

    /// @inheritdoc IConsumer
    function onInference(bytes32 requestId, bytes calldata output, bytes calldata failure, bytes calldata data)
        external
    {
        if (msg.sender != address(REQUESTS)) revert NotAsked(msg.sender, requestId);
        if (failure.length == 0) _answered(_close(requestId).subject, output, data);
        else _giveBack(requestId);
    }

    /// @notice Ends a question whose fee came back, if the call that should have told it failed; anyone may.
    function missed(bytes32 requestId) external {
        Progress progress = REQUESTS.progressOf(requestId);
        if (progress != Progress.Refunded) revert NotRefunded(requestId, progress);
        _giveBack(requestId);
    }

    /// @notice Pays out what the sender is owed.
    // slither-disable-next-line low-level-calls,arbitrary-send-eth to the caller itself, after the books are written
    function withdraw() external {
        uint256 amount = owed[msg.sender];
        if (amount == 0) revert NothingOwed(msg.sender);
        owed[msg.sender] = 0;
        if (REQUESTS.earned(address(this)) != 0) REQUESTS.withdraw();
        (bool accepted,) = msg.sender.call{value: amount}("");
        if (!accepted) revert WithdrawalRefused(msg.sender);
    }

    /// @dev Asks; the value of this call is the fee. `data` is handed along with the answer.
    function _ask(bytes32 subject, bytes memory input, bytes memory data) internal returns (bytes32 requestId) {
        if (msg.value > type(uint96).max) revert FeeTooHigh(msg.value);
        requestId = REQUESTS.requestCallback{value: msg.value}(MODEL, input, address(this), CALLBACK_GAS, data);
        // forge-lint: disable-next-line(unsafe-typecast) compared above
        _questions[requestId] = Question(msg.sender, uint96(msg.value), subject);
    }

    /// @dev A final answer. If this reverts, anybody can have it delivered again.
    function _answered(bytes32 subject, bytes calldata output, bytes calldata data) internal virtual;

    /// @dev There will be no answer; the fee is given back.
    function _unanswered(bytes32 subject) internal virtual;

    function _giveBack(bytes32 requestId) private {
        Question memory question = _close(requestId);
        owed[question.payer] += question.fee;
        _unanswered(question.subject);
    }

    function _close(bytes32 requestId) private returns (Question memory question) {
        question = _questions[requestId];
        if (question.payer == address(0)) revert NotAsked(msg.sender, requestId);
        delete _questions[requestId];
    }

    /// @dev Bytes of a model's inputs or outputs together.
    function _byteLength(Tensor[] memory tensors) internal pure returns (uint256 byteLength) {
        for (uint256 j = 0; j < tensors.length; ++j) {
            byteLength += tensors[j].byteLength;
        }
    }
}
