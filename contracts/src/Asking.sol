// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Authors} from "./Authors.sol";
import {Escrow} from "./Escrow.sol";
import {Provers} from "./Provers.sol";
import {ModelId} from "./types/Ids.sol";
import {Tensor} from "./types/Model.sol";
import {Progress, Request, Subscription} from "./types/Request.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title Asking
/// @notice Questions to models and their fees: once, again and again, no longer.
abstract contract Asking is Authors, Escrow {
    /// @notice Most gas that a callback may ask for.
    uint64 public constant MAX_CALLBACK_GAS = 5_000_000;
    /// @notice Gas of answering a request, without the callback and without the output's bytes; what `estimateFee` counts.
    uint256 public constant ANSWER_GAS = 250_000;
    /// @notice Gas of one prover's part in a quorum, without the bytes; what `estimateQuorumFee` counts.
    uint256 public constant QUORUM_GAS = 600_000;

    /// @notice Who answers for quorums.
    Provers public immutable PROVERS;

    uint40 private immutable CANCEL_DELAY;

    /// @dev `until` is zero unless it was shortened by `cancel`; `noted` counts the claims that are noted; `madeAt` is the block
    ///      of a request for a quorum, and `places` the places for its model then.
    struct Standing {
        Progress progress;
        Timestamp until;
        uint32 noted;
        uint40 madeAt;
        uint32 places;
    }

    struct Budget {
        Timestamp due;
        uint32 left;
    }

    /// @notice Requests made so far, those of subscriptions included.
    uint256 public requestCount;
    /// @notice Subscriptions made so far.
    uint256 public subscriptionCount;

    mapping(bytes32 requestId => Standing standing) internal _standings;
    mapping(bytes32 subscriptionId => Budget budget) private _budgets;

    /// @notice Somebody asks. `input` is empty if it was uploaded before, or came with a subscription.
    event Requested(bytes32 indexed requestId, ModelId indexed modelId, Request request, bytes input, bytes data);
    /// @notice A request will be made again and again.
    event Subscribed(bytes32 indexed subscriptionId, Subscription subscription, bytes input, bytes data);
    /// @notice A subscription made this request.
    event Renewed(bytes32 indexed subscriptionId, bytes32 indexed requestId);
    /// @notice A subscription ended; what was left of its budget is the requester's.
    event Unsubscribed(bytes32 indexed subscriptionId, uint256 refund);
    /// @notice Only claims that are posted until then can answer the request.
    event Cancelled(bytes32 indexed requestId, Timestamp until);

    /// @notice The fee is below what an answer costs now (`estimateFee`).
    error FeeTooLow(uint256 given, uint256 needed);
    /// @notice A callback may ask for `most` gas.
    error GasLimitTooHigh(uint64 given, uint64 most);
    /// @notice Output and data are more bytes than an answer can repeat.
    error AnswerTooLarge(uint256 byteLength, uint256 most);
    /// @notice The times of a request are in the past, or not in order.
    error BadTimes();
    /// @notice The bytes behind this input root were not uploaded and assembled.
    error InputUnknown(bytes32 inputRoot);
    /// @notice There is no such request, or it has ended.
    error NotOpen(bytes32 requestId, Progress progress);
    /// @notice Only the requester may do this.
    error NotRequester(address caller);
    /// @notice This is not what the request says is handed along.
    error WrongData(bytes32 requestId);
    /// @notice A quorum is of 3 to 9 provers, has blocks to commit in, is as large as its committee, and no prover is named; a
    ///         request without one says nothing about it.
    error BadQuorum();
    /// @notice So few seats for the model can be drawn.
    error TooFewSeats(ModelId modelId, uint256 seats, uint256 needed);
    /// @notice The subscription makes its next request at `time`.
    error NotDue(Timestamp time);
    /// @notice There is no such subscription, or its budget is used up.
    error NoBudget(bytes32 subscriptionId);
    /// @notice The value sent is not the fee times the number of requests.
    error WrongBudget(uint256 given, uint256 needed);

    constructor() {
        PROVERS = new Provers(CHAIN);
        CANCEL_DELAY = Duration.unwrap(CHAIN.parameters().withdrawalDelay);
    }

    /// @notice Asks a model; the whole value sent is the fee. Whoever answers first within a day of the challenge period is paid.
    /// @param input the input tensors' bytes, little-endian, in the header's order
    /// @param callback told the answer, with `gasLimit` gas; see `IConsumer`
    /// @param data handed along
    function requestCallback(
        ModelId modelId,
        bytes calldata input,
        address callback,
        uint64 gasLimit,
        bytes calldata data
    ) external payable returns (bytes32 requestId) {
        Request memory asked;
        (asked.modelId, asked.callback, asked.gasLimit) = (modelId, callback, gasLimit);
        asked.until = Timestamp.wrap(Timestamp.unwrap(currentTime()) + 1 days);
        return _request(asked, input, data);
    }

    /// @notice Asks a model with all that a request can say.
    /// @param asked `inputRoot` counts if `input` is empty; `requester`, `fee`, `author`, `royalty`, `dataHash` and `number` are
    ///        filled in here
    function request(Request memory asked, bytes calldata input, bytes calldata data)
        external
        payable
        returns (bytes32 requestId)
    {
        return _request(asked, input, data);
    }

    /// @notice Pays for `times` requests, each made at least an interval after the one before it by whoever wants to.
    /// @param subscription its first request says what the fee of each is; the rest as for `request`
    function subscribe(Subscription memory subscription, uint32 times, bytes calldata input, bytes calldata data)
        external
        payable
        returns (bytes32 subscriptionId)
    {
        Request memory first = subscription.first;
        uint256 needed = uint256(first.fee) * times;
        if (times == 0 || msg.value != needed) revert WrongBudget(msg.value, needed);
        if (Duration.unwrap(subscription.patience) < Duration.unwrap(subscription.exclusive)) revert BadTimes();
        _complete(first, input, data);
        (first.proverUntil, first.until, first.number) = (Timestamp.wrap(0), Timestamp.wrap(0), 0);
        subscription.number = subscriptionCount++;
        subscriptionId = subscriptionIdOf(subscription);
        _budgets[subscriptionId] = Budget(currentTime(), times);
        emit Subscribed(subscriptionId, subscription, input, data);
    }

    /// @notice Makes a subscription's next request, if it is due; anyone may.
    function renew(Subscription calldata subscription, bytes calldata data) external returns (bytes32 requestId) {
        bytes32 subscriptionId = subscriptionIdOf(subscription);
        Budget memory budget = _budgets[subscriptionId];
        if (budget.left == 0) revert NoBudget(subscriptionId);
        if (budget.due > currentTime()) revert NotDue(budget.due);
        _budgets[subscriptionId] = Budget(currentTime().plus(subscription.interval), budget.left - 1);
        Request memory next = subscription.first;
        if (keccak256(data) != next.dataHash) revert WrongData(subscriptionId);
        next.proverUntil = currentTime().plus(subscription.exclusive);
        next.until = currentTime().plus(subscription.patience);
        requestId = _open(next, "", data);
        emit Renewed(subscriptionId, requestId);
    }

    /// @notice Ends a subscription and gives the requester back what is left of its budget.
    function unsubscribe(Subscription calldata subscription) external {
        if (msg.sender != subscription.first.requester) revert NotRequester(msg.sender);
        bytes32 subscriptionId = subscriptionIdOf(subscription);
        uint256 left = _budgets[subscriptionId].left;
        if (left == 0) revert NoBudget(subscriptionId);
        delete _budgets[subscriptionId];
        uint256 refundable = left * subscription.first.fee;
        earned[msg.sender] += refundable;
        emit Unsubscribed(subscriptionId, refundable);
    }

    /// @notice Shortens the time in which a request can be answered. What is posted within the next `withdrawalDelay` seconds
    ///         still counts: nobody works for nothing.
    function cancel(Request calldata asked) external {
        if (msg.sender != asked.requester) revert NotRequester(msg.sender);
        bytes32 requestId = _openRequest(asked);
        Timestamp sooner = Timestamp.wrap(Timestamp.unwrap(currentTime()) + CANCEL_DELAY);
        if (sooner > _until(asked, requestId)) sooner = _until(asked, requestId);
        _standings[requestId].until = sooner;
        emit Cancelled(requestId, sooner);
    }

    /// @notice The smallest fee that is taken now: the gas of an answer and its callback, at twice the base fee. What the inference
    ///         itself is worth comes on top.
    function estimateFee(ModelId, uint64 gasLimit) public view returns (uint256) {
        return 2 * block.basefee * (ANSWER_GAS + gasLimit);
    }

    /// @notice The smallest fee that is taken now for a request with a quorum of so many provers.
    function estimateQuorumFee(ModelId modelId, uint64 gasLimit, uint8 quorum) public view returns (uint256) {
        return estimateFee(modelId, gasLimit) + 2 * block.basefee * QUORUM_GAS * quorum;
    }

    /// @notice How far a request is.
    function progressOf(bytes32 requestId) external view returns (Progress) {
        return _standings[requestId].progress;
    }

    /// @notice When a subscription's next request is due, and how many are left.
    function budgetOf(bytes32 subscriptionId) external view returns (Timestamp due, uint32 left) {
        return (_budgets[subscriptionId].due, _budgets[subscriptionId].left);
    }

    /// @notice The id of a request, which claims that answer it name.
    function requestIdOf(Request memory asked) public view returns (bytes32) {
        return keccak256(abi.encode("Request", block.chainid, address(this), asked));
    }

    /// @notice The id of a subscription.
    function subscriptionIdOf(Subscription memory subscription) public view returns (bytes32) {
        return keccak256(abi.encode("Subscription", block.chainid, address(this), subscription));
    }

    function _request(Request memory asked, bytes calldata input, bytes calldata data) private returns (bytes32) {
        if (msg.value > type(uint128).max) revert WrongBudget(msg.value, type(uint128).max);
        // forge-lint: disable-next-line(unsafe-typecast) compared in the line above
        asked.fee = uint128(msg.value);
        if (!(asked.until > currentTime()) || asked.proverUntil > asked.until) revert BadTimes();
        _complete(asked, input, data);
        return _open(asked, input, data);
    }

    /// @dev Fills in what the requester can't choose, and refuses what can't be answered.
    function _complete(Request memory asked, bytes calldata input, bytes calldata data) private view {
        if (asked.gasLimit > MAX_CALLBACK_GAS) revert GasLimitTooHigh(asked.gasLimit, MAX_CALLBACK_GAS);
        _requireQuorum(asked);
        uint256 needed = estimateQuorumFee(asked.modelId, asked.gasLimit, asked.quorum);
        if (asked.fee < needed) revert FeeTooLow(asked.fee, needed);
        _requireAnswerable(asked.modelId, data.length);
        if (input.length != 0) asked.inputRoot = CHAIN.rootOf(asked.modelId, false, input);
        else if (!CHAIN.isAssembled(asked.modelId, false, asked.inputRoot)) revert InputUnknown(asked.inputRoot);
        Author memory author = authors[asked.modelId];
        (asked.author, asked.royalty) = (author.account, author.royalty);
        (asked.requester, asked.dataHash) = (msg.sender, keccak256(data));
    }

    /// @dev An answer has to fit into a transaction with what it repeats, or a noted claim would hold the fee for good.
    function _requireAnswerable(ModelId modelId, uint256 byteLength) private view {
        Tensor[] memory outputs = CHAIN.modelOf(modelId).outputs;
        for (uint256 j = 0; j < outputs.length; ++j) {
            byteLength += outputs[j].byteLength;
        }
        uint256 most = CHAIN.MAX_POSTED_BYTES();
        if (byteLength > most) revert AnswerTooLarge(byteLength, most);
    }

    /// @dev Refuses a quorum that can't come about.
    function _requireQuorum(Request memory asked) private view {
        if (asked.quorum == 0) {
            if (asked.commitBlocks != 0 || asked.committee != 0) revert BadQuorum();
            return;
        }
        bool isInOrder = asked.quorum >= PROVERS.MIN_QUORUM() && asked.quorum <= PROVERS.MAX_QUORUM()
            && asked.commitBlocks != 0 && asked.prover == address(0);
        if (!isInOrder) revert BadQuorum();
        if (asked.committee != 0) {
            if (PROVERS.membersOf(asked.committee).length != asked.quorum) revert BadQuorum();
            return;
        }
        uint256 seats = PROVERS.seatCount(asked.modelId);
        if (seats < asked.quorum) revert TooFewSeats(asked.modelId, seats, asked.quorum);
    }

    function _open(Request memory asked, bytes memory input, bytes calldata data) private returns (bytes32 requestId) {
        asked.number = requestCount++;
        requestId = requestIdOf(asked);
        Standing storage standing = _standings[requestId];
        standing.progress = Progress.Open;
        if (asked.quorum != 0) {
            // forge-lint: disable-next-item(unsafe-typecast) neither blocks nor seats are ever so many
            (standing.madeAt, standing.places) = (uint40(block.number), uint32(PROVERS.placeCount(asked.modelId)));
        }
        emit Requested(requestId, asked.modelId, asked, input, data);
    }

    function _openRequest(Request calldata asked) internal view returns (bytes32 requestId) {
        requestId = requestIdOf(asked);
        Progress progress = _standings[requestId].progress;
        if (progress != Progress.Open) revert NotOpen(requestId, progress);
    }

    function _until(Request calldata asked, bytes32 requestId) internal view returns (Timestamp) {
        Timestamp sooner = _standings[requestId].until;
        return sooner.isNever() ? asked.until : sooner;
    }
}
