// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {IConsumer} from "../src/interfaces/IConsumer.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Request, Subscription} from "../src/types/Request.sol";
import {Duration} from "../src/types/Time.sol";

/// @title DailyAnswer
/// @notice Subscribes: the same question every day, whoever makes it. Keeps the answer to the last one that was shown to be its own.
contract DailyAnswer is IConsumer {
    uint64 public constant CALLBACK_GAS = 500_000;
    Duration public constant INTERVAL = Duration.wrap(1 days);

    Requests private immutable REQUESTS;
    mapping(bytes32 requestId => bytes output) private _told;
    bytes public output;
    uint256 public newest;

    error NotRequests(address caller);
    error NotMine(bytes32 requestId);
    error NotDivided(uint256 value, uint32 times);

    constructor(Requests requests) {
        REQUESTS = requests;
    }

    /// @notice Pays for `times` requests; the value is the fee of each times their number, exactly.
    function subscribe(ModelId model, bytes calldata input, uint32 times) external payable returns (bytes32) {
        if (times == 0 || msg.value % times != 0 || msg.value / times > type(uint128).max) {
            revert NotDivided(msg.value, times);
        }
        Subscription memory plan;
        plan.first.modelId = model;
        (plan.first.callback, plan.first.gasLimit) = (address(this), CALLBACK_GAS);
        // forge-lint: disable-next-line(unsafe-typecast) compared above
        plan.first.fee = uint128(msg.value / times);
        (plan.interval, plan.patience) = (INTERVAL, INTERVAL);
        return REQUESTS.subscribe{value: msg.value}(plan, times, input, "");
    }

    /// @dev Anybody may renew, so the id of a request is not known here before: what is told is kept until `accept`.
    function onInference(bytes32 requestId, bytes calldata result, bytes calldata failure, bytes calldata) external {
        if (msg.sender != address(REQUESTS)) revert NotRequests(msg.sender);
        if (failure.length == 0) _told[requestId] = result;
    }

    /// @notice Takes an answer that was told: the request, from its event, says who asked. Anyone may.
    function accept(Request calldata asked) external {
        bytes32 requestId = REQUESTS.requestIdOf(asked);
        if (asked.requester != address(this) || _told[requestId].length == 0) revert NotMine(requestId);
        if (asked.number >= newest) (output, newest) = (_told[requestId], asked.number);
        delete _told[requestId];
    }

    /// @notice Takes the fees of requests that nobody answered in here.
    function recover() external {
        REQUESTS.withdraw();
    }

    receive() external payable {}
}
