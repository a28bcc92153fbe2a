// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RollupChain} from "./RollupChain.sol";
import {IConsumer} from "./interfaces/IConsumer.sol";
import {Claim, Inclusion, Status} from "./types/Claim.sol";
import {ClaimId, ModelId} from "./types/Ids.sol";
import {Tensor} from "./types/Model.sol";
import {Progress, Request, Subscription} from "./types/Request.sol";
import {Duration, Timestamp, currentTime} from "./types/Time.sol";

/// @title Requests
/// @notice Contracts ask here for inferences, pay for them, and are called back with answers that are final. It holds fees in
///         escrow and nothing else: what a claim is worth is the RollupChain's to say.
/// @dev A request is answered by any claim that names it, if its model and input are the request's, it was posted in time by
///      somebody whose claim counts then, and it is final. The first that is shown is paid, once. Everything is written down
///      before a consumer is called, so that one that fails, burns its gas, returns megabytes or comes back in harms itself alone.
contract Requests {
    /// @notice Most gas that a callback may ask for.
    uint64 public constant MAX_CALLBACK_GAS = 5_000_000;
    /// @notice Most of a fee that goes to a model's author, in basis points.
    uint16 public constant MAX_ROYALTY = 2_000;
    /// @notice Gas of answering a request, without the callback and without the output's bytes; what `estimateFee` counts.
    uint256 public constant ANSWER_GAS = 250_000;

    /// @dev Gas that is left behind a callback to write down that it failed.
    uint256 private constant RESERVE = 60_000;

    /// @notice Where claims are posted and become final.
    RollupChain public immutable CHAIN;

    /// @notice How long after `until` nobody can take back the fee: a claim that was posted in time becomes final until then,
    ///         unless it is challenged or the challenge clock stops. Who posted one then notes it (`note`).
    uint40 private immutable GRACE;
    uint40 private immutable CANCEL_DELAY;

    /// @dev `until` is zero unless it was shortened by `cancel`; `noted` counts the claims that are noted.
    struct Standing {
        Progress progress;
        Timestamp until;
        uint32 noted;
    }

    struct Author {
        address account;
        uint16 royalty;
    }

    struct Budget {
        Timestamp due;
        uint32 left;
    }

    /// @notice Requests made so far, those of subscriptions included.
    uint256 public requestCount;
    /// @notice Subscriptions made so far.
    uint256 public subscriptionCount;
    /// @notice Wei that an account can withdraw.
    mapping(address account => uint256 amount) public earned;
    /// @notice Who published a model here, and which part of fees it asks for.
    mapping(ModelId modelId => Author author) public authors;

    mapping(bytes32 requestId => Standing standing) private _standings;
    mapping(bytes32 requestId => mapping(ClaimId claimId => bool noted)) private _noted;
    mapping(bytes32 requestId => bytes32 outputRoot) private _outputs;
    mapping(bytes32 subscriptionId => Budget budget) private _budgets;
    mapping(bytes32 commitment => uint256 number) private _commitments;

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
    /// @notice A claim that answers the request is posted; as long as it is not invalid the fee stays.
    event Noted(bytes32 indexed requestId, ClaimId indexed claimId);
    /// @notice A claim that was noted is invalid, and holds the fee no more.
    event Struck(bytes32 indexed requestId, ClaimId indexed claimId);
    /// @notice A final claim answered the request, and its claimant has earned the fee but for the author's part.
    event Answered(bytes32 indexed requestId, ClaimId indexed claimId, address indexed claimant, uint256 royalty);
    /// @notice The callback failed; anyone can make it again (`deliver`).
    event CallbackFailed(bytes32 indexed requestId);
    /// @notice The callback was made.
    event Delivered(bytes32 indexed requestId);
    /// @notice Nobody answered in time; the requester has the fee back.
    event Refunded(bytes32 indexed requestId);
    /// @notice A model is published by its author, who gets this part of the fees, in basis points.
    event Published(ModelId indexed modelId, address indexed author, uint16 royalty);
    /// @notice Money left.
    event Withdrawn(address indexed account, uint256 amount);

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
    /// @notice The claim does not name the request, or is about another model or input.
    error NotAnswering(bytes32 requestId, ClaimId claimId);
    /// @notice The claim was posted too late, or while only the named prover's counted.
    error DoesNotCount(bytes32 requestId, address claimant, Timestamp postedAt);
    /// @notice The claim is not final.
    error NotFinal(ClaimId claimId, Status status);
    /// @notice The bytes have another root than the claim's output.
    error WrongOutput(bytes32 given, bytes32 needed);
    /// @notice The callback could not get its gas; send `needed` with the transaction at least.
    error NotEnoughGas(uint256 left, uint256 needed);
    /// @notice The fee can't be taken back before `time`.
    error NotOver(Timestamp time);
    /// @notice So many claims that answer are noted: show one once it is final, strike off those that are invalid.
    error StillAnswerable(bytes32 requestId, uint32 claims);
    /// @notice The claim is not noted, or not invalid.
    error NothingToStrike(bytes32 requestId, ClaimId claimId);
    /// @notice The callback did not fail.
    error NothingToDeliver(bytes32 requestId);
    /// @notice An author asks for `most` basis points at most.
    error RoyaltyTooHigh(uint16 given, uint16 most);
    /// @notice Commit to the model in an earlier block, so that nobody who sees it can publish it in front of you.
    error NotCommitted(bytes32 commitment);
    /// @notice The model is registered already; who registered it without publishing it here gave it away.
    error AlreadyRegistered(ModelId modelId);
    /// @notice Header and path are those of another model.
    error OtherModel(ModelId given, ModelId named);
    /// @notice The subscription makes its next request at `time`.
    error NotDue(Timestamp time);
    /// @notice There is no such subscription, or its budget is used up.
    error NoBudget(bytes32 subscriptionId);
    /// @notice The value sent is not the fee times the number of requests.
    error WrongBudget(uint256 given, uint256 needed);
    /// @notice Nothing to withdraw.
    error NothingEarned(address account);
    /// @notice The account does not take money.
    error WithdrawalRefused(address account);
    /// @notice Why there is no answer: nobody posted a claim in time that became final.
    error RequestExpired(bytes32 requestId);

    constructor(RollupChain chain) {
        CHAIN = chain;
        GRACE = 2 * uint40(Duration.unwrap(chain.parameters().window));
        CANCEL_DELAY = Duration.unwrap(chain.parameters().withdrawalDelay);
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

    /// @notice Notes that a claim that answers is posted: as long as it is not invalid, the fee can't be taken back. Needed only if
    ///         the claim may not be final in time for `refund`. Any number of claims may be noted: none takes another's place.
    function note(Request calldata asked, Claim calldata claim, Inclusion calldata inclusion) external {
        bytes32 requestId = _openRequest(asked);
        ClaimId claimId = _requireAnswering(asked, requestId, claim, inclusion);
        Status status = CHAIN.status(claim, inclusion);
        if (status == Status.Unknown || status == Status.Invalid) revert NotFinal(claimId, status);
        if (_noted[requestId][claimId]) return;
        _noted[requestId][claimId] = true;
        _standings[requestId].noted += 1;
        emit Noted(requestId, claimId);
    }

    /// @notice Strikes off a noted claim that is invalid, so that it holds the fee no more; anyone may.
    function strike(bytes32 requestId, ClaimId claimId) external {
        (, bool convicted) = CHAIN.game().standingOf(claimId);
        if (!convicted || !_noted[requestId][claimId]) revert NothingToStrike(requestId, claimId);
        delete _noted[requestId][claimId];
        _standings[requestId].noted -= 1;
        emit Struck(requestId, claimId);
    }

    /// @notice Shows the final claim that answers a request: pays its claimant and calls the consumer. Anyone may; the first counts.
    /// @param output the bytes behind the claim's output root
    // slither-disable-next-line reentrancy-events everything is written before the consumer is called
    function answer(
        Request calldata asked,
        bytes calldata data,
        Claim calldata claim,
        Inclusion calldata inclusion,
        bytes calldata output
    ) external {
        bytes32 requestId = _openRequest(asked);
        if (keccak256(data) != asked.dataHash) revert WrongData(requestId);
        ClaimId claimId = _requireAnswering(asked, requestId, claim, inclusion);
        Status status = CHAIN.status(claim, inclusion);
        if (status != Status.Final) revert NotFinal(claimId, status);
        _requireOutput(asked.modelId, claim.outputRoot, output);

        uint256 royalty = uint256(asked.fee) * asked.royalty / 10_000;
        earned[asked.author] += royalty;
        earned[claim.claimant] += asked.fee - royalty;
        _standings[requestId].progress = Progress.Answered;
        emit Answered(requestId, claimId, claim.claimant, royalty);
        if (_call(asked, requestId, output, "", data)) {
            emit Delivered(requestId);
        } else {
            _standings[requestId].progress = Progress.Undelivered;
            _outputs[requestId] = claim.outputRoot;
            emit CallbackFailed(requestId);
        }
    }

    /// @notice Makes a callback again that failed; anyone may.
    /// @param output the bytes of the answer
    // slither-disable-next-line reentrancy-events as in `answer`
    function deliver(Request calldata asked, bytes calldata data, bytes calldata output) external {
        bytes32 requestId = requestIdOf(asked);
        if (_standings[requestId].progress != Progress.Undelivered) revert NothingToDeliver(requestId);
        if (keccak256(data) != asked.dataHash) revert WrongData(requestId);
        _requireOutput(asked.modelId, _outputs[requestId], output);
        _standings[requestId].progress = Progress.Answered;
        if (_call(asked, requestId, output, "", data)) {
            delete _outputs[requestId];
            emit Delivered(requestId);
        } else {
            _standings[requestId].progress = Progress.Undelivered;
            emit CallbackFailed(requestId);
        }
    }

    /// @notice Gives the fee back and tells the consumer that there is no answer, once no claim can answer any more; anyone may.
    // slither-disable-next-line reentrancy-events as in `answer`
    function refund(Request calldata asked, bytes calldata data) external {
        bytes32 requestId = _openRequest(asked);
        if (keccak256(data) != asked.dataHash) revert WrongData(requestId);
        Timestamp over = Timestamp.wrap(Timestamp.unwrap(_until(asked, requestId)) + GRACE);
        if (!(currentTime() > over)) revert NotOver(over);
        uint32 noted = _standings[requestId].noted;
        if (noted != 0) revert StillAnswerable(requestId, noted);
        earned[asked.requester] += asked.fee;
        _standings[requestId].progress = Progress.Refunded;
        emit Refunded(requestId);
        bytes memory why = abi.encodeWithSelector(RequestExpired.selector, requestId);
        if (!_call(asked, requestId, "", why, data)) emit CallbackFailed(requestId);
    }

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

    /// @notice Pays out what the sender has earned or got back.
    // slither-disable-next-line low-level-calls,arbitrary-send-eth to the caller itself, after the books are written
    function withdraw() external {
        uint256 amount = earned[msg.sender];
        if (amount == 0) revert NothingEarned(msg.sender);
        earned[msg.sender] = 0;
        emit Withdrawn(msg.sender, amount);
        (bool accepted,) = msg.sender.call{value: amount}("");
        if (!accepted) revert WithdrawalRefused(msg.sender);
    }

    /// @notice The smallest fee that is taken now: the gas of an answer and its callback, at twice the base fee. What the inference
    ///         itself is worth comes on top.
    function estimateFee(ModelId, uint64 gasLimit) public view returns (uint256) {
        return 2 * block.basefee * (ANSWER_GAS + gasLimit);
    }

    /// @notice Whether the request was answered by a final claim.
    function isFinalized(bytes32 requestId) external view returns (bool) {
        Progress progress = _standings[requestId].progress;
        return progress == Progress.Answered || progress == Progress.Undelivered;
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
        uint256 needed = estimateFee(asked.modelId, asked.gasLimit);
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

    function _open(Request memory asked, bytes memory input, bytes calldata data) private returns (bytes32 requestId) {
        asked.number = requestCount++;
        requestId = requestIdOf(asked);
        _standings[requestId].progress = Progress.Open;
        emit Requested(requestId, asked.modelId, asked, input, data);
    }

    function _openRequest(Request calldata asked) private view returns (bytes32 requestId) {
        requestId = requestIdOf(asked);
        Progress progress = _standings[requestId].progress;
        if (progress != Progress.Open) revert NotOpen(requestId, progress);
    }

    function _until(Request calldata asked, bytes32 requestId) private view returns (Timestamp) {
        Timestamp sooner = _standings[requestId].until;
        return sooner.isNever() ? asked.until : sooner;
    }

    /// @dev Refuses a claim that answers something else, or does not count by whose it is and when it was posted.
    function _requireAnswering(
        Request calldata asked,
        bytes32 requestId,
        Claim calldata claim,
        Inclusion calldata inclusion
    ) private view returns (ClaimId claimId) {
        claimId = CHAIN.claimIdOf(claim);
        bool same = claim.requestId == requestId && claim.inputRoot == asked.inputRoot
            && ModelId.unwrap(claim.modelId) == ModelId.unwrap(asked.modelId);
        if (!same) revert NotAnswering(requestId, claimId);
        // slither-disable-next-line unused-return only the time matters here
        (, Timestamp postedAt,,,) = CHAIN.batches(inclusion.batchId);
        bool isReserved = asked.prover != address(0) && !(postedAt > asked.proverUntil);
        if (postedAt > _until(asked, requestId) || (isReserved && claim.claimant != asked.prover)) {
            revert DoesNotCount(requestId, claim.claimant, postedAt);
        }
    }

    function _requireOutput(ModelId modelId, bytes32 outputRoot, bytes calldata output) private view {
        bytes32 root = CHAIN.rootOf(modelId, true, output);
        if (root != outputRoot) revert WrongOutput(root, outputRoot);
    }

    /// @dev Whether the consumer took the call. It gets all the gas that the request names, or nothing happens at all; what it
    ///      returns is not looked at.
    // slither-disable-next-line low-level-calls,assembly
    function _call(
        Request calldata asked,
        bytes32 requestId,
        bytes memory output,
        bytes memory failure,
        bytes calldata data
    ) private returns (bool success) {
        address callback = asked.callback;
        uint256 gasLimit = asked.gasLimit;
        bytes memory message = abi.encodeCall(IConsumer.onInference, (requestId, output, failure, data));
        // A call gets 63/64 of what is left at most (EIP-150).
        uint256 needed = gasLimit * 64 / 63 + RESERVE;
        if (gasleft() < needed) revert NotEnoughGas(gasleft(), needed);
        if (callback.code.length == 0) return false;
        assembly ("memory-safe") {
            success := call(gasLimit, callback, 0, add(message, 32), mload(message), 0, 0)
        }
    }
}
