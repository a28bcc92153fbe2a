// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {QuickAnswer} from "../../examples/QuickAnswer.sol";
import {Asking} from "../../src/Asking.sol";
import {Level, Request} from "../../src/types/Request.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {Posting} from "../Groups.sol";
import {QuorumWorld} from "../QuorumWorld.sol";

contract QuickAnswerTest is QuorumWorld {
    QuickAnswer private _consumer;

    function setUp() public override {
        super.setUp();
        _consumer = new QuickAnswer(requests);
    }

    function asked() private returns (bytes32 requestId, Request memory request) {
        requestId = _consumer.ask{value: FEE}(small, BYTES, committee);
        request = terms();
        (request.callback, request.gasLimit) = (address(_consumer), _consumer.CALLBACK_GAS());
        request.until = Timestamp.wrap(uint40(time + 1 days));
        request = completed(request, address(_consumer));
        request.dataHash = keccak256("");
        same("named", requestId, requests.requestIdOf(request));
        madeAt[requestId] = height;
    }

    function test_agreed_isToldWithItsLevel() public {
        (bytes32 requestId, Request memory request) = asked();
        Posting[3] memory postings = commitAll(request, requestId, LIE);
        for (uint256 j = 0; j < 3; ++j) {
            same("told before", _consumer.output().length, 0);
            requests.revealAnswer(request, "", opening(postings[j], SALT), nowhere());
        }
        same("kept", keccak256(_consumer.output()), keccak256(LIE));
        same("level", uint256(_consumer.toldAt()), uint256(Level.Agreed));
    }

    function test_estimate_isTheLeastFee() public {
        uint256 least = _consumer.estimate(small);
        _consumer.ask{value: least}(small, BYTES, committee);
        VM.expectRevert(abi.encodeWithSelector(Asking.FeeTooLow.selector, least - 1, least));
        _consumer.ask{value: least - 1}(small, BYTES, committee);
    }

    function test_forged_callbacks_areRefused() public {
        (bytes32 requestId,) = asked();
        VM.expectRevert(abi.encodeWithSelector(QuickAnswer.NotMine.selector, EVE, requestId));
        VM.prank(EVE);
        _consumer.onInference(requestId, "a lie", "", "");
    }
}
