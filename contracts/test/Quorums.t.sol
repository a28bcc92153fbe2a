// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Answering} from "../src/Answering.sol";
import {Asking} from "../src/Asking.sol";
import {Authors} from "../src/Authors.sol";
import {Quorums} from "../src/Quorums.sol";
import {Requests} from "../src/Requests.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {Groups, Posting} from "./Groups.sol";
import {ClaimId, ModelId} from "../src/types/Ids.sol";
import {Level, Progress, Request, Subscription} from "../src/types/Request.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Consumer} from "./Consumers.sol";
import {QuorumWorld} from "./QuorumWorld.sol";

/// @dev Asks which level it got while it is told.
contract Curious is Consumer {
    Level public seen;

    function onInference(bytes32 id, bytes calldata, bytes calldata, bytes calldata) external override {
        seen = Requests(msg.sender).levelOf(id);
        calls += 1;
    }
}

contract QuorumsTest is QuorumWorld {
    function test_agree_namedCommittee_twoBlocksAfterPickUp() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        uint256 pickedUp = height;
        nextBlock();
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        reveal(asked, postings[0]);
        reveal(asked, postings[1]);
        progress(requestId, Progress.Open);
        level(requestId, Level.None);
        same("not told", consumer.calls(), 0);
        reveal(asked, postings[2]);
        same("blocks", height - pickedUp, 2);
        progress(requestId, Progress.Agreed);
        level(requestId, Level.Agreed);
        yes("not finalized", !requests.isFinalized(requestId));
        same("calls", consumer.calls(), 1);
        same("told id", consumer.requestId(), requestId);
        same("told output", keccak256(consumer.output()), keccak256(BYTES));
        same("told no failure", consumer.failure().length, 0);
        same("told data", keccak256(consumer.data()), keccak256(ALONG));
        yes("all its gas", consumer.gasGiven() > GAS - 5_000);
        same("escrow", address(requests).balance, FEE);
        for (uint256 j = 0; j < 3; ++j) {
            same("bond", chain.locked(prover(j)), CLAIM_BOND);
            same("not paid", requests.earned(prover(j)), 0);
        }
    }

    function test_agree_consumerSeesItsLevel() public {
        Curious curious = new Curious();
        Request memory wanted = terms();
        wanted.callback = address(curious);
        (bytes32 requestId, Request memory asked) = ask(wanted);
        agree(asked, requestId, BYTES);
        same("agreed", uint256(curious.seen()), uint256(Level.Agreed));
        (requestId, asked) = ask(wanted);
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        Posted memory posted = reveal(asked, postings[0]);
        wait(WINDOW + 1);
        requests.answer(asked, ALONG, posted.claim, posted.inclusion, BYTES);
        same("final", uint256(curious.seen()), uint256(Level.Final));
        same("calls", curious.calls(), 2);
    }

    function test_settle_final_threeSharesOfTheFee() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posted[3] memory posted = agree(asked, requestId, BYTES);
        refuses(abi.encodeWithSelector(Quorums.NotEnded.selector, posted[0].id, Status.Posted));
        settle(asked, posted[0]);
        wait(WINDOW + 1);
        for (uint256 j = 0; j < 3; ++j) {
            VM.prank(EVE);
            settle(asked, posted[j]);
            same("part", requests.earned(posted[j].claim.claimant), FEE / 3 + (j == 0 ? FEE % 3 : 0));
            level(requestId, Level.Final);
            yes("finalized", requests.isFinalized(requestId));
            refuses(abi.encodeWithSelector(Quorums.NothingToSettle.selector, requestId, posted[j].id));
            settle(asked, posted[j]);
        }
        progress(requestId, Progress.Answered);
        same("told once", consumer.calls(), 1);
        for (uint256 j = 0; j < 3; ++j) {
            VM.prank(prover(j));
            requests.withdraw();
        }
        same("escrow", address(requests).balance, 0);
        refuses(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Answered));
        requests.answer(asked, ALONG, posted[0].claim, posted[0].inclusion, BYTES);
    }

    function test_settle_royalty_ofEachPart() public {
        bytes32 leaf = sha256(abi.encodePacked(hex"02", smallHeader()));
        small = ModelId.wrap(sha256(abi.encodePacked(hex"01", leaf, bytes32(uint256(6)))));
        requests.commit(keccak256(abi.encode(small, BOB, bytes32(0))));
        nextBlock();
        VM.prank(BOB);
        requests.publish(small, smallHeader(), abi.encodePacked(bytes32(uint256(6))), 1_000, 0);
        (bytes32 requestId, Request memory asked) = ask(terms());
        same("royalty", asked.royalty, 1_000);
        Posted[3] memory posted = agree(asked, requestId, BYTES);
        convict(posted[2]);
        wait(WINDOW + 1);
        for (uint256 j = 0; j < 3; ++j) {
            settle(asked, posted[j]);
        }
        uint256 part = FEE / 3;
        same("author", requests.earned(BOB), (part + FEE % 3) / 10 + part / 10);
        same("requester", requests.earned(address(this)), part);
        uint256 paid = requests.earned(prover(0)) + requests.earned(prover(1)) + requests.earned(prover(2));
        same("all of it", paid + requests.earned(BOB) + requests.earned(address(this)), FEE);
    }

    function test_settle_allInvalid_feeIsGivenBack() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posted[3] memory posted = agree(asked, requestId, LIE);
        same("told the lie", keccak256(consumer.output()), keccak256(LIE));
        for (uint256 j = 0; j < 3; ++j) {
            convict(posted[j]);
            level(requestId, Level.Agreed);
            settle(asked, posted[j]);
            same("bond", chain.locked(posted[j].claim.claimant), 0);
        }
        progress(requestId, Progress.Refunded);
        level(requestId, Level.None);
        same("back", requests.earned(address(this)), FEE);
        uint256 before = address(this).balance;
        requests.withdraw();
        same("withdrawn", address(this).balance - before, FEE);
    }

    /// @dev A claim may be false in its trace alone: the answer is final by the others.
    function test_settle_oneInvalid_finalByTheOthers() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posted[3] memory posted = agree(asked, requestId, BYTES);
        convict(posted[0]);
        settle(asked, posted[0]);
        level(requestId, Level.Agreed);
        wait(WINDOW + 1);
        settle(asked, posted[1]);
        level(requestId, Level.Final);
        settle(asked, posted[2]);
        same("requester", requests.earned(address(this)), FEE / 3 + FEE % 3);
        same("prover", requests.earned(prover(2)), FEE / 3);
    }

    function test_disagreement_waitsForFinality() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting memory true_ = commit(asked, requestId, keys[0], BYTES);
        Posting memory false_ = commit(asked, requestId, keys[1], LIE);
        Posting memory third = commit(asked, requestId, keys[2], BYTES);
        nextBlock();
        Posted memory posted = reveal(asked, true_);
        Posted memory lie = reveal(asked, false_);
        yes("split", requests.roundOf(requestId).isSplit);
        reveal(asked, third);
        progress(requestId, Progress.Open);
        same("nobody is told", consumer.calls(), 0);
        convict(lie);
        settle(asked, lie);
        wait(WINDOW + 1);
        requests.answer(asked, ALONG, posted.claim, posted.inclusion, BYTES);
        level(requestId, Level.Final);
        same("whole fee", requests.earned(prover(0)), FEE);
        settle(asked, posted);
        same("not twice", requests.earned(prover(0)), FEE);
        same("told the truth", keccak256(consumer.output()), keccak256(BYTES));
    }

    /// @dev No vote decides: two lies against one truth change nothing, and the truth is paid.
    function test_disagreement_majorityLies_truthIsPaid() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings;
        for (uint256 j = 0; j < 3; ++j) {
            postings[j] = commit(asked, requestId, keys[j], j == 2 ? BYTES : LIE);
        }
        nextBlock();
        Posted[3] memory posted;
        for (uint256 j = 0; j < 3; ++j) {
            posted[j] = reveal(asked, postings[j]);
        }
        convict(posted[0]);
        convict(posted[1]);
        wait(WINDOW + 1);
        requests.answer(asked, ALONG, posted[2].claim, posted[2].inclusion, BYTES);
        same("paid", requests.earned(prover(2)), FEE);
    }

    function test_silence_waitsForFinality() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        commit(asked, requestId, keys[0], BYTES);
        Posting memory posting = commit(asked, requestId, keys[1], BYTES);
        nextBlock();
        refuses(abi.encodeWithSelector(Quorums.TooEarly.selector, requestId, 0));
        requests.revealAnswer(asked, ALONG, opening(posting, SALT), nowhere());
        // It posts its claim as anybody would.
        Posting[] memory postings = new Posting[](1);
        postings[0] = posting;
        Inclusion memory inclusion = Inclusion(chain.postBatch(Groups.single(postings)), 0, new bytes32[](0));
        wait(WINDOW + 1);
        requests.answer(asked, ALONG, posting.claim, inclusion, BYTES);
        level(requestId, Level.Final);
        same("paid", requests.earned(prover(1)), FEE);
    }

    function test_commit_deadline_lastBlockCounts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        uint256 last = height + COMMIT_BLOCKS;
        height = last - 1;
        nextBlock();
        commit(asked, requestId, keys[0], BYTES);
        nextBlock();
        bytes32 commitment = bytes32(uint256(1));
        refuses(abi.encodeWithSelector(Quorums.TooLate.selector, requestId, last));
        VM.prank(prover(1));
        requests.commitAnswer(asked, commitment);
    }

    function test_reveal_deadlines() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings;
        for (uint256 j = 0; j < 3; ++j) {
            postings[j] = commit(asked, requestId, keys[j], BYTES);
        }
        uint256 sealedAt = height;
        refuses(abi.encodeWithSelector(Quorums.TooEarly.selector, requestId, sealedAt));
        requests.revealAnswer(asked, ALONG, opening(postings[0], SALT), nowhere());
        nextBlock();
        reveal(asked, postings[0]);
        height = sealedAt + requests.REVEAL_BLOCKS() - 1;
        nextBlock();
        Posted memory posted = reveal(asked, postings[1]);
        wait(WINDOW + 1);
        VM.roll(sealedAt + requests.REVEAL_BLOCKS());
        refuses(abi.encodeWithSelector(Quorums.Undecided.selector, requestId, sealedAt + requests.REVEAL_BLOCKS()));
        settle(asked, posted);
        VM.roll(sealedAt + requests.REVEAL_BLOCKS() + 1);
        refuses(abi.encodeWithSelector(Quorums.TooLate.selector, requestId, sealedAt + requests.REVEAL_BLOCKS()));
        requests.revealAnswer(asked, ALONG, opening(postings[2], SALT), nowhere());
        settle(asked, posted);
        same("no part of the fee", requests.earned(prover(1)), 0);
        requests.answer(asked, ALONG, posted.claim, posted.inclusion, BYTES);
        same("all of it", requests.earned(prover(1)), FEE);
    }

    /// @dev What is posted after `until` answers nothing, in a quorum neither.
    function test_reveal_afterUntil_doesNotCount() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        reveal(asked, postings[0]);
        wait(PATIENCE);
        reveal(asked, postings[1]);
        wait(1);
        refuses(abi.encodeWithSelector(Answering.DoesNotCount.selector, requestId, prover(2), uint40(time)));
        requests.revealAnswer(asked, ALONG, opening(postings[2], SALT), nowhere());
    }

    function test_answer_committeeComesFirst() public {
        Request memory wanted = terms();
        wanted.proverUntil = Timestamp.wrap(uint40(time + 100));
        (bytes32 requestId, Request memory asked) = ask(wanted);
        Posting[] memory postings = new Posting[](1);
        postings[0] = postingOf(keys[4], claimOf(keys[4], requestId, BYTES), BYTES);
        Inclusion memory early = Inclusion(chain.postBatch(Groups.single(postings)), 0, new bytes32[](0));
        Claim memory claim = postings[0].claim;
        uint40 postedAt = uint40(time);
        postings[0] = postingOf(keys[1], claimOf(keys[1], requestId, BYTES), BYTES);
        Inclusion memory members = Inclusion(chain.postBatch(Groups.single(postings)), 0, new bytes32[](0));
        wait(WINDOW + 1);
        refuses(abi.encodeWithSelector(Answering.DoesNotCount.selector, requestId, prover(4), postedAt));
        requests.answer(asked, ALONG, claim, early, BYTES);
        requests.answer(asked, ALONG, postings[0].claim, members, BYTES);
        same("paid", requests.earned(prover(1)), FEE);
    }

    function test_agree_failedCallback_isDeliveredLater() public {
        Request memory wanted = terms();
        wanted.callback = address(0xdead);
        (bytes32 requestId, Request memory asked) = ask(wanted);
        Posted[3] memory posted = agree(asked, requestId, BYTES);
        progress(requestId, Progress.Agreed);
        requests.deliver(asked, ALONG, BYTES);
        progress(requestId, Progress.Agreed);
        wait(WINDOW + 1);
        settle(asked, posted[0]);
        progress(requestId, Progress.Undelivered);
        level(requestId, Level.Final);
        requests.deliver(asked, ALONG, BYTES);
        progress(requestId, Progress.Undelivered);
        settle(asked, posted[1]);
        settle(asked, posted[2]);
        same("paid", requests.earned(prover(0)) + requests.earned(prover(1)) + requests.earned(prover(2)), FEE);
    }

    /// @dev An output that was uploaded before is not repeated by the postings: anybody tells the consumer.
    function test_agree_uploadedOutput_isDelivered() public {
        bytes32[] memory tensors = new bytes32[](1);
        tensors[0] = chain.upload(BYTES);
        chain.assemble(small, true, tensors);
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        for (uint256 j = 0; j < 3; ++j) {
            postings[j].output = "";
            reveal(asked, postings[j]);
        }
        progress(requestId, Progress.Agreed);
        same("not told", consumer.calls(), 0);
        requests.deliver(asked, ALONG, BYTES);
        same("told", keccak256(consumer.output()), keccak256(BYTES));
        level(requestId, Level.Agreed);
        VM.expectPartialRevert(Requests.NothingToDeliver.selector);
        requests.deliver(asked, ALONG, BYTES);
    }

    /// @dev What is known to be false is not told, however late.
    function test_deliver_convictedMeanwhile_reverts() public {
        Request memory wanted = terms();
        wanted.callback = address(0xdead);
        (bytes32 requestId, Request memory asked) = ask(wanted);
        Posted[3] memory posted = agree(asked, requestId, LIE);
        convict(posted[1]);
        refuses(abi.encodeWithSelector(Requests.NothingToDeliver.selector, requestId));
        requests.deliver(asked, ALONG, LIE);
        convict(posted[0]);
        convict(posted[2]);
        for (uint256 j = 0; j < 3; ++j) {
            settle(asked, posted[j]);
        }
        refuses(abi.encodeWithSelector(Requests.NothingToDeliver.selector, requestId));
        requests.deliver(asked, ALONG, LIE);
    }

    function test_request_badQuorum_reverts() public {
        Request[7] memory bad;
        for (uint256 j = 0; j < 7; ++j) {
            bad[j] = terms();
        }
        (bad[0].quorum, bad[0].committee) = (2, 0);
        (bad[1].quorum, bad[1].committee) = (10, 0);
        bad[2].commitBlocks = 0;
        bad[3].prover = ALICE;
        bad[4].quorum = 4;
        bad[5].committee = bytes32(uint256(1));
        bad[6].quorum = 0;
        for (uint256 j = 0; j < 7; ++j) {
            refuses(abi.encodeWithSelector(Asking.BadQuorum.selector));
            requests.request{value: FEE}(bad[j], BYTES, ALONG);
        }
        Request memory asked = terms();
        (asked.quorum, asked.committee) = (0, 0);
        refuses(abi.encodeWithSelector(Asking.BadQuorum.selector));
        requests.request{value: FEE}(asked, BYTES, ALONG);
        asked = drawnTerms();
        refuses(abi.encodeWithSelector(Asking.TooFewSeats.selector, small, 0, 3));
        requests.request{value: FEE}(asked, BYTES, ALONG);
    }

    function test_request_feeBelowGas_reverts() public {
        VM.fee(20 gwei);
        uint256 needed = requests.estimateQuorumFee(small, GAS, QUORUM);
        uint256 each = 2 * 20 gwei * requests.QUORUM_GAS();
        same("estimate", needed, requests.estimateFee(small, GAS) + 3 * each);
        Request memory asked = terms();
        refuses(abi.encodeWithSelector(Asking.FeeTooLow.selector, needed - 1, needed));
        requests.request{value: needed - 1}(asked, BYTES, ALONG);
        requests.request{value: needed}(asked, BYTES, ALONG);
    }

    function test_renew_repeatsTheQuorum() public {
        Subscription memory plan;
        plan.first = terms();
        plan.first.until = Timestamp.wrap(0);
        (plan.first.fee, plan.interval, plan.patience) = (FEE, Duration.wrap(20), Duration.wrap(PATIENCE));
        requests.subscribe{value: 2 * uint256(FEE)}(plan, 2, BYTES, ALONG);
        plan.first = completed(plan.first, address(this));
        for (uint256 j = 0; j < 2; ++j) {
            wait(20);
            Request memory asked = plan.first;
            (asked.proverUntil, asked.until) = (Timestamp.wrap(uint40(time)), Timestamp.wrap(uint40(time + PATIENCE)));
            asked.number = requests.requestCount();
            bytes32 requestId = requests.renew(_plan(plan), ALONG);
            same("id", requestId, requests.requestIdOf(asked));
            nextBlock();
            agree(asked, requestId, BYTES);
            level(requestId, Level.Agreed);
            same("calls", consumer.calls(), j + 1);
        }
    }

    /// @dev The subscription as it was made, which the loop above writes over.
    function _plan(Subscription memory plan) private view returns (Subscription memory made) {
        made = abi.decode(abi.encode(plan), (Subscription));
        made.first.number = 0;
        (made.first.proverUntil, made.first.until) = (Timestamp.wrap(0), Timestamp.wrap(0));
        same("known", requests.subscriptionCount(), 1);
    }

    function test_cancel_revealsOfThatTimeStillCount() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        requests.cancel(asked);
        wait(DELAY);
        for (uint256 j = 0; j < 3; ++j) {
            reveal(asked, postings[j]);
        }
        level(requestId, Level.Agreed);
        refuses(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Agreed));
        requests.cancel(asked);
        wait(PATIENCE + 3 * WINDOW);
        refuses(abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Agreed));
        requests.refund(asked, ALONG);
    }

    function test_nine_agree() public {
        for (uint256 j = 0; j < 3; ++j) {
            keys.push(0x9100 + j);
            deposit(VM.addr(0x9100 + j), 1_000 ether);
        }
        VM.deal(address(this), 10 ether);
        address[] memory members = first(9);
        for (uint256 j = 1; j < 9; ++j) {
            for (uint256 k = j; k > 0 && members[k] < members[k - 1]; --k) {
                (members[k], members[k - 1]) = (members[k - 1], members[k]);
            }
        }
        Request memory wanted = terms();
        (wanted.quorum, wanted.committee) = (9, provers.nameCommittee(members));
        (bytes32 requestId, Request memory asked) = ask(wanted);
        Posting[] memory postings = new Posting[](9);
        for (uint256 j = 0; j < 9; ++j) {
            postings[j] = commit(asked, requestId, keyOf(members[j]), BYTES);
        }
        nextBlock();
        Posted[] memory posted = new Posted[](9);
        for (uint256 j = 0; j < 9; ++j) {
            level(requestId, Level.None);
            posted[j] = reveal(asked, postings[j]);
        }
        level(requestId, Level.Agreed);
        wait(WINDOW + 1);
        uint256 paid = 0;
        for (uint256 j = 0; j < 9; ++j) {
            settle(asked, posted[j]);
            paid += requests.earned(members[j]);
        }
        same("paid", paid, FEE);
    }
}
