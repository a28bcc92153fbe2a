// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "../src/DisputeGame.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {Claim, Status} from "../src/types/Claim.sol";
import {Clocks, GameRef, Move, Rule, Side} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {ClaimId, GameId} from "../src/types/Ids.sol";
import {Params} from "../src/types/Params.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {ToyProver} from "./ToyProver.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev What must always hold (SECURITY.md), each with the attack that tries to break it.
contract DisputeAttacksTest is World {
    using Traces for Trace;

    uint256 private constant LEAF = 9;
    uint128 private constant PLACE = 32 + 9;

    /// @dev Whether the low-level call succeeds, made by somebody.
    function tries(address sender, bytes memory call) private returns (bool success) {
        VM.prank(sender);
        (success,) = address(game).call(call);
    }

    function turnOf(GameId gameId) private view returns (Side turn) {
        (, turn,,) = game.stateOf(refOf(gameId));
    }

    function commitmentOf(Posted memory posted, address challenger) private view returns (bytes32) {
        return game.commitmentOf(posted.id, posted.trace.root(), challenger, Gindex.wrap(PLACE), 0);
    }

    function proofCall(GameId gameId, Claim memory claim) private view returns (bytes memory) {
        return abi.encodeCall(
            DisputeGame.prove, (moveOf(gameId), claim, Gindex.wrap(PLACE), bytes32(0), Rule.Step, difference(1, 2))
        );
    }

    function test_sybils_oneOpeningAnswersAll() public {
        Posted memory posted = post(model, Traces.honest());
        GameId[] memory games = new GameId[](6);
        for (uint256 j = 0; j < games.length; ++j) {
            games[j] = challenge(j < 3 ? ALICE : BOB, posted);
        }
        wait(CLOCK);
        reveal(games[0], posted.trace);
        for (uint256 j = 0; j < games.length; ++j) {
            yes("challenger's turn", turnOf(games[j]) == Side.Challenger);
        }
        wait(CLOCK + 1);
        uint256 before = chain.earnings(claimant);
        game.timeout(all(games));
        same("each pays", chain.earnings(claimant), before + games.length * MOVE_FEE);
        wait(WINDOW);
        yes("the claim stands", chain.isFinal(posted.claim, posted.inclusion));
        chain.release(posted.claim, posted.inclusion);
    }

    /// @dev A game that stands on a node that another one had opened is in its challenger's turn at once.
    function test_sybils_lateGame_chargesItsChallenger() public {
        Posted memory posted = post(model, Traces.honest());
        GameId first = challenge(ALICE, posted);
        reveal(first, posted.trace);
        wait(50);
        GameId second = challenge(BOB, posted);
        wait(30);
        (, Side turn, Clocks memory clocks,) = game.stateOf(refOf(second));
        yes("challenger's turn", turn == Side.Challenger);
        same("defender's time", Duration.unwrap(clocks.defender), CLOCK);
        same("challenger's time", Duration.unwrap(clocks.challenger), CLOCK - 30);
    }

    function test_selfChallenge_lost_protectsNothing() public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        fund(claimant, CHALLENGE_BOND);
        GameId own = challenge(claimant, posted);
        reveal(own, posted.trace);
        wait(CLOCK + 1);
        game.timeout(one(own));
        yes("not final", chain.status(posted.claim, posted.inclusion) == Status.Posted);
        GameId honest = challenge(ALICE, posted, commitmentOf(posted, ALICE));
        wait(1);
        prove(ALICE, honest, posted.claim, PLACE, Rule.Step, difference(1, 2));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_selfChallenge_open_blocksNobody() public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        fund(claimant, CHALLENGE_BOND);
        challenge(claimant, posted);
        GameId honest = challenge(ALICE, posted, commitmentOf(posted, ALICE));
        wait(1);
        prove(ALICE, honest, posted.claim, PLACE, Rule.Step, difference(1, 2));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_selfConviction_isALoss() public {
        fund(claimant, CHALLENGE_BOND);
        uint256 before = chain.balance(claimant) + CHALLENGE_BOND;
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        GameId own = challenge(claimant, posted, commitmentOf(posted, claimant));
        wait(1);
        prove(claimant, own, posted.claim, PLACE, Rule.Step, difference(1, 2));
        uint256 lost = before - chain.balance(claimant) - chain.earnings(claimant);
        yes("at least half is burned", lost >= CLAIM_BOND / 2 && chain.burned() == lost);
        same("nothing locked", chain.locked(claimant), 0);
    }

    function test_lostChallenge_endsItsOwnGameOnly() public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        GameId lost = challenge(BOB, posted);
        reveal(lost, posted.trace);
        wait(CLOCK);
        GameId other = challenge(ALICE, posted);
        wait(1);
        game.timeout(one(lost));
        yes("challenged", chain.status(posted.claim, posted.inclusion) == Status.Challenged);
        descendFrom(other, posted.trace);
        prove(ALICE, other, posted.claim, PLACE, Rule.Step, difference(1, 2));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    /// @dev The root is open already.
    function descendFrom(GameId gameId, Trace memory trace) private {
        select(ALICE, gameId, trace, PLACE);
        revealLeaf(gameId, trace);
        nextBlock();
    }

    function test_conviction_endsEveryOtherGame() public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        GameId sybil = challenge(BOB, posted);
        GameId honest = challenge(ALICE, posted, commitmentOf(posted, ALICE));
        wait(1);
        prove(ALICE, honest, posted.claim, PLACE, Rule.Step, difference(1, 2));
        bytes memory late = abi.encodeCall(DisputeGame.timeout, (one(sybil)));
        wait(CLOCK + 1);
        yes("no second verdict", !tries(BOB, late));
        yes("no second proof", !tries(BOB, proofCall(sybil, posted.claim)));
        game.reclaim(one(sybil));
        same("Bob's bond is whole", chain.earnings(BOB), 100 ether);
    }

    /// @dev At every second exactly one of the two can be had: the proof up to the deadline, the timeout after it.
    function testFuzz_proofAndTimeout_neverBoth(uint16 second, bool timeoutFirst, bool opened) public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        GameId gameId = challenge(ALICE, posted, commitmentOf(posted, ALICE));
        if (opened) reveal(gameId, posted.trace);
        uint256 late = 1 + uint256(second) % (2 * CLOCK);
        wait(late);
        bytes memory proof = proofCall(gameId, posted.claim);
        bytes memory collect = abi.encodeCall(DisputeGame.timeout, (one(gameId)));
        bool first = timeoutFirst ? tries(EVE, collect) : tries(ALICE, proof);
        bool other = timeoutFirst ? tries(ALICE, proof) : tries(EVE, collect);
        yes("one of the two", first != other);
        yes("by the clock", (timeoutFirst ? other : first) == (late <= CLOCK));
        bool invalid = chain.status(posted.claim, posted.inclusion) == Status.Invalid;
        yes("verdict", invalid == (late <= CLOCK || !opened));
    }

    function test_expired_uncollected_canNeverMove() public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        GameId gameId = challenge(ALICE, posted, commitmentOf(posted, ALICE));
        reveal(gameId, posted.trace);
        wait(CLOCK + 1);
        yes("no proof", !tries(ALICE, proofCall(gameId, posted.claim)));
        bytes memory down = abi.encodeCall(
            DisputeGame.select, (moveOf(gameId), Gindex.wrap(4), posted.trace.nodes[4], posted.trace.path(4, 1))
        );
        yes("no selection", !tries(ALICE, down));
        yes("no commitment", !tries(ALICE, abi.encodeCall(DisputeGame.commit, (moveOf(gameId), bytes32(0)))));
        yes("still open", chain.status(posted.claim, posted.inclusion) == Status.Challenged);
    }

    function test_openedAfterDeadline_savesNobody() public {
        Posted memory posted = post(model, Traces.honest());
        GameId gameId = challenge(ALICE, posted);
        wait(CLOCK + 1);
        reveal(gameId, posted.trace);
        (,,, Side expired) = game.stateOf(refOf(gameId));
        yes("the defender is late", expired == Side.Defender);
        wait(10 * CLOCK);
        game.timeout(one(gameId));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_copiedCommitment_earnsNothing() public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        bytes32 commitment = commitmentOf(posted, ALICE);
        GameId copied = challenge(fundedEve(), posted, commitment);
        GameId honest = challenge(ALICE, posted, commitment);
        wait(1);
        yes("the copy proves nothing", !tries(EVE, proofCall(copied, posted.claim)));
        yes("nor in the other's game", !tries(EVE, proofCall(honest, posted.claim)));
        bytes memory proof = proofCall(honest, posted.claim);
        yes("the original does", tries(ALICE, proof));
        same("reward", chain.earnings(ALICE), 100 ether + REWARD);
        same("the copier's bond", chain.locked(EVE), CHALLENGE_BOND);
    }

    /// @dev Who sees a pending proof and commits to its place in the same block comes too late.
    function test_copiedProof_commitsTooLate() public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        GameId honest = challenge(ALICE, posted, commitmentOf(posted, ALICE));
        wait(1);
        GameId copier = challenge(fundedEve(), posted, commitmentOf(posted, EVE));
        yes("too early", !tries(EVE, proofCall(copier, posted.claim)));
        bytes memory proof = proofCall(honest, posted.claim);
        yes("the original", tries(ALICE, proof));
        yes("nothing left", !tries(EVE, proofCall(copier, posted.claim)));
    }

    function fundedEve() private returns (address) {
        fund(EVE, 10 ether);
        return EVE;
    }

    /// @dev A commitment for one claim, root or challenger opens nothing elsewhere.
    function testFuzz_commitment_bindsEverything(uint8 field) public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        ClaimId claimId = posted.id;
        bytes32 root = posted.trace.root();
        address challenger = ALICE;
        uint128 place = PLACE;
        bytes32 salt = 0;
        field %= 5;
        if (field == 0) claimId = ClaimId.wrap(bytes32(uint256(1)));
        if (field == 1) root = 0;
        if (field == 2) challenger = BOB;
        if (field == 3) place += 1;
        if (field == 4) salt = bytes32(uint256(1));
        bytes32 commitment = game.commitmentOf(claimId, root, challenger, Gindex.wrap(place), salt);
        GameId gameId = challenge(ALICE, posted, commitment);
        wait(1);
        yes("refused", !tries(ALICE, proofCall(gameId, posted.claim)));
    }

    /// @dev A liar can't answer for a leaf by opening the same hash as an inner node of another claim.
    function test_innerNodeAsLeaf_isNotOpened() public {
        Posted memory other = post(model, Traces.honest());
        GameId elsewhere = challenge(BOB, other);
        reveal(elsewhere, other.trace);
        select(BOB, elsewhere, other.trace, 16);
        reveal(elsewhere, other.trace);
        same("opened one level", Timestamp.unwrap(game.openedAt(other.trace.nodes[16], 1)), time);

        Trace memory lie = Traces.honest();
        lie.nodes[PLACE] = other.trace.nodes[16];
        for (uint256 g = PLACE / 2; g != 0; g /= 2) {
            lie.nodes[g] = sha256(abi.encodePacked(hex"01", lie.nodes[2 * g], lie.nodes[2 * g + 1]));
        }
        Claim memory claim = claimOf(model, lie);
        Posted memory posted = post(claim, lie);
        GameId gameId = challenge(ALICE, posted);
        reveal(gameId, lie);
        select(ALICE, gameId, lie, PLACE);
        yes("the defender must give bytes", turnOf(gameId) == Side.Defender);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    /// @dev A child that is the zero hash is a node like any other, not "no node yet".
    function test_zeroChild_isNotTheRoot() public {
        Trace memory lie = Traces.honest();
        lie.nodes[5] = 0;
        lie.nodes[2] = sha256(abi.encodePacked(hex"01", lie.nodes[4], lie.nodes[5]));
        lie.nodes[1] = sha256(abi.encodePacked(hex"01", lie.nodes[2], lie.nodes[3]));
        Posted memory posted = post(model, lie);
        GameId gameId = challenge(ALICE, posted);
        reveal(gameId, lie);
        select(ALICE, gameId, lie, 5);
        (bytes32 node, Side turn,,) = game.stateOf(refOf(gameId));
        same("node", node, 0);
        yes("the defender has no preimage", turn == Side.Defender);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    /// @dev Being faster with one entry, and moving on, does not spoil the rest of a defender's batch.
    function test_frontRunReveal_batchStands() public {
        Posted memory posted = post(model, Traces.honest());
        Posted memory other = post(model, Traces.changed(LEAF, 6));
        GameId attacked = challenge(BOB, posted);
        GameId second = challenge(ALICE, other);
        bytes32[][] memory batch = new bytes32[][](2);
        batch[0] = posted.trace.children(1, 2);
        batch[1] = other.trace.children(1, 2);
        reveal(attacked, posted.trace);
        select(BOB, attacked, posted.trace, 6);
        VM.prank(claimant);
        game.reveal(batch);
        yes("the second is answered", turnOf(second) == Side.Challenger);
    }

    /// @dev After a reorganisation a move meets no game of another claim: it names its own, whose game there is none of.
    function test_reorganised_moveHitsNothing() public {
        Posted memory posted = post(model, Traces.honest());
        Posted memory other = post(model, Traces.changed(LEAF, 6));
        GameId gameId = challenge(ALICE, posted);
        GameRef memory elsewhere = refOf(challenge(ALICE, other));
        Move memory move = moveOf(gameId);
        move.game.claimId = elsewhere.claimId;
        yes(
            "refused, with the old root", !tries(ALICE, abi.encodeCall(DisputeGame.commit, (move, bytes32(uint256(1)))))
        );
        move.game.traceRoot = elsewhere.traceRoot;
        yes("refused", !tries(ALICE, abi.encodeCall(DisputeGame.commit, (move, bytes32(uint256(1))))));
    }

    /// @dev Nobody can play as another one's game: names that were not opened name no game.
    function testFuzz_forgedName_isNoGame(uint8 field, bytes32 value) public {
        Posted memory posted = post(model, Traces.changed(LEAF, 6));
        GameId gameId = challenge(ALICE, posted, commitmentOf(posted, ALICE));
        wait(CLOCK + 1);
        GameRef[] memory forged = one(gameId);
        bytes32 before = keccak256(abi.encode(forged));
        field %= 4;
        if (field == 0) forged[0].claimId = ClaimId.wrap(value);
        if (field == 1) forged[0].traceRoot = value;
        if (field == 2) forged[0].challenger = address(uint160(uint256(value)));
        if (field == 3) forged[0].counter = uint32(uint256(value));
        VM.assume(keccak256(abi.encode(forged)) != before);
        yes("no timeout", !tries(EVE, abi.encodeCall(DisputeGame.timeout, (forged))));
        game.timeout(one(gameId));
        yes("no bond", !tries(EVE, abi.encodeCall(DisputeGame.reclaim, (forged))));
    }

    /// @dev However many challengers play, an honest claim is final after window and one full game.
    function test_manyChallengers_finalityIsBounded() public {
        Posted memory posted = post(model, Traces.honest());
        wait(WINDOW);
        GameId[] memory games = new GameId[](8);
        for (uint256 j = 0; j < games.length; ++j) {
            games[j] = challenge(j % 2 == 0 ? ALICE : BOB, posted);
        }
        reveal(games[0], posted.trace);
        wait(2 * CLOCK);
        game.timeout(all(games));
        yes("final", chain.isFinal(posted.claim, posted.inclusion));
        chain.release(posted.claim, posted.inclusion);
        same("whole bond", chain.locked(claimant), 0);
    }

    /// @dev A fee beyond all money does not keep a lost game, and with it the claim, open for ever.
    function test_hugeMoveFee_lostGameEnds() public {
        Params memory terms = params();
        terms.moveFee = type(uint128).max;
        chain = deployed(terms, new ToyProver());
        game = DisputeGame(address(chain.game()));
        model = chain.registerModel(header(0), abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(2))));
        deposit(claimant, CLAIM_BOND);
        fund(ALICE, CHALLENGE_BOND);
        Posted memory posted = post(model, Traces.honest());
        GameId gameId = challenge(ALICE, posted);
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, 5);
        reveal(gameId, posted.trace);
        wait(CLOCK + 1);
        VM.prank(EVE);
        game.timeout(one(gameId));
        same("defender", chain.earnings(claimant), CHALLENGE_BOND - COLLECT_FEE);
        wait(WINDOW);
        yes("final", chain.isFinal(posted.claim, posted.inclusion));
    }
}
