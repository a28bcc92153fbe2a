// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ClassifierConsumer} from "../../examples/ClassifierConsumer.sol";
import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {PredictionMarket} from "../../examples/PredictionMarket.sol";
import {Requests} from "../../src/Requests.sol";
import {Status} from "../../src/types/Claim.sol";
import {ModelId} from "../../src/types/Ids.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {Trace} from "../Trace.sol";
import {ExampleWorld} from "./ExampleWorld.sol";

/// @dev A market that takes no answer until it is told to.
contract StubbornMarket is PredictionMarket {
    bool public isWilling;

    error NotNow();

    constructor(Requests requests, ModelId model) PredictionMarket(requests, model, 1) {}

    function relent() external {
        isWilling = true;
    }

    function _answered(bytes32 subject, bytes calldata output, bytes calldata data) internal override {
        if (!isWilling) revert NotNow();
        super._answered(subject, output, data);
    }

    function _unanswered(bytes32 subject) internal override {
        if (!isWilling) revert NotNow();
        super._unanswered(subject);
    }
}

/// @dev A winner that calls back in when it is paid.
contract Greedy {
    PredictionMarket private immutable MARKET;
    uint256 public entries;

    constructor(PredictionMarket market) {
        MARKET = market;
    }

    function bet(uint256 marketId, uint256 outcome) external payable {
        MARKET.bet{value: msg.value}(marketId, outcome);
    }

    function take(uint256 marketId, uint256 outcome) external {
        MARKET.claim(marketId, outcome);
        MARKET.withdraw();
    }

    receive() external payable {
        ++entries;
        (bool again,) = address(MARKET).call(abi.encodeCall(ModelConsumer.withdraw, ()));
        (bool twice,) = address(MARKET).call(abi.encodeCall(PredictionMarket.claim, (0, 3)));
        require(!again && !twice, "came in");
    }
}

