// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LastAnswer} from "../../examples/LastAnswer.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {ExampleWorld} from "./ExampleWorld.sol";

contract LastAnswerTest is ExampleWorld {
    LastAnswer private _consumer;
    bytes private _input = new bytes(INPUT_LENGTH);

    function setUp() public override {
        super.setUp();
        _consumer = new LastAnswer(requests);
    }

    function asked() private returns (Request memory request) {
        _consumer.ask{value: FEE}(model, _input);
        request = requestBy(address(_consumer), model, traceOf("", ""), "", FEE);
        request.gasLimit = 500_000;
        progress(request, Progress.Open);
    }

    function test_answered_isKept() public {
        answer(asked(), traceOf("", winning(3)), "");
        same("kept", keccak256(_consumer.output()), keccak256(outputOf(traceOf("", winning(3)))));
    }

    function test_unanswered_keepsNothing() public {
        expire(asked(), "");
        same("kept", _consumer.output().length, 0);
    }

    function test_forged_callbacks_doNothing() public {
        bytes32 requestId = requests.requestIdOf(asked());
        VM.expectRevert(abi.encodeWithSelector(LastAnswer.NotMine.selector, EVE, requestId));
        VM.prank(EVE);
        _consumer.onInference(requestId, "a lie", "", "");
        Request memory foreign = forge(address(_consumer), model, traceOf("", ""));
        answer(foreign, traceOf("", winning(4)), "");
        progress(foreign, Progress.Undelivered);
        same("kept", _consumer.output().length, 0);
    }
}
