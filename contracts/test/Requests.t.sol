// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {Answering} from "../src/Answering.sol";
import {Asking} from "../src/Asking.sol";
import {Authors} from "../src/Authors.sol";
import {Callbacks} from "../src/Callbacks.sol";
import {Requests} from "../src/Requests.sol";
import {Postings} from "../src/Postings.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Progress, Request, Subscription} from "../src/types/Request.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Consumer, Hostile, Malice} from "./Consumers.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

contract RequestsTest is World {
    using Traces for Trace;

    uint128 internal constant FEE = 1 ether;
    uint64 internal constant GAS = 400_000;
    uint32 internal constant PATIENCE = 500;
    bytes internal constant DATA = "along";

    Requests internal requests;
    Consumer internal consumer;

    function setUp() public override {
        super.setUp();
        requests = Requests(VM.deployCode("artifacts/Requests.json", abi.encode(chain)));
        consumer = new Consumer();
        VM.deal(address(this), 1000 ether);
        VM.fee(1 gwei);
    }

    receive() external payable {}

    function inputOf(Trace memory trace) private pure returns (bytes memory) {
        return abi.encodePacked(trace.tensor(0), trace.tensor(1));
    }

    function outputOf(Trace memory trace) private pure returns (bytes memory) {
        return abi.encodePacked(trace.tensor(4), trace.tensor(3));
    }

    /// @dev A request as this contract makes it, completed as the contract completes it.
    function wanted(address callback) private view returns (Request memory asked) {
        asked.modelId = model;
        asked.callback = callback;
        asked.gasLimit = GAS;
        asked.until = Timestamp.wrap(uint40(time + PATIENCE));
    }

    function ask(Request memory asked) private returns (bytes32 requestId, Request memory) {
        asked.number = requests.requestCount();
        requestId = requests.request{value: FEE}(asked, inputOf(Traces.honest()), DATA);
        return (requestId, completed(asked, address(this)));
    }

    function completed(Request memory asked, address requester) private view returns (Request memory) {
        Trace memory trace = Traces.honest();
        (asked.requester, asked.fee, asked.dataHash) = (requester, FEE, keccak256(DATA));
        asked.inputRoot = sha256(abi.encodePacked(hex"01", trace.entry(0), trace.entry(1)));
        (asked.author, asked.royalty) = requests.authors(asked.modelId);
        return asked;
    }

    function answering(bytes32 requestId) private returns (Posted memory) {
        Claim memory claim = claimOf(model, Traces.honest());
        claim.requestId = requestId;
        return post(claim, Traces.honest());
    }

    function answer(Request memory asked, Posted memory posted) private {
        requests.answer(asked, DATA, posted.claim, posted.inclusion, outputOf(posted.trace));
    }

    function progress(bytes32 requestId, Progress expected) private view {
        same("progress", uint256(requests.progressOf(requestId)), uint256(expected));
    }

    function refuses(bytes memory reason) private {
        VM.expectRevert(reason);
    }

    function test_answer_finalClaim_isPaidAndTold() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        same("id", requestId, requests.requestIdOf(asked));
        progress(requestId, Progress.Open);
        yes("not finalized", !requests.isFinalized(requestId));
        Posted memory posted = answering(requestId);
        wait(WINDOW + 1);
        VM.prank(EVE);
        answer(asked, posted);
        yes("finalized", requests.isFinalized(requestId));
        progress(requestId, Progress.Answered);
        same("calls", consumer.calls(), 1);
        same("told id", consumer.requestId(), requestId);
        same("told output", keccak256(consumer.output()), keccak256(outputOf(posted.trace)));
        same("told no failure", consumer.failure().length, 0);
        same("told data", keccak256(consumer.data()), keccak256(DATA));
        same("teller", uint256(uint160(consumer.teller())), uint256(uint160(address(requests))));
        yes("all its gas", consumer.gasGiven() > GAS - 5_000);
        same("earned", requests.earned(claimant), FEE);
        VM.prank(claimant);
        requests.withdraw();
        same("paid", claimant.balance, FEE);
        same("escrow", address(requests).balance, 0);
        refuses(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Answered));
        answer(asked, posted);
        refuses(abi.encodeWithSelector(Escrow.NothingEarned.selector, claimant));
        VM.prank(claimant);
        requests.withdraw();
    }

    function test_requestCallback_simple_succeeds() public {
        bytes32 requestId =
            requests.requestCallback{value: FEE}(model, inputOf(Traces.honest()), address(consumer), GAS, DATA);
        Request memory asked = completed(wanted(address(consumer)), address(this));
        asked.until = Timestamp.wrap(uint40(time + 1 days));
        same("id", requestId, requests.requestIdOf(asked));
    }

    function test_answer_beforeFinality_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory posted = answering(requestId);
        refuses(abi.encodeWithSelector(Requests.NotFinal.selector, posted.id, Status.Posted));
        answer(asked, posted);
        challenge(ALICE, posted);
        refuses(abi.encodeWithSelector(Requests.NotFinal.selector, posted.id, Status.Challenged));
        answer(asked, posted);
    }

    function test_answer_otherClaim_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory stranger = post(model, Traces.honest());
        (bytes32 second,) = ask(wanted(address(consumer)));
        Posted memory other = answering(second);
        Claim memory claim = claimOf(lazyModel, Traces.honest());
        claim.requestId = requestId;
        Posted memory lazy = post(claim, Traces.honest());
        wait(WINDOW + 1);
        Posted[3] memory all = [stranger, other, lazy];
        for (uint256 j = 0; j < 3; ++j) {
            refuses(abi.encodeWithSelector(Answering.NotAnswering.selector, requestId, all[j].id));
            answer(asked, all[j]);
        }
    }

    function test_answer_otherInput_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Trace memory trace = Traces.changed(0, 3);
        Claim memory claim = claimOf(model, trace);
        claim.requestId = requestId;
        Posted memory posted = post(claim, trace);
        wait(WINDOW + 1);
        refuses(abi.encodeWithSelector(Answering.NotAnswering.selector, requestId, posted.id));
        answer(asked, posted);
    }

    function test_answer_otherBytes_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory posted = answering(requestId);
        wait(WINDOW + 1);
        bytes memory output = outputOf(posted.trace);
        output[5] ^= 0x01;
        VM.expectPartialRevert(Callbacks.WrongOutput.selector);
        requests.answer(asked, DATA, posted.claim, posted.inclusion, output);
        refuses(abi.encodeWithSelector(Postings.OutputLength.selector, 3, 120));
        requests.answer(asked, DATA, posted.claim, posted.inclusion, "abc");
        refuses(abi.encodeWithSelector(Asking.WrongData.selector, requestId));
        requests.answer(asked, "other", posted.claim, posted.inclusion, outputOf(posted.trace));
        asked.fee += 1;
        VM.expectPartialRevert(Asking.NotOpen.selector);
        answer(asked, posted);
    }

    function test_answer_postedLate_doesNotCount() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        wait(PATIENCE);
        Posted memory inTime = answering(requestId);
        wait(1);
        Posted memory late = answering(requestId);
        wait(WINDOW + 1);
        bytes memory reason =
            abi.encodeWithSelector(Answering.DoesNotCount.selector, requestId, claimant, uint40(time - WINDOW - 1));
        refuses(reason);
        answer(asked, late);
        answer(asked, inTime);
    }

    function test_answer_namedProver_comesFirst() public {
        Request memory terms = wanted(address(consumer));
        (terms.prover, terms.proverUntil) = (ALICE, Timestamp.wrap(uint40(time + 100)));
        (bytes32 requestId, Request memory asked) = ask(terms);
        wait(100);
        Posted memory early = answering(requestId);
        wait(1);
        Posted memory free = answering(requestId);
        wait(WINDOW + 1);
        bytes memory reason =
            abi.encodeWithSelector(Answering.DoesNotCount.selector, requestId, claimant, uint40(time - WINDOW - 2));
        refuses(reason);
        answer(asked, early);
        answer(asked, free);
        same("earned", requests.earned(claimant), FEE);
    }

    function test_answer_namedProver_itself_succeeds() public {
        Request memory terms = wanted(address(consumer));
        (terms.prover, terms.proverUntil) = (claimant, Timestamp.wrap(uint40(time + 100)));
        (bytes32 requestId, Request memory asked) = ask(terms);
        Posted memory posted = answering(requestId);
        wait(WINDOW + 1);
        answer(asked, posted);
        same("earned", requests.earned(claimant), FEE);
    }

    function test_answer_competing_firstShownIsPaidOnce() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory one = answering(requestId);
        Posted memory two = answering(requestId);
        wait(WINDOW + 1);
        answer(asked, two);
        refuses(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Answered));
        answer(asked, one);
        same("earned", requests.earned(claimant), FEE);
        same("calls", consumer.calls(), 1);
    }

    function test_request_bad_reverts() public {
        bytes memory input = inputOf(Traces.honest());
        Request memory asked = wanted(address(consumer));
        asked.gasLimit = requests.MAX_CALLBACK_GAS() + 1;
        refuses(abi.encodeWithSelector(Asking.GasLimitTooHigh.selector, asked.gasLimit, asked.gasLimit - 1));
        requests.request{value: FEE}(asked, input, DATA);
        asked = wanted(address(consumer));
        asked.until = Timestamp.wrap(uint40(time));
        refuses(abi.encodeWithSelector(Asking.BadTimes.selector));
        requests.request{value: FEE}(asked, input, DATA);
        asked = wanted(address(consumer));
        asked.proverUntil = Timestamp.wrap(Timestamp.unwrap(asked.until) + 1);
        refuses(abi.encodeWithSelector(Asking.BadTimes.selector));
        requests.request{value: FEE}(asked, input, DATA);
        asked = wanted(address(consumer));
        refuses(abi.encodeWithSelector(Postings.InputLength.selector, 2, 1520));
        requests.request{value: FEE}(asked, "ab", DATA);
        refuses(abi.encodeWithSelector(Asking.InputUnknown.selector, bytes32(0)));
        requests.request{value: FEE}(asked, "", DATA);
        asked.modelId = ModelId.wrap(bytes32(uint256(5)));
        VM.expectPartialRevert(bytes4(keccak256("UnknownModel(bytes32)")));
        requests.request{value: FEE}(asked, input, DATA);
    }

    function test_request_feeBelowGas_reverts() public {
        VM.fee(20 gwei);
        uint256 needed = requests.estimateFee(model, GAS);
        same("estimate", needed, 2 * 20 gwei * (requests.ANSWER_GAS() + GAS));
        bytes memory input = inputOf(Traces.honest());
        Request memory asked = wanted(address(consumer));
        refuses(abi.encodeWithSelector(Asking.FeeTooLow.selector, needed - 1, needed));
        requests.request{value: needed - 1}(asked, input, DATA);
        requests.request{value: needed}(asked, input, DATA);
    }

    function test_request_uploadedInput_succeeds() public {
        Trace memory trace = Traces.honest();
        bytes32[] memory tensors = new bytes32[](2);
        tensors[0] = chain.upload(trace.tensor(0));
        tensors[1] = chain.upload(trace.tensor(1));
        Request memory asked = wanted(address(consumer));
        asked.inputRoot = chain.assemble(model, false, tensors);
        bytes32 requestId = requests.request{value: FEE}(asked, "", DATA);
        asked = completed(asked, address(this));
        same("id", requestId, requests.requestIdOf(asked));
        Posted memory posted = answering(requestId);
        wait(WINDOW + 1);
        answer(asked, posted);
        same("calls", consumer.calls(), 1);
    }

    function test_refund_nobodyAnswered_afterGrace() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        uint40 over = Timestamp.unwrap(asked.until) + 2 * WINDOW;
        wait(PATIENCE + 2 * WINDOW);
        refuses(abi.encodeWithSelector(Requests.NotOver.selector, over));
        requests.refund(asked, DATA);
        wait(1);
        VM.prank(EVE);
        requests.refund(asked, DATA);
        progress(requestId, Progress.Refunded);
        same("back", requests.earned(address(this)), FEE);
        same(
            "told",
            keccak256(consumer.failure()),
            keccak256(abi.encodeWithSelector(Requests.RequestExpired.selector, requestId))
        );
        same("no output", consumer.output().length, 0);
        uint256 before = address(this).balance;
        requests.withdraw();
        same("withdrawn", address(this).balance - before, FEE);
        refuses(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Refunded));
        requests.refund(asked, DATA);
    }

    function test_refund_finalButNotShown_isStillAnswered() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory posted = answering(requestId);
        requests.note(asked, posted.claim, posted.inclusion);
        wait(PATIENCE + 2 * WINDOW + 1);
        refuses(abi.encodeWithSelector(Requests.StillAnswerable.selector, requestId, 1));
        requests.refund(asked, DATA);
        answer(asked, posted);
        progress(requestId, Progress.Answered);
    }

    function test_note_invalidClaim_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory lie = answering(requestId);
        requests.note(asked, lie.claim, lie.inclusion);
        Posted memory other = answering(requestId);
        GameId gameId = challenge(ALICE, lie);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        yes("convicted", isConvicted(lie.id));
        requests.note(asked, other.claim, other.inclusion);
        refuses(abi.encodeWithSelector(Requests.NotFinal.selector, lie.id, Status.Invalid));
        requests.note(asked, lie.claim, lie.inclusion);
    }

    function test_refund_notedClaimInvalid_succeeds() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory lie = answering(requestId);
        requests.note(asked, lie.claim, lie.inclusion);
        GameId gameId = challenge(ALICE, lie);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        wait(PATIENCE + 2 * WINDOW);
        refuses(abi.encodeWithSelector(Requests.StillAnswerable.selector, requestId, 1));
        requests.refund(asked, DATA);
        requests.strike(requestId, lie.id);
        requests.refund(asked, DATA);
        progress(requestId, Progress.Refunded);
        refuses(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Refunded));
        answer(asked, lie);
    }

    function test_note_unknownClaim_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Claim memory claim = claimOf(model, Traces.honest());
        claim.requestId = requestId;
        ClaimId claimId = chain.claimIdOf(claim);
        refuses(abi.encodeWithSelector(Requests.NotFinal.selector, claimId, Status.Unknown));
        requests.note(asked, claim, Inclusion(0, 0, new bytes32[](0)));
    }

    function test_cancel_shortensButNotAtOnce() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        refuses(abi.encodeWithSelector(Asking.NotRequester.selector, EVE));
        VM.prank(EVE);
        requests.cancel(asked);
        requests.cancel(asked);
        wait(DELAY);
        Posted memory inTime = answering(requestId);
        wait(1);
        Posted memory late = answering(requestId);
        wait(WINDOW + 1);
        VM.expectPartialRevert(Answering.DoesNotCount.selector);
        answer(asked, late);
        answer(asked, inTime);
    }

    function test_cancel_neverProlongs() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        wait(PATIENCE - 1);
        requests.cancel(asked);
        wait(2);
        Posted memory late = answering(requestId);
        wait(WINDOW + 1);
        VM.expectPartialRevert(Answering.DoesNotCount.selector);
        answer(asked, late);
    }

    function test_publish_authorGetsRoyalty() public {
        bytes memory siblings = abi.encodePacked(bytes32(uint256(8)), bytes32(uint256(9)));
        ModelId mine = _idOf(siblings);
        bytes32 commitment = keccak256(abi.encode(mine, BOB, bytes32(uint256(3))));
        refuses(abi.encodeWithSelector(Authors.NotCommitted.selector, commitment));
        VM.prank(BOB);
        requests.publish(mine, header(0), siblings, 1_000, bytes32(uint256(3)));
        requests.commit(commitment);
        refuses(abi.encodeWithSelector(Authors.NotCommitted.selector, commitment));
        VM.prank(BOB);
        requests.publish(mine, header(0), siblings, 1_000, bytes32(uint256(3)));
        nextBlock();
        refuses(abi.encodeWithSelector(Authors.RoyaltyTooHigh.selector, 2_001, 2_000));
        VM.prank(BOB);
        requests.publish(mine, header(0), siblings, 2_001, bytes32(uint256(3)));
        refuses(abi.encodeWithSelector(Authors.OtherModel.selector, mine, bytes32(uint256(77))));
        VM.prank(BOB);
        requests.publish(ModelId.wrap(bytes32(uint256(77))), header(0), siblings, 1_000, bytes32(uint256(3)));
        VM.prank(BOB);
        requests.publish(mine, header(0), siblings, 1_000, bytes32(uint256(3)));
        refuses(abi.encodeWithSelector(Authors.AlreadyRegistered.selector, mine));
        VM.prank(EVE);
        requests.publish(mine, header(0), siblings, 1_000, bytes32(uint256(3)));

        Request memory terms = wanted(address(consumer));
        terms.modelId = mine;
        (bytes32 requestId, Request memory asked) = ask(terms);
        Claim memory claim = claimOf(model, Traces.honest());
        (claim.modelId, claim.requestId, claim.traceRoot) = (mine, requestId, Traces.honest().root());
        Posted memory posted = post(claim, Traces.honest());
        wait(WINDOW + 1);
        answer(asked, posted);
        same("author", requests.earned(BOB), FEE / 10);
        same("claimant", requests.earned(claimant), FEE - FEE / 10);
    }

    function _idOf(bytes memory siblings) private pure returns (ModelId) {
        bytes32 leaf = sha256(abi.encodePacked(hex"02", header(0)));
        (bytes32 first, bytes32 second) = abi.decode(siblings, (bytes32, bytes32));
        bytes32 up = sha256(abi.encodePacked(hex"01", leaf, first));
        return ModelId.wrap(sha256(abi.encodePacked(hex"01", up, second)));
    }

    function test_subscribe_renewsUntilBudgetIsUsed() public {
        Subscription memory plan;
        plan.first = wanted(address(consumer));
        plan.first.fee = FEE;
        (plan.interval, plan.patience) = (Duration.wrap(60), Duration.wrap(40));
        bytes memory input = inputOf(Traces.honest());
        refuses(abi.encodeWithSelector(Asking.WrongBudget.selector, FEE, 2 * FEE));
        requests.subscribe{value: FEE}(plan, 2, input, DATA);
        bytes32 planId = requests.subscribe{value: 2 * FEE}(plan, 2, input, DATA);
        plan.first = completed(plan.first, address(this));
        plan.first.until = Timestamp.wrap(0);
        same("id", planId, requests.subscriptionIdOf(plan));
        refuses(abi.encodeWithSelector(Asking.WrongData.selector, planId));
        requests.renew(plan, "other");
        bytes32 first = requests.renew(plan, DATA);
        Request memory asked = plan.first;
        (asked.until, asked.number) = (Timestamp.wrap(uint40(time + 40)), 0);
        asked.proverUntil = Timestamp.wrap(uint40(time));
        same("request", first, requests.requestIdOf(asked));
        (asked.until, asked.proverUntil) = (Timestamp.wrap(0), Timestamp.wrap(0));
        refuses(abi.encodeWithSelector(Asking.NotDue.selector, uint40(time + 60)));
        requests.renew(plan, DATA);
        wait(60);
        VM.prank(EVE);
        requests.renew(plan, DATA);
        wait(60);
        refuses(abi.encodeWithSelector(Asking.NoBudget.selector, planId));
        requests.renew(plan, DATA);
        same("escrow", address(requests).balance, 2 * FEE);
        refuses(abi.encodeWithSelector(Asking.NoBudget.selector, planId));
        requests.unsubscribe(plan);
    }

    function test_unsubscribe_givesTheRestBack() public {
        Subscription memory plan;
        plan.first = wanted(address(consumer));
        plan.first.fee = FEE;
        plan.patience = Duration.wrap(40);
        requests.subscribe{value: 3 * FEE}(plan, 3, inputOf(Traces.honest()), DATA);
        plan.first = completed(plan.first, address(this));
        plan.first.until = Timestamp.wrap(0);
        requests.renew(plan, DATA);
        refuses(abi.encodeWithSelector(Asking.NotRequester.selector, EVE));
        VM.prank(EVE);
        requests.unsubscribe(plan);
        requests.unsubscribe(plan);
        same("back", requests.earned(address(this)), 2 * FEE);
        VM.expectPartialRevert(Asking.NoBudget.selector);
        requests.renew(plan, DATA);
    }

    function test_subscribe_badTimes_reverts() public {
        Subscription memory plan;
        plan.first = wanted(address(consumer));
        plan.first.fee = FEE;
        (plan.exclusive, plan.patience) = (Duration.wrap(41), Duration.wrap(40));
        bytes memory input = inputOf(Traces.honest());
        refuses(abi.encodeWithSelector(Asking.BadTimes.selector));
        requests.subscribe{value: FEE}(plan, 1, input, DATA);
        refuses(abi.encodeWithSelector(Asking.WrongBudget.selector, 0, 0));
        requests.subscribe{value: 0}(plan, 0, input, DATA);
    }

    function test_answer_tooLittleGas_changesNothing() public {
        (bytes32 requestId, Request memory asked) = ask(wanted(address(consumer)));
        Posted memory posted = answering(requestId);
        wait(WINDOW + 1);
        bytes memory call =
            abi.encodeCall(Requests.answer, (asked, DATA, posted.claim, posted.inclusion, outputOf(posted.trace)));
        uint256 tried = 0;
        for (uint256 gas_ = 350_000; gas_ < 900_000 && requests.progressOf(requestId) == Progress.Open; gas_ += 1_000) {
            (bool success,) = address(requests).call{gas: gas_}(call);
            if (!success) ++tried;
        }
        yes("too little was tried", tried > 5);
        progress(requestId, Progress.Answered);
        same("calls", consumer.calls(), 1);
        yes("all its gas", consumer.gasGiven() > GAS - 5_000);
    }

    function test_hostileConsumer_reverts_harmsOnlyItself() public {
        _hostile(Malice.Reverts);
    }

    function test_hostileConsumer_burnsGas_harmsOnlyItself() public {
        _hostile(Malice.BurnsGas);
    }

    function test_hostileConsumer_returnsMegabytes_harmsOnlyItself() public {
        _hostile(Malice.ReturnsMegabytes);
    }

    function test_hostileConsumer_revertsMegabytes_harmsOnlyItself() public {
        _hostile(Malice.RevertsMegabytes);
    }

    function test_hostileConsumer_invalid_harmsOnlyItself() public {
        _hostile(Malice.Invalid);
    }

    function test_hostileConsumer_destructs_harmsOnlyItself() public {
        _hostile(Malice.Destructs);
    }

    function test_hostileConsumer_answersAgain_harmsOnlyItself() public {
        _hostile(Malice.AnswersAgain);
    }

    function test_hostileConsumer_deliversAgain_harmsOnlyItself() public {
        _hostile(Malice.DeliversAgain);
    }

    function test_hostileConsumer_refunds_harmsOnlyItself() public {
        _hostile(Malice.Refunds);
    }

    function test_hostileConsumer_cancels_harmsOnlyItself() public {
        _hostile(Malice.Cancels);
    }

    function test_hostileConsumer_withdraws_harmsOnlyItself() public {
        _hostile(Malice.Withdraws);
    }

    function test_hostileConsumer_asksAgain_harmsOnlyItself() public {
        _hostile(Malice.AsksAgain);
    }

    function test_hostileConsumer_renews_harmsOnlyItself() public {
        _hostile(Malice.Renews);
    }

    function test_hostileConsumer_notes_harmsOnlyItself() public {
        _hostile(Malice.Notes);
    }

    function test_hostileConsumer_unsubscribes_harmsOnlyItself() public {
        _hostile(Malice.Unsubscribes);
    }

    /// @dev Whatever a consumer does, its own request is answered and paid, a neighbour's is not touched, and it can be called
    ///      again once it behaves.
    function _hostile(Malice malice) private {
        Hostile hostile = new Hostile(malice, requests);
        (bytes32 neighbour, Request memory beside) = ask(wanted(address(consumer)));
        Request memory asked = wanted(address(hostile));
        asked.number = requests.requestCount();
        bytes32 requestId = hostile.ask{value: FEE}(asked, inputOf(Traces.honest()), DATA);
        asked = completed(asked, address(hostile));
        Posted memory posted = answering(requestId);
        Posted memory other = answering(neighbour);
        wait(WINDOW + 1);
        bytes memory output = outputOf(posted.trace);
        hostile.arm(_entry(malice, asked, posted, output));

        uint256 held = address(requests).balance;
        uint256 earned = requests.earned(claimant);
        requests.answer{gas: 3_000_000}(asked, DATA, posted.claim, posted.inclusion, output);
        same("escrow", address(requests).balance, held);
        same("earned once", requests.earned(claimant) - earned, FEE);
        yes("answered", requests.isFinalized(requestId));
        yes("did not come in", !hostile.cameIn());
        uint256 calls = consumer.calls();
        answer(beside, other);
        same("neighbour told", consumer.calls() - calls, 1);

        if (requests.progressOf(requestId) == Progress.Undelivered) {
            requests.deliver(asked, DATA, output);
            if (address(hostile).code.length != 0) {
                hostile.behave();
                if (requests.progressOf(requestId) == Progress.Undelivered) requests.deliver(asked, DATA, output);
                same("told in the end", hostile.calls(), 1);
            }
        }
        bytes32 id = requestId;
        if (requests.progressOf(id) == Progress.Answered) {
            refuses(abi.encodeWithSelector(Requests.NothingToDeliver.selector, id));
            requests.deliver(asked, DATA, output);
        }
        same("earned once", requests.earned(claimant) - earned, 2 * FEE);
    }

    /// @dev The call with which a consumer of that kind comes back in; none of them may work.
    function _entry(Malice malice, Request memory asked, Posted memory posted, bytes memory output)
        private
        pure
        returns (bytes memory)
    {
        if (malice == Malice.AnswersAgain) {
            return abi.encodeCall(Requests.answer, (asked, DATA, posted.claim, posted.inclusion, output));
        }
        if (malice == Malice.DeliversAgain) return abi.encodeCall(Requests.deliver, (asked, DATA, output));
        if (malice == Malice.Refunds) return abi.encodeCall(Requests.refund, (asked, DATA));
        if (malice == Malice.Cancels) return abi.encodeCall(Asking.cancel, (asked));
        if (malice == Malice.Withdraws) return abi.encodeCall(Escrow.withdraw, ());
        if (malice == Malice.AsksAgain) {
            return abi.encodeCall(Asking.request, (asked, inputOf(Traces.honest()), DATA));
        }
        if (malice == Malice.Notes) return abi.encodeCall(Requests.note, (asked, posted.claim, posted.inclusion));
        Subscription memory plan;
        plan.first = asked;
        if (malice == Malice.Renews) return abi.encodeCall(Asking.renew, (plan, DATA));
        if (malice == Malice.Unsubscribes) return abi.encodeCall(Asking.unsubscribe, (plan));
        return "";
    }
}
