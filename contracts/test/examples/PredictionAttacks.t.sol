// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ClassifierConsumer} from "../../examples/ClassifierConsumer.sol";
import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {PredictionMarket} from "../../examples/PredictionMarket.sol";
import {Callbacks} from "../../src/Callbacks.sol";
import {Asking} from "../../src/Asking.sol";
import {Requests} from "../../src/Requests.sol";
import {ModelId} from "../../src/types/Ids.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {ExposedMarket, Greedy, PredictionWorld, StubbornMarket} from "./PredictionWorld.sol";

contract PredictionAttacksTest is PredictionWorld {
    function test_forged_callbacks_doNothing() public {
        (uint256 marketId, Request memory request) = asked(_market);
        bytes32 requestId = requests.requestIdOf(request);
        VM.expectRevert(abi.encodeWithSelector(ModelConsumer.NotAsked.selector, EVE, requestId));
        VM.prank(EVE);
        _market.onInference(requestId, new bytes(120), "", "");
        Request memory foreign = forge(address(_market), model, traceOf(IMAGE, ""));
        answer(foreign, traceOf(IMAGE, winning(4)), "");
        progress(foreign, Progress.Undelivered);
        state(_market, marketId, PredictionMarket.State.Asked);
        Request memory other = forge(address(_market), model, traceOf(IMAGE, ""));
        expire(other, "");
        progress(other, Progress.Refunded);
        bytes32 otherId = requests.requestIdOf(other);
        refuses(ModelConsumer.NotAsked.selector);
        _market.missed(otherId);
        state(_market, marketId, PredictionMarket.State.Asked);
        VM.expectPartialRevert(ModelConsumer.NotAsked.selector);
        this.send(payable(address(_market)), 1 ether);
    }

    function send(address payable to, uint256 amount) external {
        (bool accepted, bytes memory why) = to.call{value: amount}("");
        if (!accepted) assembly ("memory-safe") { revert(add(why, 32), mload(why)) }
    }

    function test_callback_fails_isDeliveredLater() public {
        StubbornMarket market = new StubbornMarket(requests, model);
        (uint256 marketId, Request memory request) = asked(market);
        answer(request, traceOf(IMAGE, winning(3)), "");
        progress(request, Progress.Undelivered);
        state(market, marketId, PredictionMarket.State.Asked);
        market.relent();
        bytes memory other = outputOf(traceOf(IMAGE, winning(4)));
        VM.expectPartialRevert(Callbacks.WrongOutput.selector);
        requests.deliver(request, "", other);
        requests.deliver(request, "", outputOf(traceOf(IMAGE, winning(3))));
        state(market, marketId, PredictionMarket.State.Settled);
        same("alice", claim(market, ALICE, marketId, 3), 10 ether);
    }

    function test_refundCallback_fails_anyoneEndsTheMarket() public {
        StubbornMarket market = new StubbornMarket(requests, model);
        (uint256 marketId, Request memory request) = asked(market);
        bytes32 requestId = requests.requestIdOf(request);
        refuses(ModelConsumer.NotRefunded.selector);
        market.missed(requestId);
        expire(request, "");
        progress(request, Progress.Refunded);
        state(market, marketId, PredictionMarket.State.Asked);
        market.relent();
        VM.prank(EVE);
        market.missed(requestId);
        state(market, marketId, PredictionMarket.State.Void);
        refuses(ModelConsumer.NotAsked.selector);
        market.missed(requestId);
        same("fee back", collect(market, address(this)), FEE);
    }

    function test_withdraw_comesBackIn_getsNothingMore() public {
        Greedy greedy = new Greedy(_market);
        uint256 marketId = opened(_market);
        greedy.bet{value: 1 ether}(marketId, 3);
        bet(_market, BOB, marketId, 3, 1 ether);
        wait(100);
        _market.reveal{value: FEE}(marketId, _input, SALT);
        answer(requestOf(_market, traceOf(IMAGE, ""), "", FEE), traceOf(IMAGE, winning(3)), "");
        greedy.take(marketId, 3);
        same("entries", greedy.entries(), 1);
        same("its half", address(greedy).balance, 3.5 ether);
        same("the other half", address(_market).balance, 3.5 ether);
    }

    function test_claim_anothersStake_reverts() public {
        (uint256 marketId, Request memory request) = asked(_market);
        refuses(PredictionMarket.WrongState.selector);
        claim(_market, ALICE, marketId, 3);
        answer(request, traceOf(IMAGE, winning(3)), "");
        refuses(PredictionMarket.NothingStaked.selector);
        claim(_market, EVE, marketId, 3);
        claim(_market, ALICE, marketId, 3);
        refuses(PredictionMarket.NothingStaked.selector);
        claim(_market, ALICE, marketId, 3);
        refuses(ModelConsumer.NothingOwed.selector);
        collect(_market, EVE);
    }

    function test_bet_outOfOrder_reverts() public {
        refuses(PredictionMarket.WrongState.selector);
        _market.bet{value: 1}(0, 3);
        refuses(PredictionMarket.BadTimes.selector);
        _market.open(0, Timestamp.wrap(uint40(time)), Timestamp.wrap(uint40(time + 1)));
        refuses(PredictionMarket.BadTimes.selector);
        _market.open(0, Timestamp.wrap(uint40(time + 2)), Timestamp.wrap(uint40(time + 1)));
        uint256 marketId = opened(_market);
        refuses(PredictionMarket.NoSuchOutcome.selector);
        _market.bet{value: 1}(marketId, CLASSES);
        refuses(PredictionMarket.NoStake.selector);
        _market.bet(marketId, 3);
        refuses(PredictionMarket.NotClosed.selector);
        _market.reveal{value: FEE}(marketId, _input, SALT);
        wait(99);
        refuses(PredictionMarket.NotClosed.selector);
        _market.reveal{value: FEE}(marketId, _input, SALT);
        _market.bet{value: 1}(marketId, 3);
        wait(1);
        refuses(PredictionMarket.Closed.selector);
        _market.bet{value: 1}(marketId, 3);
        refuses(PredictionMarket.NotCommitted.selector);
        _market.reveal{value: FEE}(marketId, _input, 0);
        bytes memory other = bytes.concat(_input);
        other[3] ^= 0x01;
        refuses(PredictionMarket.NotCommitted.selector);
        _market.reveal{value: FEE}(marketId, other, SALT);
        refuses(Asking.FeeTooLow.selector);
        _market.reveal{value: 1}(marketId, _input, SALT);
        _market.reveal{value: FEE}(marketId, _input, SALT);
        refuses(PredictionMarket.WrongState.selector);
        _market.reveal{value: FEE}(marketId, _input, SALT);
    }

    function test_reveal_copiedCommitment_reverts() public {
        bytes32 commitment = _market.commitmentOf(OPENER, _input, SALT);
        VM.prank(EVE);
        uint256 copy = _market.open(commitment, Timestamp.wrap(uint40(time + 1)), Timestamp.wrap(uint40(time + 2)));
        wait(1);
        refuses(PredictionMarket.NotCommitted.selector);
        _market.reveal{value: FEE}(copy, _input, SALT);
    }

    function test_constructor_wrongWidth_reverts() public {
        refuses(ClassifierConsumer.WrongWidth.selector);
        new PredictionMarket(requests, model, 8);
        refuses(ClassifierConsumer.WrongWidth.selector);
        new PredictionMarket(requests, model, 0);
        refuses(ClassifierConsumer.WrongWidth.selector);
        new PredictionMarket(requests, model, 5);
    }

    function test_constructor_tooManyClasses_reverts() public {
        ModelId wide = classifier(_market.MAX_CLASSES() + 1);
        refuses(ClassifierConsumer.TooManyClasses.selector);
        new PredictionMarket(requests, wide, 8);
    }

    /// @dev As many classes as there may be, of the widest scores, each larger than the one before it.
    function test_callback_gas_isEnoughForAnyClassifier() public {
        uint256 classes = _market.MAX_CLASSES();
        ExposedMarket market = new ExposedMarket(requests, classifier(classes));
        uint256 marketId = market.open(0, Timestamp.wrap(uint40(time + 1)), Timestamp.wrap(uint40(time + 1)));
        market.bet{value: 1}(marketId, classes - 1);
        bytes memory output = new bytes(8 * classes);
        for (uint256 j = 0; j < classes; ++j) {
            output[8 * j] = bytes1(uint8(j));
        }
        market.settle{gas: market.CALLBACK_GAS() / 2}(marketId, output);
        same("outcome", market.marketOf(marketId).outcome, classes - 1);
        state(market, marketId, PredictionMarket.State.Settled);
    }

    /// @dev A model of i8[4] that gives so many scores of 8 bytes.
    function classifier(uint256 classes) private returns (ModelId) {
        bytes memory inputs = abi.encodePacked(hex"01", hex"000001", uint32(4));
        bytes memory outputs = abi.encodePacked(hex"01", uint32(1), hex"030001", uint32(classes));
        bytes memory head = abi.encodePacked(uint16(2), uint8(0), uint8(1), uint8(0), uint32(2), inputs, outputs);
        return chain.registerModel(head, abi.encodePacked(bytes32(uint256(5))));
    }
}
