// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DailyAnswer} from "../../examples/DailyAnswer.sol";
import {Request, Subscription} from "../../src/types/Request.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {Trace, Traces} from "../Trace.sol";
import {ExampleWorld} from "./ExampleWorld.sol";

contract DailyAnswerTest is ExampleWorld {
    using Traces for Trace;

    DailyAnswer private _consumer;
    Subscription private _plan;

    function setUp() public override {
        super.setUp();
        _consumer = new DailyAnswer(requests);
    }

    function subscribed(uint32 times) private {
        bytes32 planId = _consumer.subscribe{value: times * FEE}(model, new bytes(INPUT_LENGTH), times);
        Trace memory trace = traceOf("", "");
        Request memory request;
        (request.modelId, request.requester, request.callback) = (model, address(_consumer), address(_consumer));
        request.inputRoot = sha256(abi.encodePacked(hex"01", trace.entry(0), trace.entry(1)));
        (request.fee, request.gasLimit, request.dataHash) = (FEE, _consumer.CALLBACK_GAS(), keccak256(""));
        _plan.first = request;
        (_plan.interval, _plan.patience) = (_consumer.INTERVAL(), _consumer.INTERVAL());
        same("named", planId, requests.subscriptionIdOf(_plan));
    }

    function renewed() private returns (Request memory request) {
        requests.renew(_plan, "");
        request = _plan.first;
        (request.proverUntil, request.until) = (Timestamp.wrap(uint40(time)), Timestamp.wrap(uint40(time + 1 days)));
        request.number = requests.requestCount() - 1;
    }

    function test_answers_areTakenDayByDay() public {
        subscribed(2);
        for (uint256 day = 0; day < 2; ++day) {
            Request memory request = renewed();
            answer(request, traceOf("", winning(day)), "");
            _consumer.accept(request);
            same("kept", keccak256(_consumer.output()), keccak256(outputOf(traceOf("", winning(day)))));
            wait(1 days);
        }
    }

    function test_accept_whatOthersAsked_reverts() public {
        subscribed(1);
        renewed();
        Request memory foreign = forge(address(_consumer), model, traceOf("", ""));
        answer(foreign, traceOf("", winning(4)), "");
        VM.expectRevert(abi.encodeWithSelector(DailyAnswer.NotMine.selector, requests.requestIdOf(foreign)));
        _consumer.accept(foreign);
    }

    function test_subscribe_valueThatIsNoMultiple_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(DailyAnswer.NotDivided.selector, 3, uint32(2)));
        _consumer.subscribe{value: 3}(model, new bytes(INPUT_LENGTH), 2);
    }

    function test_onInference_byOthers_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(DailyAnswer.NotRequests.selector, EVE));
        VM.prank(EVE);
        _consumer.onInference("id", "a lie", "", "");
    }
}
