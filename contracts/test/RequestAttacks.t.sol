// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {Answering} from "../src/Answering.sol";
import {Asking} from "../src/Asking.sol";
import {Authors} from "../src/Authors.sol";
import {Requests} from "../src/Requests.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Progress, Request, Subscription} from "../src/types/Request.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Consumer} from "./Consumers.sol";
import {Groups, Posting} from "./Groups.sol";
import {World} from "./World.sol";

/// @dev Calls at a depth, with whatever gas is left there.
contract Deep {
    function call(address target, bytes calldata message, uint256 levels) external returns (bool success) {
        if (levels != 0) return this.call(target, message, levels - 1);
        (success,) = target.call(message);
    }
}

/// @dev Asks, and comes back in when it is paid.
contract Greedy {
    Requests private immutable REQUESTS;
    bool public cameIn;

    constructor(Requests requests) {
        REQUESTS = requests;
    }

    function ask(Request calldata asked) external payable {
        REQUESTS.request{value: msg.value}(asked, hex"01020304", "");
    }

    function take() external {
        REQUESTS.withdraw();
    }

    receive() external payable {
        (cameIn,) = address(REQUESTS).call(abi.encodeCall(Escrow.withdraw, ()));
    }
}

/// @dev What attackers try against requests. The model is small: i8[4] -> i8[4].
contract RequestAttacksTest is World {
    uint128 private constant FEE = 1 ether;
    uint64 private constant GAS = 300_000;
    uint32 private constant PATIENCE = 500;
    uint256 private constant LIAR_KEY = 0x11a2;
    bytes private constant BYTES = hex"01020304";

    Requests private requests;
    Consumer private consumer;
    ModelId private small;
    address private liar = VM.addr(LIAR_KEY);

    function setUp() public override {
        super.setUp();
        requests = Requests(VM.deployCode("artifacts/Requests.json", abi.encode(chain)));
        consumer = new Consumer();
        small = chain.registerModel(_header(), abi.encodePacked(bytes32(uint256(5))));
        deposit(liar, 1000 ether);
        VM.deal(address(this), 1000 ether);
        VM.fee(1 gwei);
    }

    receive() external payable {}

    function _header() private pure returns (bytes memory) {
        bytes memory inputs = abi.encodePacked(hex"01", hex"000001", uint32(4));
        bytes memory outputs = abi.encodePacked(hex"01", uint32(1), hex"000001", uint32(4));
        return abi.encodePacked(uint16(2), uint8(0), uint8(1), uint8(0), uint32(2), inputs, outputs);
    }

    function root(bytes memory data) private pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"00", data, new bytes(1020)));
    }

    function wanted() private view returns (Request memory asked) {
        (asked.modelId, asked.callback, asked.gasLimit) = (small, address(consumer), GAS);
        asked.until = Timestamp.wrap(uint40(time + PATIENCE));
    }

    function wanted(Timestamp until) private view returns (Request memory asked) {
        asked = wanted();
        asked.until = until;
    }

    function completed(Request memory asked, address requester) private pure returns (Request memory) {
        (asked.requester, asked.fee, asked.dataHash, asked.inputRoot) = (requester, FEE, keccak256(""), root(BYTES));
        return asked;
    }

    function ask(Request memory asked) private returns (bytes32 requestId, Request memory) {
        asked.number = requests.requestCount();
        requestId = requests.request{value: FEE}(asked, BYTES, "");
        return (requestId, completed(asked, address(this)));
    }

    function post(uint256 key, bytes32 requestId, bytes memory output) private returns (Posted memory posted) {
        Claim memory claim;
        (claim.modelId, claim.claimant, claim.nonce) = (small, VM.addr(key), nextNonce++);
        (claim.validUntil, claim.requestId) = (uint64(time + 10), requestId);
        (claim.inputRoot, claim.outputRoot, claim.traceRoot) = (root(BYTES), root(output), bytes32(uint256(1)));
        posted.claim = claim;
        posted.id = chain.claimIdOf(claim);
        Posting[] memory postings = new Posting[](1);
        postings[0] = Posting(claim, signed(key, ClaimId.unwrap(posted.id)), BYTES, output);
        posted.inclusion = Inclusion(chain.postBatch(Groups.single(postings)), 0, new bytes32[](0));
    }

    function honest(bytes32 requestId) private returns (Posted memory) {
        return post(CLAIMANT_KEY, requestId, BYTES);
    }

    function lie(bytes32 requestId) private returns (Posted memory) {
        return post(LIAR_KEY, requestId, hex"05060708");
    }

    function note(Request memory asked, Posted memory posted) private {
        requests.note(asked, posted.claim, posted.inclusion);
    }

    function answer(Request memory asked, Posted memory posted) private {
        requests.answer(asked, "", posted.claim, posted.inclusion, BYTES);
    }

    function convict(Posted memory posted) private {
        GameId gameId = challenge(ALICE, posted);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        yes("convicted", isConvicted(posted.id));
    }

    function progress(bytes32 requestId, Progress expected) private view {
        same("progress", uint256(requests.progressOf(requestId)), uint256(expected));
    }

    /// @dev A liar notes its own claim first, lets it be convicted when the fee can be taken back, and takes it back at once.
    function test_note_liarWasFirst_honestClaimKeepsTheFee() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        Posted memory false_ = lie(requestId);
        note(asked, false_);
        Posted memory true_ = honest(requestId);
        note(asked, true_);
        convict(false_);
        wait(PATIENCE + 2 * WINDOW);
        requests.strike(requestId, false_.id);
        VM.expectRevert(abi.encodeWithSelector(Requests.StillAnswerable.selector, requestId, 1));
        requests.refund(asked, "");
        answer(asked, true_);
        same("earned", requests.earned(claimant), FEE);
    }

    /// @dev However many lies are noted, and noted twice, each is struck off once.
    function test_note_manyLies_refundIsNotBlocked() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        Posted memory true_ = honest(requestId);
        VM.expectRevert(abi.encodeWithSelector(Requests.NothingToStrike.selector, requestId, true_.id));
        requests.strike(requestId, true_.id);
        Posted[3] memory lies = [lie(requestId), lie(requestId), lie(requestId)];
        for (uint256 j = 0; j < 3; ++j) {
            note(asked, lies[j]);
            note(asked, lies[j]);
            VM.expectRevert(abi.encodeWithSelector(Requests.NothingToStrike.selector, requestId, lies[j].id));
            requests.strike(requestId, lies[j].id);
        }
        for (uint256 j = 0; j < 3; ++j) {
            convict(lies[j]);
        }
        wait(PATIENCE + 2 * WINDOW);
        for (uint256 j = 0; j < 3; ++j) {
            VM.expectRevert(abi.encodeWithSelector(Requests.StillAnswerable.selector, requestId, 3 - j));
            requests.refund(asked, "");
            requests.strike(requestId, lies[j].id);
            VM.expectRevert(abi.encodeWithSelector(Requests.NothingToStrike.selector, requestId, lies[j].id));
            requests.strike(requestId, lies[j].id);
        }
        requests.refund(asked, "");
        progress(requestId, Progress.Refunded);
    }

    /// @dev A lie of one request is worth nothing at another.
    function test_strike_otherRequest_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        (bytes32 other,) = ask(wanted());
        Posted memory false_ = lie(other);
        VM.expectRevert(abi.encodeWithSelector(Answering.NotAnswering.selector, requestId, false_.id));
        note(asked, false_);
        note(asked, honest(requestId));
        convict(false_);
        VM.expectRevert(abi.encodeWithSelector(Requests.NothingToStrike.selector, requestId, false_.id));
        requests.strike(requestId, false_.id);
    }

    function test_note_claimThatDoesNotCount_reverts() public {
        Request memory terms = wanted();
        (terms.prover, terms.proverUntil) = (claimant, terms.until);
        (bytes32 requestId, Request memory asked) = ask(terms);
        Posted memory strangers = lie(requestId);
        VM.expectRevert(abi.encodeWithSelector(Answering.DoesNotCount.selector, requestId, liar, uint40(time)));
        note(asked, strangers);
        wait(PATIENCE + 1);
        Posted memory late = honest(requestId);
        VM.expectRevert(abi.encodeWithSelector(Answering.DoesNotCount.selector, requestId, claimant, uint40(time)));
        note(asked, late);
        wait(2 * WINDOW);
        requests.refund(asked, "");
    }

    /// @dev A dispute at the last moment, while the clock stands, and a cancellation: the noted claim still answers.
    function test_refund_honestClaimInDispute_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        wait(PATIENCE - DELAY);
        requests.cancel(asked);
        wait(DELAY);
        Posted memory true_ = honest(requestId);
        note(asked, true_);
        wait(WINDOW);
        for (uint256 j = 0; j < 3; ++j) {
            challenge(BOB, lie(requestId));
        }
        GameId gameId = challenge(ALICE, true_);
        wait(WINDOW + 1);
        VM.expectRevert(abi.encodeWithSelector(Requests.StillAnswerable.selector, requestId, 1));
        requests.refund(asked, "");
        VM.expectRevert(abi.encodeWithSelector(Requests.NotFinal.selector, true_.id, Status.Challenged));
        answer(asked, true_);
        same("open", openGames(true_.id), 1);
        yes("nothing is decided", GameId.unwrap(gameId) != 0);
    }

    function test_answer_skippedClaim_isUnknown() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        Posted memory true_ = honest(requestId);
        // A second posting of it is skipped: the nonce is used.
        Posting[] memory postings = new Posting[](1);
        postings[0] = Posting(true_.claim, signed(CLAIMANT_KEY, ClaimId.unwrap(true_.id)), BYTES, BYTES);
        Inclusion memory skipped = Inclusion(chain.postBatch(Groups.single(postings)), 0, new bytes32[](0));
        VM.expectRevert(abi.encodeWithSelector(Requests.NotFinal.selector, true_.id, Status.Unknown));
        requests.note(asked, true_.claim, skipped);
        wait(WINDOW + 1);
        VM.expectRevert(abi.encodeWithSelector(Requests.NotFinal.selector, true_.id, Status.Unknown));
        requests.answer(asked, "", true_.claim, skipped, BYTES);
        // A batch that does not exist has no time, but no claims either.
        skipped.batchId = 77;
        VM.expectRevert(abi.encodeWithSelector(Requests.NotFinal.selector, true_.id, Status.Unknown));
        requests.answer(asked, "", true_.claim, skipped, BYTES);
        answer(asked, true_);
    }

    /// @dev Ids can be foreseen. A claim that is final before the request is made answers it, and nothing else.
    function test_answer_claimBeforeRequest_answersOneRequest() public {
        Request memory first = completed(wanted(), address(this));
        (first.until, first.number) = (Timestamp.wrap(uint40(time + 2 * WINDOW)), requests.requestCount());
        Posted memory early = honest(requests.requestIdOf(first));
        VM.expectPartialRevert(Asking.NotOpen.selector);
        note(first, early);
        wait(WINDOW + 1);
        (bytes32 requestId, Request memory asked) = ask(wanted(first.until));
        same("foreseen", requestId, early.claim.requestId);
        (bytes32 second, Request memory again) = ask(wanted(first.until));
        answer(asked, early);
        VM.expectRevert(abi.encodeWithSelector(Answering.NotAnswering.selector, second, early.id));
        answer(again, early);
        VM.expectRevert(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Answered));
        answer(asked, early);
        same("once", requests.earned(claimant), FEE);
    }

    /// @dev More bytes behind the arguments name the same request; bytes that no number of that width has name none.
    function test_answer_dirtyEncoding_isTheSameRequestOrNone() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        Posted memory true_ = honest(requestId);
        bytes memory message = abi.encodeCall(Requests.note, (asked, true_.claim, true_.inclusion));
        (bool accepted,) = address(requests).call(abi.encodePacked(message, bytes32(uint256(1)), "more"));
        yes("more bytes", accepted);
        wait(WINDOW + 1);
        message = abi.encodeCall(Requests.answer, (asked, "", true_.claim, true_.inclusion, BYTES));
        for (uint256 field = 2; field < 13; ++field) {
            bytes memory dirty = bytes.concat(message);
            dirty[4 + 32 * field] = 0x01;
            (accepted,) = address(requests).call(dirty);
            yes("dirty", !accepted);
        }
        (accepted,) = address(requests).call(abi.encodePacked(message, "more"));
        yes("answered", accepted);
        (accepted,) = address(requests).call(abi.encodePacked(message, "other"));
        yes("once", !accepted);
        same("earned", requests.earned(claimant), FEE);
    }

    /// @dev What a subscriber may not choose is not taken from it.
    function test_subscribe_foreignFields_areOverwritten() public {
        Subscription memory plan;
        plan.first = wanted();
        (plan.first.fee, plan.patience) = (FEE, Duration.wrap(PATIENCE));
        (plan.first.requester, plan.first.number, plan.number) = (EVE, 77, 78);
        (plan.first.author, plan.first.royalty, plan.first.dataHash) = (EVE, 10_000, bytes32(uint256(1)));
        (plan.first.proverUntil, plan.first.inputRoot) = (Timestamp.wrap(type(uint40).max), bytes32(uint256(2)));
        bytes32 planId = requests.subscribe{value: 2 * FEE}(plan, 2, BYTES, "");
        plan.first = completed(wanted(), address(this));
        (plan.first.until, plan.number) = (Timestamp.wrap(0), 0);
        same("id", planId, requests.subscriptionIdOf(plan));
        plan.number = 78;
        VM.expectPartialRevert(Asking.NoBudget.selector);
        requests.renew(plan, "");
    }

    function test_subscribe_hugeBudget_reverts() public {
        Subscription memory plan;
        plan.first = wanted();
        plan.first.fee = type(uint128).max;
        uint256 needed = uint256(type(uint128).max) * type(uint32).max;
        VM.expectRevert(abi.encodeWithSelector(Asking.WrongBudget.selector, FEE, needed));
        requests.subscribe{value: FEE}(plan, type(uint32).max, BYTES, "");
    }

    /// @dev Without an interval all requests may be made in one second: each is another one, and no more than were paid.
    function test_renew_sameSecond_makesWhatWasPaid() public {
        Subscription memory plan;
        plan.first = wanted();
        (plan.first.fee, plan.patience) = (FEE, Duration.wrap(PATIENCE));
        requests.subscribe{value: 2 * FEE}(plan, 2, BYTES, "");
        plan.first = completed(plan.first, address(this));
        plan.first.until = Timestamp.wrap(0);
        bytes32 first = requests.renew(plan, "");
        bytes32 second = requests.renew(plan, "");
        yes("two requests", first != second);
        VM.expectPartialRevert(Asking.NoBudget.selector);
        requests.renew(plan, "");
        VM.expectPartialRevert(Asking.NoBudget.selector);
        requests.unsubscribe(plan);
        same("escrow", address(requests).balance, 2 * FEE);
    }

    /// @dev Nobody foresees a longer time than any chain lasts; cancelling makes it end.
    function test_refund_endlessRequest_afterCancel() public {
        Request memory terms = wanted();
        terms.until = Timestamp.wrap(type(uint40).max);
        (bytes32 requestId, Request memory asked) = ask(terms);
        requests.cancel(asked);
        wait(DELAY + 2 * WINDOW + 1);
        requests.refund(asked, "");
        progress(requestId, Progress.Refunded);
    }

    /// @dev A request that no transaction can answer would hold its fee, and a prover's work, for good.
    function test_request_unanswerablyLarge_reverts() public {
        uint256 most = chain.MAX_POSTED_BYTES();
        Request memory asked = wanted();
        VM.expectRevert(abi.encodeWithSelector(Asking.AnswerTooLarge.selector, most + 1, most));
        requests.request{value: FEE}(asked, BYTES, new bytes(most - 3));
        requests.request{value: FEE}(asked, BYTES, new bytes(most - 4));
        bytes memory inputs = abi.encodePacked(hex"01", hex"000001", uint32(4));
        bytes memory outputs = abi.encodePacked(hex"01", uint32(1), hex"000001", uint32(most + 1));
        bytes memory head = abi.encodePacked(uint16(2), uint8(0), uint8(1), uint8(7), uint32(2), inputs, outputs);
        asked.modelId = chain.registerModel(head, abi.encodePacked(bytes32(uint256(5))));
        VM.expectRevert(abi.encodeWithSelector(Asking.AnswerTooLarge.selector, most + 1, most));
        requests.request{value: FEE}(asked, BYTES, "");
    }

    /// @dev Who cancels every second prolongs nothing.
    function test_cancel_again_changesNothing() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        requests.cancel(asked);
        uint256 over = time + DELAY;
        wait(DELAY - 1);
        requests.cancel(asked);
        wait(2);
        Posted memory late = honest(requestId);
        VM.expectPartialRevert(Answering.DoesNotCount.selector);
        note(asked, late);
        wait(over + 2 * WINDOW + 1 - time);
        requests.refund(asked, "");
    }

    /// @dev Far down in a chain of calls, with any gas: the callback has its gas, or nothing has happened.
    function test_answer_deepInCalls_callbackHasItsGas() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        Posted memory true_ = honest(requestId);
        wait(WINDOW + 1);
        Deep deep = new Deep();
        bytes memory message = abi.encodeCall(Requests.answer, (asked, "", true_.claim, true_.inclusion, BYTES));
        uint256 tried = 0;
        for (uint256 given = 400_000; given < 4_000_000 && requests.progressOf(requestId) == Progress.Open; ++tried) {
            (bool success,) =
                address(deep).call{gas: given}(abi.encodeCall(Deep.call, (address(requests), message, 40)));
            if (!success || requests.progressOf(requestId) == Progress.Open) same("untouched", consumer.calls(), 0);
            given += 10_000;
        }
        yes("too little was tried", tried > 5);
        progress(requestId, Progress.Answered);
        yes("all its gas", consumer.gasGiven() > GAS - 5_000);
    }

    function test_answer_baseFeeRisen_isPaidTheSame() public {
        (bytes32 requestId, Request memory asked) = ask(wanted());
        Posted memory true_ = honest(requestId);
        wait(WINDOW + 1);
        VM.fee(1e6 gwei);
        yes("would be too low now", requests.estimateFee(small, GAS) > FEE);
        answer(asked, true_);
        same("earned", requests.earned(claimant), FEE);
    }

    function test_withdraw_comesBackIn_isPaidOnce() public {
        Greedy greedy = new Greedy(requests);
        ask(wanted());
        Request memory asked = wanted();
        (asked.callback, asked.number) = (address(greedy), requests.requestCount());
        greedy.ask{value: FEE}(asked);
        asked = completed(asked, address(greedy));
        wait(PATIENCE + 2 * WINDOW + 1);
        requests.refund(asked, "");
        greedy.take();
        yes("did not come in", !greedy.cameIn());
        same("once", address(greedy).balance, FEE);
        same("the neighbour's is there", address(requests).balance, FEE);
    }

    /// @dev Who sees a publication can't publish in front of it. It can register the model, which spoils it.
    function test_publish_seenByOthers_earnsThemNothing() public {
        bytes memory siblings = abi.encodePacked(bytes32(uint256(8)));
        ModelId mine = ModelId.wrap(
            sha256(abi.encodePacked(hex"01", sha256(abi.encodePacked(hex"02", _header())), bytes32(uint256(8))))
        );
        requests.commit(keccak256(abi.encode(mine, BOB, bytes32(0))));
        nextBlock();
        VM.expectPartialRevert(Authors.NotCommitted.selector);
        VM.prank(EVE);
        requests.publish(mine, _header(), siblings, 1, 0);
        requests.commit(keccak256(abi.encode(mine, EVE, bytes32(0))));
        VM.expectPartialRevert(Authors.NotCommitted.selector);
        VM.prank(EVE);
        requests.publish(mine, _header(), siblings, 1, 0);
        chain.registerModel(_header(), siblings);
        VM.expectRevert(abi.encodeWithSelector(Authors.AlreadyRegistered.selector, mine));
        VM.prank(BOB);
        requests.publish(mine, _header(), siblings, 1, 0);
        (address author,) = requests.authors(mine);
        same("nobody's", uint256(uint160(author)), 0);
    }
}
