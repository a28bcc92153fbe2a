// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ledger} from "../src/Ledger.sol";
import {DisputeGame} from "../src/DisputeGame.sol";
import {Games} from "../src/Games.sol";
import {Models} from "../src/Models.sol";
import {Nonces} from "../src/Nonces.sol";
import {Postings} from "../src/Postings.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {IOneStepProver} from "../src/interfaces/IOneStepProver.sol";
import {Header} from "../src/libraries/Header.sol";
import {Claim, Group, Inclusion, Status} from "../src/types/Claim.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Model} from "../src/types/Model.sol";
import {Params} from "../src/types/Params.sol";
import {Payment} from "../src/types/Payment.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Groups, Posting} from "./Groups.sol";
import {ToyProver} from "./ToyProver.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

contract RollupChainTest is World {
    using Traces for Trace;

    /// @dev Posts one claim and expects the event that says why it is not taken.
    function skips(Posting memory posting, bytes4 reason) private {
        skips(posting, Groups.single(posting), reason);
    }

    function skips(Posting memory posting, Group[] memory groups, bytes4 reason) private {
        Claim memory claim = posting.claim;
        uint256 batchId = chain.batchCount();
        uint256 held = chain.locked(claim.claimant);
        VM.expectEmit(address(chain));
        emit Postings.GroupRefused(batchId, 0, claim.claimant, claim.nonce, 1, reason);
        chain.postBatch(groups);
        (bytes32 root,,,,) = chain.batches(batchId);
        same("padding root", root, sha256(hex"05"));
        same("nothing locked", chain.locked(claim.claimant), held);
        yes("unknown", chain.status(claim, Inclusion(batchId, 0, new bytes32[](0))) == Status.Unknown);
    }

    /// @dev Signs a changed claim anew and expects it to be skipped.
    function skipsClaim(Claim memory claim, bytes4 reason) private {
        skips(postingOf(claim, Traces.honest()), reason);
    }

    function test_constructor_badParams_reverts() public {
        IOneStepProver prover = new ToyProver();
        Params[] memory bad = new Params[](11);
        for (uint256 j = 0; j < bad.length; ++j) {
            bad[j] = params();
        }
        bad[0].window = Duration.wrap(0);
        bad[1].clock = Duration.wrap(0);
        bad[2].arity = 0;
        bad[3].arity = 9;
        bad[4].reward = CLAIM_BOND / 2;
        bad[5].reward = CLAIM_BOND / 2 - COLLECT_FEE + 1;
        bad[6].challengeBond = COLLECT_FEE - 1;
        (bad[7].claimBond, bad[7].reward, bad[7].collectFee) = (0, 0, 0);
        (bad[8].challengeBond, bad[8].collectFee) = (0, 0);
        bad[9].claimBond = uint128(type(uint80).max) + 1;
        bad[10].challengeBond = uint128(type(uint80).max) + 1;
        for (uint256 j = 0; j < bad.length; ++j) {
            DisputeGame bound = gameFor(bad[j], prover);
            VM.expectRevert(abi.encodeWithSelector(RollupChain.BadParams.selector));
            deployedFor(bad[j], bound);
        }
    }

    function test_constructor_noProver_reverts() public {
        IOneStepProver nothing = IOneStepProver(address(0x1234));
        VM.expectRevert(abi.encodeWithSelector(Games.NoProver.selector, nothing));
        gameFor(params(), nothing);
    }

    /// @dev A game of another chain, or with other parameters, could take bonds that nobody agreed to.
    function test_constructor_otherGame_reverts() public {
        IOneStepProver prover = new ToyProver();
        VM.expectRevert(abi.encodeWithSelector(RollupChain.OtherGame.selector, game));
        deployedFor(params(), game);
        Params memory other = params();
        other.clock = Duration.wrap(CLOCK + 1);
        DisputeGame bound = gameFor(other, prover);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.OtherGame.selector, bound));
        deployedFor(params(), bound);
    }

    function test_registerModel_again_isIdempotent() public {
        bytes memory siblings = abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(2)));
        bytes32 leaf = sha256(abi.encodePacked(hex"02", header(0)));
        bytes32 up = sha256(abi.encodePacked(hex"01", leaf, bytes32(uint256(1))));
        bytes32 root = sha256(abi.encodePacked(hex"01", up, bytes32(uint256(2))));
        same("model id", ModelId.unwrap(model), root);
        VM.prank(EVE);
        same("again", ModelId.unwrap(chain.registerModel(header(0), siblings)), root);
        Model memory stored = chain.modelOf(model);
        same("values", stored.values, 5);
        same("inputs", stored.inputs.length, 2);
        same("second input", stored.inputs[1].byteLength, 20);
        same("second output", stored.outputs[1].value, 3);
        same("second output's bytes", stored.outputs[1].byteLength, 20);
    }

    function test_registerModel_proofLength_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Models.ProofLength.selector, 33));
        chain.registerModel(header(0), new bytes(33));
        VM.expectRevert(abi.encodeWithSelector(Models.ProofLength.selector, 65 * 32));
        chain.registerModel(header(0), new bytes(65 * 32));
    }

    function test_registerModel_badHeader_reverts() public {
        bytes memory surplus = abi.encodePacked(header(0), hex"00");
        VM.expectRevert(abi.encodeWithSelector(Header.HeaderTooLong.selector, 1));
        chain.registerModel(surplus, "");
    }

    function test_modelOf_unknown_reverts() public {
        ModelId unknown = ModelId.wrap(bytes32(uint256(9)));
        VM.expectRevert(abi.encodeWithSelector(Models.UnknownModel.selector, unknown));
        chain.modelOf(unknown);
    }

    function test_ledger_caller_reverts() public {
        bytes memory refusal = abi.encodeWithSelector(RollupChain.NotGame.selector, EVE);
        Payment[] memory nothing = new Payment[](0);
        VM.expectRevert(refusal);
        VM.prank(EVE);
        chain.admit(ClaimId.wrap(0), model, Inclusion(0, 0, new bytes32[](0)), ALICE, 1, true);
        VM.expectRevert(refusal);
        VM.prank(EVE);
        chain.unlock(ALICE, 1);
        VM.expectRevert(refusal);
        VM.prank(EVE);
        chain.forfeit(ALICE, 1, nothing);
        VM.expectRevert(refusal);
        VM.prank(EVE);
        chain.convict(ClaimId.wrap(0), ALICE, BOB, 0, nothing);
    }

    function test_ledger_gameBeyondBond_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Ledger.InsufficientLocked.selector, ALICE, 0, 1));
        VM.prank(address(game));
        chain.unlock(ALICE, 1);
        challenge(ALICE, post(model, Traces.honest()));
        Payment[] memory two = new Payment[](2);
        (two[0], two[1]) = (Payment(BOB, 1), Payment(EVE, 1));
        VM.expectRevert(abi.encodeWithSelector(Ledger.PaymentsExceedBond.selector, 2, 1));
        VM.prank(address(game));
        chain.forfeit(ALICE, 1, two);
    }

    function test_postBatch_oneClaim_succeeds() public {
        Trace memory trace = Traces.honest();
        Posting memory posting = postingOf(claimOf(model, trace), trace);
        Claim memory claim = posting.claim;
        bytes32 leaf = sha256(abi.encodePacked(hex"04", chain.claimIdOf(claim)));
        Group[] memory groups = Groups.single(posting);
        bytes32[] memory roots = new bytes32[](2);
        (roots[0], roots[1]) = (claim.inputRoot, claim.outputRoot);
        uint256[] memory posted = new uint256[](1);
        posted[0] = 1;
        VM.expectEmit(address(chain));
        emit Postings.GroupPosted(0, 0, claimant, claim.nonce, claim.validUntil, groups[0].sections, roots, posted);
        VM.expectEmit(address(chain));
        emit RollupChain.BatchPosted(0, leaf, 1, Timestamp.wrap(uint40(time)), Timestamp.wrap(uint40(time + WINDOW)));
        VM.prank(EVE);
        chain.postBatch(groups);
        same("locked", chain.locked(claimant), CLAIM_BOND);
        yes("nonce used", chain.isNonceUsed(claimant, claim.nonce));
        yes("posted", chain.status(claim, Inclusion(0, 0, new bytes32[](0))) == Status.Posted);
    }

    function test_postBatch_empty_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(RollupChain.EmptyBatch.selector));
        chain.postBatch(new Group[](0));
    }

    function test_postBatch_oneOfFiveFails_othersStand() public {
        Trace memory trace = Traces.honest();
        Posting[] memory postings = new Posting[](5);
        bytes32[] memory nodes = new bytes32[](16);
        for (uint256 j = 0; j < 8; ++j) {
            nodes[8 + j] = sha256(hex"05");
            if (j >= 5) continue;
            postings[j] = postingOf(claimOf(model, trace), trace);
            if (j == 2) postings[j].output[0] ^= 0x01;
            else nodes[8 + j] = sha256(abi.encodePacked(hex"04", chain.claimIdOf(postings[j].claim)));
        }
        for (uint256 g = 7; g != 0; --g) {
            nodes[g] = sha256(abi.encodePacked(nodes[2 * g], nodes[2 * g + 1]));
        }
        uint256 batchId = chain.postBatch(Groups.single(postings));
        (bytes32 root,,, uint32 count,) = chain.batches(batchId);
        same("root", root, nodes[1]);
        same("count", count, 5);
        same("bonds", chain.locked(claimant), 4 * CLAIM_BOND);
        bytes32[] memory proof = new bytes32[](3);
        for (uint256 j = 0; j < 5; ++j) {
            for (uint256 up = 0; up < 3; ++up) {
                proof[up] = nodes[((8 + j) >> up) ^ 1];
            }
            Status expected = j == 2 ? Status.Unknown : Status.Posted;
            yes("status", chain.status(postings[j].claim, Inclusion(batchId, j, proof)) == expected);
        }
        yes("not beyond the count", chain.status(postings[0].claim, Inclusion(batchId, 5, proof)) == Status.Unknown);
        yes("not elsewhere", chain.status(postings[0].claim, Inclusion(batchId, 1, proof)) == Status.Unknown);
        yes(
            "not another depth",
            chain.status(postings[0].claim, Inclusion(batchId, 0, new bytes32[](2))) == Status.Unknown
        );
        yes("no such batch", chain.status(postings[0].claim, Inclusion(batchId + 1, 0, proof)) == Status.Unknown);
    }

    function test_postBatch_unknownModel_isSkipped() public {
        Claim memory claim = claimOf(model, Traces.honest());
        claim.modelId = ModelId.wrap(bytes32(uint256(1)));
        skipsClaim(claim, Models.UnknownModel.selector);
    }

    function test_postBatch_traceRootMissing_isSkipped() public {
        Claim memory claim = claimOf(model, Traces.honest());
        claim.traceRoot = 0;
        Posting memory posting = postingOf(claim, Traces.honest());
        Group[] memory groups = Groups.single(posting);
        groups[0].sections[0].records = abi.encodePacked(bytes32(0), groups[0].sections[0].records);
        skips(posting, groups, Postings.TraceRootMissing.selector);
    }

    function test_postBatch_traceRootUnexpected_isSkipped() public {
        Claim memory claim = claimOf(lazyModel, Traces.honest());
        claim.traceRoot = bytes32(uint256(1));
        skipsClaim(claim, Postings.RecordsLength.selector);
    }

    function test_postBatch_expired_isSkipped() public {
        Claim memory claim = claimOf(model, Traces.honest());
        Claim memory later = claimOf(model, Traces.honest());
        wait(10);
        Posted memory posted = post(claim, Traces.honest());
        yes("in time", chain.status(claim, posted.inclusion) == Status.Posted);
        wait(1);
        skipsClaim(later, Postings.ClaimExpired.selector);
    }

    function test_postBatch_replayed_isSkipped() public {
        Posted memory posted = post(model, Traces.honest());
        skipsClaim(posted.claim, Nonces.NonceUsed.selector);
    }

    function test_postBatch_duplicateInBatch_countsOnce() public {
        Posting[] memory postings = new Posting[](2);
        postings[0] = postingOf(claimOf(model, Traces.honest()), Traces.honest());
        postings[1] = postings[0];
        chain.postBatch(Groups.single(postings));
        same("one bond", chain.locked(claimant), CLAIM_BOND);
        bytes32 leaf = sha256(abi.encodePacked(hex"04", chain.claimIdOf(postings[0].claim)));
        (bytes32 root,,,,) = chain.batches(0);
        same("root", root, sha256(abi.encodePacked(leaf, sha256(hex"05"))));
    }

    function test_postBatch_cancelledNonce_isSkipped() public {
        Claim memory claim = claimOf(model, Traces.honest());
        VM.prank(claimant);
        chain.cancelNonce(claim.nonce);
        wait(DELAY);
        claim.validUntil = uint64(time);
        skipsClaim(claim, Nonces.NonceUsed.selector);
    }

    function test_postBatch_noFreeBond_isSkipped() public {
        VM.prank(claimant);
        chain.announceWithdrawal(1000 ether - CLAIM_BOND + 1);
        wait(DELAY);
        VM.prank(claimant);
        chain.completeWithdrawal();
        skipsClaim(claimOf(model, Traces.honest()), Ledger.InsufficientBalance.selector);
    }

    function test_postBatch_tooLarge_isSkipped() public {
        bytes memory inputs = abi.encodePacked(hex"01000701", uint32(96 * 1024));
        bytes memory large = abi.encodePacked(
            uint16(2), uint8(1), uint8(1), uint8(7), uint32(2), inputs, hex"01", uint32(1), hex"000701", uint32(1)
        );
        Claim memory claim = claimOf(lazyModel, Traces.honest());
        claim.modelId = chain.registerModel(abi.encodePacked(large), "");
        skipsClaim(claim, Postings.PostingTooLarge.selector);
    }

    function test_postBatch_badSignature_isSkipped() public {
        Posting memory posting = postingOf(claimOf(model, Traces.honest()), Traces.honest());
        bytes memory good = posting.signature;
        posting.signature = signed(0xe5e, ClaimId.unwrap(chain.claimIdOf(posting.claim)));
        skips(posting, Postings.BadSignature.selector);
        posting.signature = good;
        posting.claim.requestId = bytes32(uint256(1));
        skips(posting, Postings.BadSignature.selector);
        posting.signature = "";
        skips(posting, Postings.BadSignature.selector);
    }

    function test_postBatch_recordsLength_isSkipped() public {
        Posting memory posting = postingOf(claimOf(model, Traces.honest()), Traces.honest());
        bytes memory input = posting.input;
        posting.input = abi.encodePacked(posting.input, hex"00");
        skips(posting, Postings.RecordsLength.selector);
        (posting.input, posting.output) = (input, new bytes(119));
        skips(posting, Postings.RecordsLength.selector);
    }

    function test_postBatch_otherInput_isSkipped() public {
        Posting memory posting = postingOf(claimOf(model, Traces.honest()), Traces.honest());
        posting.input[1519] ^= 0x80;
        skips(posting, Postings.BadSignature.selector);
    }

    function test_postBatch_otherOutput_isSkipped() public {
        Posting memory posting = postingOf(claimOf(model, Traces.honest()), Traces.honest());
        posting.output[0] ^= 0x01;
        skips(posting, Postings.BadSignature.selector);
    }

    function test_cancelNonce_used_reverts() public {
        Posted memory posted = post(model, Traces.honest());
        VM.expectRevert(abi.encodeWithSelector(Nonces.NonceUsed.selector, claimant, posted.claim.nonce));
        VM.prank(claimant);
        chain.cancelNonce(posted.claim.nonce);
    }

    function testFuzz_cancelNonce_onlyThatOne_succeeds(uint256 nonce, uint256 other) public {
        VM.assume(nonce != other);
        VM.prank(EVE);
        chain.cancelNonce(nonce);
        wait(DELAY);
        yes("used", chain.isNonceUsed(EVE, nonce));
        yes("not the other", !chain.isNonceUsed(EVE, other));
        yes("not somebody else's", !chain.isNonceUsed(ALICE, nonce));
    }

    function test_isFinal_windowEnd_isNotYet() public {
        Posted memory posted = post(model, Traces.honest());
        wait(WINDOW);
        yes("at its end", !chain.isFinal(posted.claim, posted.inclusion));
        wait(1);
        yes("after it", chain.isFinal(posted.claim, posted.inclusion));
    }

    function test_isFinal_openGame_isNotYet() public {
        Posted memory posted = post(model, Traces.honest());
        wait(WINDOW);
        challenge(ALICE, posted);
        wait(SPACING + 1);
        yes("challenged", chain.status(posted.claim, posted.inclusion) == Status.Challenged);
        yes("not final", !chain.isFinal(posted.claim, posted.inclusion));
    }

    function test_release_final_succeeds() public {
        Posted memory posted = post(model, Traces.honest());
        wait(WINDOW + 1);
        VM.prank(EVE);
        chain.release(posted.claim, posted.inclusion);
        same("free", chain.balance(claimant), 1000 ether);
        same("locked", chain.locked(claimant), 0);
        yes("released", chain.isReleased(posted.inclusion.batchId, 0));
    }

    function test_release_twice_reverts() public {
        Posted memory posted = post(model, Traces.honest());
        post(model, Traces.honest());
        wait(WINDOW + 1);
        chain.release(posted.claim, posted.inclusion);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.AlreadyReleased.selector, posted.id));
        chain.release(posted.claim, posted.inclusion);
    }

    function test_releaseAll_freesFinalOnes_passesOverOthers_succeeds() public {
        Posted memory released = post(model, Traces.honest());
        Posted memory final_ = post(model, Traces.honest());
        Posted memory another = post(model, Traces.honest());
        wait(WINDOW + 1);
        Posted memory early = post(model, Traces.honest());
        chain.release(released.claim, released.inclusion);
        Posted[5] memory all = [early, released, final_, final_, another];
        Claim[] memory claims = new Claim[](5);
        Inclusion[] memory inclusions = new Inclusion[](5);
        for (uint256 j = 0; j < 5; ++j) {
            (claims[j], inclusions[j]) = (all[j].claim, all[j].inclusion);
        }
        VM.prank(EVE);
        chain.releaseAll(claims, inclusions);
        same("locked", chain.locked(claimant), CLAIM_BOND);
        yes("final", chain.isReleased(final_.inclusion.batchId, 0));
        yes("another", chain.isReleased(another.inclusion.batchId, 0));
        yes("early", !chain.isReleased(early.inclusion.batchId, 0));
    }

    function test_releaseAll_fewerInclusions_reverts() public {
        Posted memory posted = post(model, Traces.honest());
        wait(WINDOW + 1);
        Claim[] memory claims = new Claim[](1);
        claims[0] = posted.claim;
        VM.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x32));
        chain.releaseAll(claims, new Inclusion[](0));
        yes("locked", !chain.isReleased(posted.inclusion.batchId, 0));
    }

    function test_release_early_reverts() public {
        Posted memory posted = post(model, Traces.honest());
        wait(WINDOW);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NotFinal.selector, posted.id, Status.Posted));
        chain.release(posted.claim, posted.inclusion);
    }

    function test_release_invalid_reverts() public {
        Posted memory posted = post(model, Traces.honest());
        GameId gameId = challenge(ALICE, posted);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        yes("convicted", isConvicted(posted.id));
        wait(WINDOW + 1);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NotFinal.selector, posted.id, Status.Invalid));
        chain.release(posted.claim, posted.inclusion);
    }

    function test_release_notIncluded_reverts() public {
        Posted memory posted = post(model, Traces.honest());
        wait(WINDOW + 1);
        posted.claim.nonce += 1;
        ClaimId other = chain.claimIdOf(posted.claim);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NotFinal.selector, other, Status.Unknown));
        chain.release(posted.claim, posted.inclusion);
    }
}
