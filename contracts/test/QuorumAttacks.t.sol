// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Answering} from "../src/Answering.sol";
import {Asking} from "../src/Asking.sol";
import {Callbacks} from "../src/Callbacks.sol";
import {Escrow} from "../src/Escrow.sol";
import {Quorums} from "../src/Quorums.sol";
import {Requests} from "../src/Requests.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {Groups, Posting} from "./Groups.sol";
import {ClaimId} from "../src/types/Ids.sol";
import {Level, Progress, Request, Subscription} from "../src/types/Request.sol";
import {Timestamp} from "../src/types/Time.sol";
import {Consumer, Hostile, Malice} from "./Consumers.sol";
import {QuorumWorld} from "./QuorumWorld.sol";

contract QuorumAttacksTest is QuorumWorld {
    function revealed(Request memory asked, Posting memory posting, bytes32 salt, bytes memory reason) private {
        refuses(reason);
        requests.revealAnswer(asked, ALONG, opening(posting, salt), nowhere());
    }

    /// @dev A commitment is its prover's: who copies it can't open it, with the other's claim or with a claim of its own.
    function test_commit_copied_opensForNobody() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting memory mine = commit(asked, requestId, keys[0], BYTES);
        bytes32 copied = commitmentOf(requestId, mine.claim);
        VM.prank(prover(1));
        requests.commitAnswer(asked, copied);
        commit(asked, requestId, keys[2], BYTES);
        nextBlock();
        reveal(asked, mine);
        Claim memory claim = claimOf(keys[1], requestId, BYTES);
        Posting memory copy = postingOf(keys[1], claim, BYTES);
        revealed(
            asked, copy, SALT, abi.encodeWithSelector(Quorums.WrongOpening.selector, requestId, chain.claimIdOf(claim))
        );
        claim.nonce = mine.claim.nonce;
        copy = postingOf(keys[1], claim, BYTES);
        revealed(
            asked, copy, SALT, abi.encodeWithSelector(Quorums.WrongOpening.selector, requestId, chain.claimIdOf(claim))
        );
        revealed(
            asked,
            mine,
            SALT,
            abi.encodeWithSelector(Quorums.AlreadyRevealed.selector, requestId, chain.claimIdOf(mine.claim))
        );
        level(requestId, Level.None);
    }

    /// @dev It is of one request, one claim and one salt.
    function test_reveal_otherThanCommitted_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        (bytes32 second, Request memory again) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        ClaimId id = chain.claimIdOf(postings[0].claim);
        revealed(asked, postings[0], "pepper", abi.encodeWithSelector(Quorums.WrongOpening.selector, requestId, id));
        Posting memory other = postingOf(keys[0], claimOf(keys[0], requestId, LIE), LIE);
        bytes memory reason =
            abi.encodeWithSelector(Quorums.WrongOpening.selector, requestId, chain.claimIdOf(other.claim));
        revealed(asked, other, SALT, reason);
        // The same commitment at another request is worth nothing there.
        for (uint256 j = 0; j < 3; ++j) {
            bytes32 commitment = commitmentOf(requestId, postings[j].claim);
            VM.prank(prover(j));
            requests.commitAnswer(again, commitment);
        }
        nextBlock();
        revealed(again, postings[0], SALT, abi.encodeWithSelector(Quorums.WrongOpening.selector, second, id));
        // A commitment to a claim of another request opens, and then the claim does not answer.
        (bytes32 third, Request memory last) = ask(terms());
        for (uint256 j = 0; j < 3; ++j) {
            bytes32 commitment = requests.commitmentOf(third, prover(j), chain.claimIdOf(postings[j].claim), SALT);
            VM.prank(prover(j));
            requests.commitAnswer(last, commitment);
        }
        nextBlock();
        revealed(last, postings[0], SALT, abi.encodeWithSelector(Answering.NotAnswering.selector, third, id));
    }

    function test_commit_notExpected_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        address[3] memory who = [prover(3), EVE, prover(0)];
        commit(asked, requestId, keys[0], BYTES);
        for (uint256 j = 0; j < 3; ++j) {
            refuses(abi.encodeWithSelector(Quorums.NotExpected.selector, requestId, who[j]));
            VM.prank(who[j]);
            requests.commitAnswer(asked, bytes32(uint256(7)));
        }
        // Nothing would be committed, again and again, until all seem to have.
        refuses(abi.encodeWithSelector(Quorums.NotExpected.selector, requestId, prover(1)));
        VM.prank(prover(1));
        requests.commitAnswer(asked, 0);
        same("one", requests.roundOf(requestId).committed, 1);
    }

    function test_commit_ordinaryRequest_reverts() public {
        Request memory wanted = terms();
        (wanted.quorum, wanted.commitBlocks, wanted.committee) = (0, 0, 0);
        (bytes32 requestId, Request memory asked) = ask(wanted);
        refuses(abi.encodeWithSelector(Quorums.NotExpected.selector, requestId, prover(0)));
        VM.prank(prover(0));
        requests.commitAnswer(asked, bytes32(uint256(7)));
        refuses(abi.encodeWithSelector(Quorums.NoQuorum.selector, requestId));
        requests.draw(asked, "");
        (requestId, asked) = ask(terms());
        refuses(abi.encodeWithSelector(Quorums.NoQuorum.selector, requestId));
        requests.draw(asked, "");
    }

    /// @dev Sybils or one prover twice: a committee is a strictly ascending list.
    function test_nameCommittee_bad_reverts() public {
        address[] memory members = first(3);
        members[2] = members[1];
        bytes memory reason = abi.encodeWithSignature("BadCommittee()");
        refuses(reason);
        provers.nameCommittee(members);
        (members[0], members[2]) = (prover(2), prover(3));
        refuses(reason);
        provers.nameCommittee(members);
        (members[0], members[2]) = (address(0), prover(3));
        refuses(reason);
        provers.nameCommittee(members);
        refuses(reason);
        provers.nameCommittee(first(2));
        refuses(reason);
        provers.nameCommittee(new address[](10));
        refuses(reason);
        provers.nameCommittee(new address[](0));
    }

    /// @dev Who sees a reveal can post its claim in front of it. That spoils one transaction, not the answer.
    function test_reveal_claimPostedInFront_succeedsWithPlace() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        reveal(asked, postings[0]);
        Posting[] memory stolen = new Posting[](2);
        (stolen[0], stolen[1]) = (postings[1], postings[2]);
        VM.prank(EVE);
        uint256 batchId = chain.postBatch(Groups.single(stolen));
        ClaimId id = chain.claimIdOf(postings[1].claim);
        revealed(asked, postings[1], SALT, abi.encodeWithSelector(Quorums.NotPosted.selector, id, Status.Unknown));
        nextBlock();
        for (uint256 j = 1; j < 3; ++j) {
            bytes32[] memory proof = new bytes32[](1);
            proof[0] = batchLeaf(chain.claimIdOf(postings[3 - j].claim));
            requests.revealAnswer(asked, ALONG, opening(postings[j], SALT), Inclusion(batchId, j - 1, proof));
        }
        level(requestId, Level.Agreed);
        same("told", keccak256(consumer.output()), keccak256(BYTES));
    }

    function batchLeaf(ClaimId id) private pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"04", ClaimId.unwrap(id)));
    }

    /// @dev The bytes of a claim that is posted already were not compared with it by the chain.
    function test_reveal_otherBytesWithPlace_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        reveal(asked, postings[0]);
        reveal(asked, postings[1]);
        Posting[] memory one_ = new Posting[](1);
        one_[0] = postings[2];
        Inclusion memory place = Inclusion(chain.postBatch(Groups.single(one_)), 0, new bytes32[](0));
        postings[2].output = LIE;
        VM.expectPartialRevert(Callbacks.WrongOutput.selector);
        requests.revealAnswer(asked, ALONG, opening(postings[2], SALT), place);
        level(requestId, Level.None);
        postings[2].output = BYTES;
        requests.revealAnswer(asked, ALONG, opening(postings[2], SALT), place);
        level(requestId, Level.Agreed);
    }

    /// @dev Only bonded claims count: unsigned, unbonded or with other bytes, none is posted.
    function test_reveal_claimNotAccepted_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        ClaimId id = chain.claimIdOf(postings[0].claim);
        bytes memory reason = abi.encodeWithSelector(Quorums.NotPosted.selector, id, Status.Unknown);
        bytes memory signature = postings[0].signature;
        postings[0].signature = signed(keys[1], ClaimId.unwrap(id));
        revealed(asked, postings[0], SALT, reason);
        (postings[0].signature, postings[0].output) = (signature, LIE);
        revealed(asked, postings[0], SALT, reason);
        postings[0].output = BYTES;
        uint256 free = chain.balance(prover(0));
        VM.prank(prover(0));
        chain.announceWithdrawal(free);
        wait(DELAY);
        VM.prank(prover(0));
        chain.completeWithdrawal();
        revealed(asked, postings[0], SALT, reason);
        requests.roundOf(requestId);
    }

    function test_reveal_otherData_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        refuses(abi.encodeWithSelector(Asking.WrongData.selector, requestId));
        requests.revealAnswer(asked, "other", opening(postings[0], SALT), nowhere());
    }

    /// @dev An answer that the game has refused is no answer, even if it comes in time.
    function test_agree_convictedBeforeTheLast_doesNotAgree() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        Posted memory posted = reveal(asked, postings[0]);
        convict(posted);
        refuses(abi.encodeWithSelector(Quorums.Undecided.selector, requestId, height - 2 + requests.REVEAL_BLOCKS()));
        settle(asked, posted);
        reveal(asked, postings[1]);
        reveal(asked, postings[2]);
        level(requestId, Level.None);
        progress(requestId, Progress.Open);
        same("not told", consumer.calls(), 0);
    }

    function test_reveal_convictedClaim_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, LIE);
        Posting[] memory one_ = new Posting[](1);
        one_[0] = postings[0];
        Posted memory posted;
        (posted.claim, posted.id) = (postings[0].claim, chain.claimIdOf(postings[0].claim));
        posted.inclusion = Inclusion(chain.postBatch(Groups.single(one_)), 0, new bytes32[](0));
        convict(posted);
        refuses(abi.encodeWithSelector(Quorums.NotPosted.selector, posted.id, Status.Invalid));
        requests.revealAnswer(asked, ALONG, opening(postings[0], SALT), posted.inclusion);
    }

    /// @dev Whoever answers in the ordinary way has the fee; the quorum then agrees on nothing.
    function test_agree_afterOrdinaryAnswer_isNotPaidTwice() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[] memory stranger = new Posting[](1);
        stranger[0] = postingOf(keys[4], claimOf(keys[4], requestId, BYTES), BYTES);
        Inclusion memory place = Inclusion(chain.postBatch(Groups.single(stranger)), 0, new bytes32[](0));
        wait(PATIENCE);
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        Posted memory posted = reveal(asked, postings[0]);
        reveal(asked, postings[1]);
        wait(WINDOW + 1);
        requests.answer(asked, ALONG, stranger[0].claim, place, BYTES);
        revealed(
            asked, postings[2], SALT, abi.encodeWithSelector(Asking.NotOpen.selector, requestId, Progress.Answered)
        );
        height += requests.REVEAL_BLOCKS();
        nextBlock();
        settle(asked, posted);
        same("stranger", requests.earned(prover(4)), FEE);
        same("first", requests.earned(prover(0)), 0);
        same("escrow", address(requests).balance, FEE);
    }

    function test_settle_foreignClaim_reverts() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        (bytes32 other, Request memory again) = ask(terms());
        Posted[3] memory posted = agree(asked, requestId, BYTES);
        Posted[3] memory theirs = agree(again, other, BYTES);
        wait(WINDOW + 1);
        refuses(abi.encodeWithSelector(Quorums.NothingToSettle.selector, requestId, theirs[0].id));
        requests.settle(asked, theirs[0].claim, theirs[0].inclusion);
        refuses(abi.encodeWithSelector(Quorums.NotEnded.selector, posted[0].id, Status.Unknown));
        requests.settle(asked, posted[0].claim, theirs[0].inclusion);
        asked.fee += 1;
        VM.expectPartialRevert(Quorums.NothingToSettle.selector);
        settle(asked, posted[0]);
    }

    /// @dev With any gas: the callback has its gas, or nothing has happened.
    function test_reveal_anyGas_callbackHasItsGas() public {
        (bytes32 requestId, Request memory asked) = ask(terms());
        Posting[3] memory postings = commitAll(asked, requestId, BYTES);
        reveal(asked, postings[0]);
        reveal(asked, postings[1]);
        bytes memory message =
            abi.encodeCall(Quorums.revealAnswer, (asked, ALONG, opening(postings[2], SALT), nowhere()));
        uint256 tried = 0;
        for (uint256 given = 100_000; given < 3_000_000 && requests.progressOf(requestId) == Progress.Open; ++tried) {
            (bool success,) = address(requests).call{gas: given}(message);
            if (!success) {
                same("untouched", consumer.calls(), 0);
                progress(requestId, Progress.Open);
            }
            given += 10_000;
        }
        yes("too little was tried", tried > 20);
        level(requestId, Level.Agreed);
        same("calls", consumer.calls(), 1);
        yes("all its gas", consumer.gasGiven() > GAS - 5_000);
    }

    /// @dev What a consumer calls when it comes back in.
    enum Entry {
        None,
        Draw,
        Commit,
        Reveal,
        RevealForOther,
        Settle,
        Deliver,
        Answer,
        Cancel,
        Refund,
        Note,
        Strike,
        Withdraw,
        Renew,
        Unsubscribe
    }

    function messageOf(Entry entry, bytes32 requestId, Request memory asked, Posting memory posting)
        private
        view
        returns (bytes memory)
    {
        Inclusion memory place = Inclusion(chain.batchCount() - 1, 0, new bytes32[](0));
        Subscription memory plan;
        plan.first = asked;
        if (entry == Entry.Draw) return abi.encodeCall(Quorums.draw, (asked, ""));
        if (entry == Entry.Commit) return abi.encodeCall(Quorums.commitAnswer, (asked, bytes32(uint256(7))));
        if (entry == Entry.Reveal) {
            return abi.encodeCall(Quorums.revealAnswer, (asked, ALONG, opening(posting, SALT), nowhere()));
        }
        if (entry == Entry.Settle) return abi.encodeCall(Quorums.settle, (asked, posting.claim, place));
        if (entry == Entry.Deliver) return abi.encodeCall(Requests.deliver, (asked, ALONG, BYTES));
        if (entry == Entry.Answer) return abi.encodeCall(Requests.answer, (asked, ALONG, posting.claim, place, BYTES));
        if (entry == Entry.Cancel) return abi.encodeCall(Asking.cancel, (asked));
        if (entry == Entry.Refund) return abi.encodeCall(Requests.refund, (asked, ALONG));
        if (entry == Entry.Note) return abi.encodeCall(Requests.note, (asked, posting.claim, place));
        if (entry == Entry.Strike) {
            return abi.encodeCall(Requests.strike, (requestId, chain.claimIdOf(posting.claim)));
        }
        if (entry == Entry.Withdraw) return abi.encodeCall(Escrow.withdraw, ());
        if (entry == Entry.Renew) return abi.encodeCall(Asking.renew, (plan, ALONG));
        if (entry == Entry.Unsubscribe) return abi.encodeCall(Asking.unsubscribe, (plan));
        // It changes its mind about who is told.
        asked.callback = address(consumer);
        return abi.encodeCall(Quorums.revealAnswer, (asked, ALONG, opening(posting, SALT), nowhere()));
    }

    function earnings() private view returns (uint256) {
        return requests.earned(prover(0)) + requests.earned(prover(1)) + requests.earned(prover(2));
    }

    /// @dev A consumer that asks for itself misbehaves when it is told what was agreed, and beside it somebody else asks.
    function hostile(Malice malice, Entry entry) private {
        (uint256 held, uint256 before) = (address(requests).balance, earnings());
        Hostile attacker = new Hostile(malice, requests);
        Request memory asked = terms();
        (asked.callback, asked.number) = (address(attacker), requests.requestCount());
        bytes32 requestId = attacker.ask{value: FEE}(asked, BYTES, ALONG);
        asked = completed(asked, address(attacker));
        (bytes32 neighbour, Request memory theirs) = ask(terms());
        Posting[3] memory others;
        for (uint256 j = 0; j < 3; ++j) {
            others[j] = commit(theirs, neighbour, keys[j], BYTES);
        }
        Posting[3] memory mine = commitAll(asked, requestId, BYTES);
        Posted[3] memory posted;
        (posted[0], posted[1]) = (reveal(asked, mine[0]), reveal(asked, mine[1]));
        bytes memory message = messageOf(entry, requestId, abi.decode(abi.encode(asked), (Request)), mine[1]);
        if (entry != Entry.None) attacker.arm(message);
        posted[2] = reveal(asked, mine[2]);
        for (uint256 j = 0; j < 3; ++j) {
            reveal(theirs, others[j]);
        }
        level(requestId, Level.Agreed);
        level(neighbour, Level.Agreed);
        same("neighbour", consumer.calls(), 1);
        yes("came in", !attacker.cameIn());
        same("escrow", address(requests).balance - held, 2 * uint256(FEE));

        bool isTold = entry != Entry.None || malice == Malice.ReturnsMegabytes || malice == Malice.Destructs;
        attacker.behave();
        if (!isTold) requests.deliver(asked, ALONG, BYTES);
        VM.expectPartialRevert(Requests.NothingToDeliver.selector);
        requests.deliver(asked, ALONG, BYTES);
        wait(WINDOW + 1);
        for (uint256 j = 0; j < 3; ++j) {
            settle(asked, posted[j]);
        }
        level(requestId, Level.Final);
        same("paid", earnings() - before, FEE);
        yes("told once at most", attacker.calls() <= 1);
        yes("never came in", !attacker.cameIn());
    }

    function test_hostileConsumer_reverts_harmsOnlyItself() public {
        hostile(Malice.Reverts, Entry.None);
    }

    function test_hostileConsumer_burnsGas_harmsOnlyItself() public {
        hostile(Malice.BurnsGas, Entry.None);
    }

    function test_hostileConsumer_returnsMegabytes_harmsOnlyItself() public {
        hostile(Malice.ReturnsMegabytes, Entry.None);
    }

    function test_hostileConsumer_revertsMegabytes_harmsOnlyItself() public {
        hostile(Malice.RevertsMegabytes, Entry.None);
    }

    function test_hostileConsumer_invalid_harmsOnlyItself() public {
        hostile(Malice.Invalid, Entry.None);
    }

    function test_hostileConsumer_destructs_harmsOnlyItself() public {
        hostile(Malice.Destructs, Entry.None);
    }

    /// @dev Every entry point that could pay, tell or end something, from inside the callback.
    function test_hostileConsumer_comesBackIn_harmsOnlyItself() public {
        for (uint256 j = 1; j <= uint256(type(Entry).max); ++j) {
            hostile(Malice.AnswersAgain, Entry(j));
            consumer = new Consumer();
        }
    }
}