contract PredictionMarketTest is ExampleWorld {
    bytes32 private constant SALT = bytes32(uint256(0x5a17));
    address private constant OPENER = address(0x09e4e4);
    bytes private constant IMAGE = "the image's bytes";
    uint256 private constant PRIZE = 5 ether;

    PredictionMarket private _market;
    bytes private _input;

    function setUp() public override {
        super.setUp();
        _market = new PredictionMarket(requests, model, 1);
        _input = bytes.concat(IMAGE, new bytes(INPUT_LENGTH - IMAGE.length));
    }

    function opened(PredictionMarket market) private returns (uint256 marketId) {
        bytes32 commitment = market.commitmentOf(OPENER, _input, SALT);
        VM.deal(OPENER, PRIZE);
        VM.prank(OPENER);
        return market.open{value: PRIZE}(commitment, uint40(time + 100), uint40(time + 200));
    }

    function bet(PredictionMarket market, address account, uint256 marketId, uint256 outcome, uint256 amount) private {
        VM.deal(account, amount);
        VM.prank(account);
        market.bet{value: amount}(marketId, outcome);
    }

    /// @dev A market with 2 ether of ALICE and 1 of BOB on 3, and 7 ether of EVE on 4, whose model is asked.
    function asked(PredictionMarket market) private returns (uint256 marketId, Request memory request) {
        marketId = opened(market);
        bet(market, ALICE, marketId, 3, 2 ether);
        bet(market, BOB, marketId, 3, 1 ether);
        bet(market, EVE, marketId, 4, 7 ether);
        wait(100);
        bytes32 requestId = market.reveal{value: FEE}(marketId, _input, SALT);
        request = requestOf(market, traceOf(IMAGE, ""), "", FEE);
        same("request", requestId, requests.requestIdOf(request));
    }

    function state(PredictionMarket market, uint256 marketId, PredictionMarket.State expected) private view {
        same("state", uint256(market.marketOf(marketId).state), uint256(expected));
    }

    function claim(PredictionMarket market, address account, uint256 marketId, uint256 outcome)
        private
        returns (uint256)
    {
        VM.prank(account);
        return market.claim(marketId, outcome);
    }

    function refuses(bytes4 selector) private {
        VM.expectPartialRevert(selector);
    }

    function test_answered_winnersShareEverything() public {
        (uint256 marketId, Request memory request) = asked(_market);
        answer(request, traceOf(IMAGE, winning(3)), "");
        state(_market, marketId, PredictionMarket.State.Settled);
        same("outcome", _market.marketOf(marketId).outcome, 3);
        same("alice", claim(_market, ALICE, marketId, 3), 10 ether);
        same("bob", claim(_market, BOB, marketId, 3), 5 ether);
        same("paid", collect(_market, ALICE), 10 ether);
        same("paid", collect(_market, BOB), 5 ether);
        same("empty", address(_market).balance, 0);
        refuses(PredictionMarket.Lost.selector);
        claim(_market, EVE, marketId, 4);
    }

    function test_answered_equalScores_firstClassWins() public {
        (uint256 marketId, Request memory request) = asked(_market);
        bytes memory scores = winning(4);
        (scores[3], scores[99]) = (0x7f, 0x7f);
        answer(request, traceOf(IMAGE, scores), "");
        same("outcome", _market.marketOf(marketId).outcome, 3);
    }

    function test_answered_negativeScores_areSmallerThanZero() public {
        (uint256 marketId, Request memory request) = asked(_market);
        bytes memory scores = new bytes(CLASSES);
        for (uint256 j = 0; j < CLASSES; ++j) {
            scores[j] = 0x80;
        }
        scores[4] = 0xff;
        answer(request, traceOf(IMAGE, scores), "");
        same("outcome", _market.marketOf(marketId).outcome, 4);
    }

    function test_answered_nobodyWon_everybodyHasTheStakeBack() public {
        (uint256 marketId, Request memory request) = asked(_market);
        answer(request, traceOf(IMAGE, winning(5)), "");
        _allBack(marketId);
        same("prize", collect(_market, OPENER), PRIZE);
        same("empty", address(_market).balance, 0);
    }

    function test_unanswered_everybodyHasEverythingBack() public {
        (uint256 marketId, Request memory request) = asked(_market);
        expire(request, "");
        same("fee", requests.earned(address(_market)), FEE);
        _allBack(marketId);
        same("prize", collect(_market, OPENER), PRIZE);
        same("fee back", collect(_market, address(this)), FEE);
        same("empty", heldBy(_market), 0);
    }

    function _allBack(uint256 marketId) private {
        state(_market, marketId, PredictionMarket.State.Void);
        same("eve", claim(_market, EVE, marketId, 4), 7 ether);
        same("alice", claim(_market, ALICE, marketId, 3), 2 ether);
        same("bob", claim(_market, BOB, marketId, 3), 1 ether);
        same("paid", collect(_market, EVE), 7 ether);
        same("paid", collect(_market, ALICE), 2 ether);
        same("paid", collect(_market, BOB), 1 ether);
    }

    function test_abandon_notRevealed_bettorsShareThePrize() public {
        uint256 marketId = opened(_market);
        bet(_market, ALICE, marketId, 3, 3 ether);
        bet(_market, EVE, marketId, 4, 1 ether);
        wait(200);
        refuses(PredictionMarket.RevealNotOver.selector);
        _market.abandon(marketId);
        wait(1);
        refuses(PredictionMarket.RevealOver.selector);
        _market.reveal{value: FEE}(marketId, _input, SALT);
        _market.abandon(marketId);
        refuses(PredictionMarket.WrongState.selector);
        _market.abandon(marketId);
        same("alice", claim(_market, ALICE, marketId, 3), 3 ether + PRIZE * 3 / 4);
        same("eve", claim(_market, EVE, marketId, 4), 1 ether + PRIZE / 4);
        refuses(ModelConsumer.NothingOwed.selector);
        collect(_market, OPENER);
    }

    function test_abandon_noBets_prizeGoesBack() public {
        uint256 marketId = opened(_market);
        wait(201);
        _market.abandon(marketId);
        same("prize", collect(_market, OPENER), PRIZE);
        same("empty", address(_market).balance, 0);
    }

    function test_lie_isConvicted_andTheTruthSettles() public {
        (uint256 marketId, Request memory request) = asked(_market);
        Posted memory lie = claimFor(request, traceOf(IMAGE, winning(4)));
        Posted memory truth = claimFor(request, traceOf(IMAGE, winning(3)));
        convict(lie);
        wait(WINDOW + SPACING + 1);
        VM.expectRevert(abi.encodeWithSelector(Requests.NotFinal.selector, lie.id, Status.Invalid));
        show(request, lie, "");
        state(_market, marketId, PredictionMarket.State.Asked);
        show(request, truth, "");
        same("outcome", _market.marketOf(marketId).outcome, 3);
        VM.expectPartialRevert(Requests.NotOpen.selector);
        show(request, truth, "");
    }

    function test_competing_firstFinalClaimSettlesOnce() public {
        (uint256 marketId, Request memory request) = asked(_market);
        Posted memory one = claimFor(request, traceOf(IMAGE, winning(3)));
        Posted memory two = claimFor(request, traceOf(IMAGE, winning(3)));
        wait(WINDOW + 1);
        show(request, two, "");
        VM.expectPartialRevert(Requests.NotOpen.selector);
        show(request, one, "");
        same("left", _market.marketOf(marketId).left, 15 ether);
    }

    function test_challenged_settlesNothing() public {
        (uint256 marketId, Request memory request) = asked(_market);
        Posted memory posted = claimFor(request, traceOf(IMAGE, winning(3)));
        challenge(ALICE, posted);
        wait(WINDOW / 2);
        VM.expectRevert(abi.encodeWithSelector(Requests.NotFinal.selector, posted.id, Status.Challenged));
        show(request, posted, "");
        refuses(PredictionMarket.WrongState.selector);
        claim(_market, ALICE, marketId, 3);
    }

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
        VM.expectPartialRevert(Requests.WrongOutput.selector);
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
        _market.open(0, uint40(time), uint40(time + 1));
        refuses(PredictionMarket.BadTimes.selector);
        _market.open(0, uint40(time + 2), uint40(time + 1));
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
        refuses(Requests.FeeTooLow.selector);
        _market.reveal{value: 1}(marketId, _input, SALT);
        _market.reveal{value: FEE}(marketId, _input, SALT);
        refuses(PredictionMarket.WrongState.selector);
        _market.reveal{value: FEE}(marketId, _input, SALT);
    }

    function test_reveal_copiedCommitment_reverts() public {
        bytes32 commitment = _market.commitmentOf(OPENER, _input, SALT);
        VM.prank(EVE);
        uint256 copy = _market.open(commitment, uint40(time + 1), uint40(time + 2));
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

    /// @dev The callback's gas covers the classifier with the most classes that anybody has here.
    function test_callback_gas_isEnough() public {
        (uint256 marketId, Request memory request) = asked(_market);
        Posted memory posted = claimFor(request, traceOf(IMAGE, winning(99)));
        wait(WINDOW + 1);
        show(request, posted, "");
        progress(request, Progress.Answered);
        state(_market, marketId, PredictionMarket.State.Void);
    }
}
