// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "../src/DisputeGame.sol";
import {Games} from "../src/Games.sol";
import {Ledger} from "../src/Ledger.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {Claims} from "../src/libraries/Claims.sol";
import {Merkle} from "../src/libraries/Merkle.sol";
import {Position} from "../src/libraries/Position.sol";
import {Claim, Status} from "../src/types/Claim.sol";
import {Clocks, Game, GameRef, Move, Rule, Side} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {ClaimId, GameId} from "../src/types/Ids.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {HashMismatch, NoMismatch, RuleNotApplicable, WitnessLength} from "../src/types/Verdict.sol";
import {ToyProver} from "./ToyProver.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev Every move: that it does what it says, and every way in which it is refused.
contract DisputeGameTest is World {
    using Traces for Trace;

    /// @dev A leaf of value 2, the first op's output.
    uint256 private constant LEAF = 9;

    Posted private posted;
    GameId private gameId;

    /// @dev Alice has challenged a claim whose trace came with it.
    function setUp() public override {
        super.setUp();
        posted = post(model, Traces.changed(LEAF, 6));
        gameId = challenge(ALICE, posted);
    }

    /// @dev Alice has challenged a claim whose trace root is not known yet.
    function challengeRootless() private {
        posted = post(lazyModel, Traces.changed(LEAF, 6));
        gameId = challenge(ALICE, posted);
    }

    function state() private view returns (Side turn, Side expired) {
        (, turn,, expired) = game.stateOf(refOf(gameId));
    }

    function setTraceRoot() private {
        VM.prank(claimant);
        game.setTraceRoot(posted.id, posted.trace.root(), "");
    }

    function test_challenge_fromBalance_succeeds() public view {
        same("locked", chain.locked(ALICE), CHALLENGE_BOND);
        same("free", chain.earnings(ALICE), 90 ether);
        same("open games", openGames(posted.id), 1);
        (bytes32 node, Side turn, Clocks memory clocks, Side expired) = game.stateOf(refOf(gameId));
        same("node", node, posted.trace.root());
        yes("defender's turn", turn == Side.Defender && expired == Side.None);
        same("defender's time", Duration.unwrap(clocks.defender), CLOCK);
        same("challenger's time", Duration.unwrap(clocks.challenger), CLOCK);
        same("id", GameId.unwrap(gameId), keccak256(abi.encode(posted.id, posted.trace.root(), ALICE, 0)));
    }

    function test_challenge_withValue_succeeds() public {
        VM.deal(EVE, 12 ether);
        VM.prank(EVE);
        game.challenge{value: 12 ether}(posted.claim, posted.inclusion, 0);
        same("locked", chain.locked(EVE), CHALLENGE_BOND);
        same("free", chain.earnings(EVE), 2 ether);
        same("the game holds nothing", address(game).balance, 0);
    }

    function test_challenge_sameChallengerAgain_isAnotherGame() public {
        GameId second = challenge(ALICE, posted);
        yes("another id", GameId.unwrap(second) != GameId.unwrap(gameId));
        same("open games", openGames(posted.id), 2);
    }

    function test_challenge_windowEnd_succeeds() public {
        Posted memory other = post(model, Traces.honest());
        wait(WINDOW);
        challenge(BOB, other);
        same("open games", openGames(other.id), 1);
    }

    function test_challenge_windowOver_reverts() public {
        Posted memory other = post(model, Traces.honest());
        Timestamp end = Timestamp.wrap(uint40(time + WINDOW));
        wait(WINDOW + SPACING + 1);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.WindowOver.selector, end, uint256(time - SPACING)));
        challenge(BOB, other);
    }

    function test_challenge_notIncluded_reverts() public {
        posted.claim.nonce += 1;
        ClaimId other = chain.claimIdOf(posted.claim);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.NotIncluded.selector, other, posted.inclusion.batchId));
        challenge(BOB, posted);
    }

    function test_challenge_convicted_reverts() public {
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.AlreadyConvicted.selector, posted.id));
        challenge(BOB, posted);
    }

    function test_challenge_noBond_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Ledger.InsufficientEarnings.selector, EVE, 0, CHALLENGE_BOND));
        challenge(EVE, posted);
    }

    /// @dev A move that names another game is refused, since there is none.
    function strays(GameRef memory ref) private {
        GameId other = game.gameIdOf(ref.claimId, ref.traceRoot, ref.challenger, ref.counter);
        yes("another game", GameId.unwrap(other) != GameId.unwrap(gameId));
        Move memory move = Move(ref, posted.trace.root());
        VM.expectRevert(abi.encodeWithSelector(Games.GameOver.selector, other));
        VM.prank(ALICE);
        game.commit(move, bytes32(uint256(1)));
    }

    function test_move_otherGame_reverts() public {
        GameRef memory ref = refOf(gameId);
        ref.counter += 1;
        strays(ref);
    }

    function test_move_otherClaim_reverts() public {
        GameRef memory ref = refOf(gameId);
        ref.claimId = ClaimId.wrap(bytes32(uint256(1)));
        strays(ref);
    }

    function test_move_otherChallenger_reverts() public {
        GameRef memory ref = refOf(gameId);
        ref.challenger = BOB;
        strays(ref);
    }

    function test_move_otherTraceRoot_reverts() public {
        GameRef memory ref = refOf(gameId);
        ref.traceRoot = bytes32(uint256(1));
        strays(ref);
    }

    function test_move_traceRootNotThatOfDispute_reverts() public {
        challengeRootless();
        Move memory early = moveOf(gameId);
        setTraceRoot();
        VM.expectRevert(abi.encodeWithSelector(Games.WrongTraceRoot.selector, bytes32(0), posted.trace.root()));
        VM.prank(ALICE);
        game.commit(early, bytes32(uint256(1)));
    }

    function test_move_otherNode_reverts() public {
        Move memory move = moveOf(gameId);
        move.node = bytes32(uint256(1));
        VM.expectRevert(abi.encodeWithSelector(Games.WrongNode.selector, bytes32(uint256(1)), posted.trace.root()));
        VM.prank(ALICE);
        game.commit(move, bytes32(uint256(1)));
    }

    function test_move_ofStranger_reverts() public {
        Move memory move = moveOf(gameId);
        VM.expectRevert(abi.encodeWithSelector(Games.NotChallenger.selector, BOB));
        VM.prank(BOB);
        game.commit(move, bytes32(uint256(1)));
    }

    function test_move_defenderExpired_reverts() public {
        Move memory move = moveOf(gameId);
        wait(CLOCK + 1);
        VM.expectRevert(abi.encodeWithSelector(Games.ClockExpired.selector, gameId, Side.Defender));
        VM.prank(ALICE);
        game.commit(move, bytes32(uint256(1)));
    }

    function test_move_challengerExpired_reverts() public {
        reveal(gameId, posted.trace);
        Move memory move = moveOf(gameId);
        wait(CLOCK + 1);
        VM.expectRevert(abi.encodeWithSelector(Games.ClockExpired.selector, gameId, Side.Challenger));
        VM.prank(ALICE);
        game.commit(move, bytes32(uint256(1)));
    }

    function test_move_afterGame_reverts() public {
        GameId other = challenge(BOB, posted);
        wait(CLOCK + 1);
        game.timeout(one(other));
        Move memory move = moveOf(gameId);
        VM.expectRevert(abi.encodeWithSelector(Games.GameOver.selector, gameId));
        VM.prank(ALICE);
        game.commit(move, bytes32(uint256(1)));
    }

    function test_game_ended_leavesNothingBehind() public {
        walk(ALICE, gameId, posted.trace, LEAF);
        prove(ALICE, gameId, posted.claim, 32 + LEAF, Rule.Step, difference(-1, 5));
        Game memory none;
        same("deleted", keccak256(abi.encode(game.gameOf(gameId))), keccak256(abi.encode(none)));
    }

    function test_commit_again_replaces() public {
        Move memory move = moveOf(gameId);
        VM.prank(ALICE);
        game.commit(move, bytes32(uint256(1)));
        wait(1);
        VM.expectEmit(address(game));
        emit DisputeGame.Committed(gameId, bytes32(uint256(2)));
        VM.prank(ALICE);
        game.commit(move, bytes32(uint256(2)));
        Game memory stored = game.gameOf(gameId);
        same("commitment", stored.commitment, bytes32(uint256(2)));
        same("from this block on", stored.committedAt, height);
    }

    function test_setTraceRoot_byClaimant_succeeds() public {
        challengeRootless();
        (Side turn,) = state();
        yes("defender's turn", turn == Side.Defender);
        VM.expectEmit(address(game));
        emit DisputeGame.TraceRootSet(posted.id, posted.trace.root());
        setTraceRoot();
        same("root", game.disputeOf(posted.id).traceRoot, posted.trace.root());
        (turn,) = state();
        yes("still the defender's turn", turn == Side.Defender);
        reveal(gameId, posted.trace);
        (turn,) = state();
        yes("the challenger's turn", turn == Side.Challenger);
    }

    function test_setTraceRoot_withSignature_succeeds() public {
        challengeRootless();
        bytes32 content = keccak256(abi.encode(Claims.TRACE_ROOT_TYPEHASH, posted.id, posted.trace.root()));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", chain.domainSeparator(), content));
        VM.prank(EVE);
        game.setTraceRoot(posted.id, posted.trace.root(), signed(CLAIMANT_KEY, digest));
        same("root", game.disputeOf(posted.id).traceRoot, posted.trace.root());
    }

    function test_setTraceRoot_openedBefore_runsFromSetting() public {
        reveal(gameId, posted.trace);
        challengeRootless();
        wait(40);
        setTraceRoot();
        (, Side turn, Clocks memory clocks,) = game.stateOf(refOf(gameId));
        yes("opened for the other claim", turn == Side.Challenger);
        same("charged to the defender", Duration.unwrap(clocks.defender), CLOCK - 40);
        wait(3);
        (,, clocks,) = game.stateOf(refOf(gameId));
        same("charged to the challenger", Duration.unwrap(clocks.challenger), CLOCK - 3);
        same("the defender's stands", Duration.unwrap(clocks.defender), CLOCK - 40);
    }

    function test_setTraceRoot_stranger_reverts() public {
        challengeRootless();
        bytes memory forged = signed(0xe5e, bytes32(uint256(1)));
        VM.expectRevert(abi.encodeWithSelector(Games.NotClaimant.selector, posted.id));
        VM.prank(EVE);
        game.setTraceRoot(posted.id, bytes32(uint256(1)), forged);
    }

    function test_setTraceRoot_twice_reverts() public {
        challengeRootless();
        setTraceRoot();
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.TraceRootAlreadySet.selector, posted.id));
        VM.prank(claimant);
        game.setTraceRoot(posted.id, bytes32(uint256(1)), "");
    }

    function test_setTraceRoot_cameWithClaim_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.TraceRootAlreadySet.selector, posted.id));
        VM.prank(claimant);
        game.setTraceRoot(posted.id, bytes32(uint256(1)), "");
    }

    function test_setTraceRoot_zero_reverts() public {
        challengeRootless();
        VM.expectRevert(abi.encodeWithSelector(Games.NoTraceRoot.selector, posted.id));
        VM.prank(claimant);
        game.setTraceRoot(posted.id, 0, "");
    }

    function test_setTraceRoot_notChallenged_reverts() public {
        Posted memory other = post(lazyModel, Traces.honest());
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NotChallenged.selector, other.id));
        VM.prank(claimant);
        game.setTraceRoot(other.id, bytes32(uint256(1)), "");
    }

    function test_setTraceRoot_convicted_reverts() public {
        challengeRootless();
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.AlreadyConvicted.selector, posted.id));
        VM.prank(claimant);
        game.setTraceRoot(posted.id, bytes32(uint256(1)), "");
    }

    function test_reveal_children_handsTurnOver() public {
        wait(30);
        bytes32[] memory children = posted.trace.children(1, 2);
        VM.expectEmit(address(game));
        emit DisputeGame.Revealed(posted.trace.root(), children);
        VM.prank(EVE);
        game.reveal(openingOf(1, posted.trace));
        wait(20);
        (, Side turn, Clocks memory clocks,) = game.stateOf(refOf(gameId));
        yes("challenger's turn", turn == Side.Challenger);
        same("defender's time", Duration.unwrap(clocks.defender), CLOCK - 30);
        same("challenger's time", Duration.unwrap(clocks.challenger), CLOCK - 20);
        same("opened", Timestamp.unwrap(game.openedAt(posted.trace.root(), 2)), time - 20);
    }

    function test_reveal_again_isPassedOver() public {
        game.reveal(openingOf(1, posted.trace));
        wait(5);
        bytes32[][] memory openings = new bytes32[][](2);
        openings[0] = posted.trace.children(1, 2);
        openings[1] = posted.trace.children(4, 2);
        game.reveal(openings);
        same("opened once", Timestamp.unwrap(game.openedAt(posted.trace.root(), 2)), time - 5);
        same("and the other", Timestamp.unwrap(game.openedAt(posted.trace.nodes[4], 2)), time);
    }

    /// @dev An opening is true whoever plays: it serves games that begin later as well.
    function test_reveal_ofEndedGame_servesLaterOnes() public {
        convictFirst();
        game.reveal(openingOf(1, posted.trace));
        Posted memory other = post(model, Traces.changed(LEAF, 6));
        GameId second = challenge(BOB, other);
        (, Side turn,,) = game.stateOf(refOf(second));
        yes("the second challenger's turn", turn == Side.Challenger);
    }

    function convictFirst() private {
        bytes32 commitment =
            game.commitmentOf(posted.id, posted.trace.root(), ALICE, Gindex.wrap(uint128(32 + LEAF)), 0);
        Move memory move = moveOf(gameId);
        VM.prank(ALICE);
        game.commit(move, commitment);
        wait(1);
        prove(ALICE, gameId, posted.claim, 32 + LEAF, Rule.Step, difference(4, 5));
    }

    function test_reveal_childCount_reverts() public {
        uint256[5] memory counts = [uint256(0), 1, 3, 5, 8];
        bytes32[][] memory openings = new bytes32[][](1);
        for (uint256 j = 0; j < counts.length; ++j) {
            openings[0] = new bytes32[](counts[j]);
            VM.expectRevert(abi.encodeWithSelector(DisputeGame.ChildCount.selector, counts[j], 4));
            game.reveal(openings);
        }
    }

    /// @dev What does not hash to the game's node opens some other one, and the game knows nothing of it.
    function test_reveal_otherChildren_openNothingHere() public {
        bytes32[][] memory openings = openingOf(1, posted.trace);
        openings[0][3] ^= bytes32(uint256(1));
        game.reveal(openings);
        (Side turn,) = state();
        yes("still the defender's turn", turn == Side.Defender);
    }

    function test_reveal_otherDepth_opensNothingHere() public {
        bytes32[][] memory openings = new bytes32[][](1);
        openings[0] = posted.trace.children(1, 1);
        game.reveal(openings);
        same("opened one level", Timestamp.unwrap(game.openedAt(posted.trace.root(), 1)), time);
        (Side turn,) = state();
        yes("still the defender's turn", turn == Side.Defender);
    }

    function test_reveal_beforeTraceRoot_runsFromSetting() public {
        challengeRootless();
        game.reveal(openingOf(1, posted.trace));
        (Side turn,) = state();
        yes("still the defender's turn", turn == Side.Defender);
        wait(7);
        setTraceRoot();
        (, Side next, Clocks memory clocks,) = game.stateOf(refOf(gameId));
        yes("the challenger's turn", next == Side.Challenger);
        same("charged to the defender", Duration.unwrap(clocks.defender), CLOCK - 7);
    }

    function test_revealLeaf_bytes_handsTurnOver() public {
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, 32 + LEAF);
        (Side turn,) = state();
        yes("defender's turn", turn == Side.Defender);
        VM.expectEmit(address(game));
        emit DisputeGame.LeafRevealed(posted.trace.nodes[32 + LEAF], posted.trace.leaves[LEAF]);
        game.revealLeaf(only(posted.trace.leaves[LEAF]));
        (turn,) = state();
        yes("challenger's turn", turn == Side.Challenger);
        wait(1);
        revealLeaf(gameId, posted.trace);
        same("opened once", Timestamp.unwrap(game.openedAt(posted.trace.nodes[32 + LEAF], 0)), time - 1);
    }

    /// @dev Bytes answer for a leaf and for nothing else: there is no inner node that they hash to.
    function test_revealLeaf_otherBytes_openNothingHere() public {
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, 32 + LEAF);
        game.revealLeaf(only(posted.trace.leaves[LEAF + 1]));
        (Side turn,) = state();
        yes("still the defender's turn", turn == Side.Defender);
    }

    function test_revealLeaf_length_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Merkle.LeafLength.selector, 1000));
        game.revealLeaf(only(new bytes(1000)));
    }

    function test_select_throughChildren_succeeds() public {
        wait(10);
        reveal(gameId, posted.trace);
        wait(20);
        VM.expectEmit(address(game));
        emit DisputeGame.Selected(gameId, Gindex.wrap(5), posted.trace.nodes[5]);
        select(ALICE, gameId, posted.trace, 5);
        Game memory stored = game.gameOf(gameId);
        same("node", stored.node, posted.trace.nodes[5]);
        same("defender's time", Duration.unwrap(stored.defenderLeft), CLOCK - 10);
        same("challenger's time", Duration.unwrap(stored.challengerLeft), CLOCK - 20);
        (Side turn,) = state();
        yes("defender's turn", turn == Side.Defender);
    }

    function testFuzz_select_anyDescendant_succeeds(uint8 seed) public {
        uint256 gindex = 4 + seed % 60;
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, gindex);
        same("node", game.gameOf(gameId).node, posted.trace.nodes[gindex]);
    }

    function test_select_notOpened_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Games.NotOpened.selector, posted.trace.root()));
        this.selectRaw(4, posted.trace.nodes[4], posted.trace.path(4, 1));
    }

    function selectRaw(uint128 gindex, bytes32 node, bytes memory siblings) external {
        Move memory move = moveOf(gameId);
        VM.prank(ALICE);
        game.select(move, Gindex.wrap(gindex), node, siblings);
    }

    /// @dev Else a challenger could have every level of the tree answered on its own.
    function test_select_aboveWhatWasOpened_reverts() public {
        reveal(gameId, posted.trace);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.CannotSelect.selector, 2));
        this.selectRaw(2, posted.trace.nodes[2], posted.trace.path(2, 1));
        select(ALICE, gameId, posted.trace, 4);
        reveal(gameId, posted.trace);
        // An entry is a place, so that a game may stop at it, although two levels were opened.
        select(ALICE, gameId, posted.trace, 8);
        reveal(gameId, posted.trace);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.CannotSelect.selector, 16));
        this.selectRaw(16, posted.trace.nodes[16], posted.trace.path(16, 8));
        select(ALICE, gameId, posted.trace, 32);
    }

    function test_select_sameNode_reverts() public {
        reveal(gameId, posted.trace);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.CannotSelect.selector, 1));
        this.selectRaw(1, posted.trace.root(), "");
    }

    function test_select_belowLeaf_reverts() public {
        reveal(gameId, posted.trace);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.CannotSelect.selector, 64));
        this.selectRaw(64, 0, new bytes(32 * 6));
    }

    function test_select_elsewhere_reverts() public {
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, 5);
        reveal(gameId, posted.trace);
        VM.expectRevert(abi.encodeWithSelector(Position.NotBelow.selector, 5, 9));
        this.selectRaw(9, posted.trace.nodes[9], posted.trace.path(9, 1));
        VM.expectRevert(abi.encodeWithSelector(Position.NotBelow.selector, 5, 4));
        this.selectRaw(4, posted.trace.nodes[4], "");
    }

    function test_select_otherHash_reverts() public {
        reveal(gameId, posted.trace);
        VM.expectPartialRevert(HashMismatch.selector);
        this.selectRaw(5, posted.trace.nodes[4], posted.trace.path(5, 1));
    }

    function test_select_siblingCount_reverts() public {
        reveal(gameId, posted.trace);
        VM.expectRevert(abi.encodeWithSelector(Merkle.SiblingCount.selector, 96, 64));
        this.selectRaw(5, posted.trace.nodes[5], abi.encodePacked(posted.trace.path(5, 1), bytes32(0)));
    }

    function test_prove_stepOnPath_convicts() public {
        walk(ALICE, gameId, posted.trace, LEAF);
        VM.expectEmit(address(game));
        emit Games.Convicted(
            posted.id,
            gameId,
            Rule.Step,
            Gindex.wrap(uint128(32 + LEAF)),
            2,
            3,
            0,
            bytes32(type(uint256).max),
            bytes32(uint256(5))
        );
        prove(ALICE, gameId, posted.claim, 32 + LEAF, Rule.Step, difference(-1, 5));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
        same("challenger", chain.earnings(ALICE), 100 ether + REWARD);
        same("challenger's bond", chain.locked(ALICE), 0);
        same("claimant's bond", chain.locked(claimant), 0);
        same("burned", chain.burned(), CLAIM_BOND - REWARD);
        same("no open game", openGames(posted.id), 0);
    }

    function test_prove_stepBeforeReveal_convicts() public {
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, 32 + LEAF);
        nextBlock();
        prove(ALICE, gameId, posted.claim, 32 + LEAF, Rule.Step, difference(-1, 5));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_prove_committedInChallenge_convicts() public {
        Posted memory other = post(model, Traces.changed(LEAF, 7));
        bytes32 commitment = game.commitmentOf(other.id, other.trace.root(), BOB, Gindex.wrap(uint128(32 + LEAF)), 0);
        GameId direct = challenge(BOB, other, commitment);
        wait(1);
        prove(BOB, direct, other.claim, 32 + LEAF, Rule.Step, difference(-1, 5));
        yes("invalid", chain.status(other.claim, other.inclusion) == Status.Invalid);
    }

    function test_prove_committedInSameBlock_reverts() public {
        Posted memory other = post(model, Traces.changed(LEAF, 7));
        bytes32 commitment = game.commitmentOf(other.id, other.trace.root(), BOB, Gindex.wrap(uint128(32 + LEAF)), 0);
        GameId direct = challenge(BOB, other, commitment);
        VM.expectRevert(abi.encodeWithSelector(Games.PlaceNotReached.selector, direct, 32 + LEAF));
        this.proveRaw(BOB, direct, other.claim, 32 + LEAF, Rule.Step, difference(-1, 5));
    }

    function proveRaw(address challenger, GameId id, Claim memory claim, uint256 place, Rule rule, bytes memory witness)
        external
    {
        prove(challenger, id, claim, place, rule, witness);
    }

    /// @dev Alice proves, and it is refused.
    function refused(bytes memory reason, uint256 place, Rule rule, bytes memory witness) private {
        VM.expectRevert(reason);
        this.proveRaw(ALICE, gameId, posted.claim, place, rule, witness);
        yes("still challenged", chain.status(posted.claim, posted.inclusion) == Status.Challenged);
    }

    /// @dev Lets Alice's game stand on a place of an execution with this trace.
    function standOn(Trace memory trace, uint256 place) private {
        posted = post(model, trace);
        gameId = challenge(ALICE, posted);
        reveal(gameId, trace);
        select(ALICE, gameId, trace, place);
        nextBlock();
    }

    function test_prove_notReached_reverts() public {
        refused(
            abi.encodeWithSelector(Games.PlaceNotReached.selector, gameId, 32 + LEAF),
            32 + LEAF,
            Rule.Step,
            difference(-1, 5)
        );
    }

    function test_prove_otherClaim_reverts() public {
        walk(ALICE, gameId, posted.trace, LEAF);
        Claim memory other = posted.claim;
        other.inputRoot = 0;
        ClaimId otherId = chain.claimIdOf(other);
        VM.expectRevert(abi.encodeWithSelector(Games.WrongClaim.selector, posted.id, otherId));
        this.proveRaw(ALICE, gameId, other, 32 + LEAF, Rule.Step, difference(-1, 5));
    }

    function test_prove_rootless_reverts() public {
        challengeRootless();
        refused(abi.encodeWithSelector(Games.NoTraceRoot.selector, posted.id), 1, Rule.Step, difference(-1, 5));
    }

    function test_prove_equalElements_reverts() public {
        walk(ALICE, gameId, posted.trace, LEAF);
        bytes memory reason = abi.encodeWithSelector(NoMismatch.selector, 32 + LEAF);
        refused(reason, 32 + LEAF, Rule.Step, difference(5, 5));
        refused(reason, 32 + LEAF, Rule.Padding, difference(5, 5));
    }

    function test_prove_proverReverts_reverts() public {
        walk(ALICE, gameId, posted.trace, LEAF);
        bytes memory reason = abi.encodeWithSelector(ToyProver.Refused.selector);
        refused(reason, 32 + LEAF, Rule.Step, "");
        refused(reason, 32 + LEAF, Rule.Padding, "");
    }

    function test_prove_opPadding_convicts() public {
        walk(ALICE, gameId, posted.trace, LEAF);
        prove(ALICE, gameId, posted.claim, 32 + LEAF, Rule.Padding, difference(1, 0));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_prove_wrongRuleForPlace_reverts() public {
        uint256 leaf = 32 + LEAF;
        walk(ALICE, gameId, posted.trace, LEAF);
        refused(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Input, leaf), leaf, Rule.Input, "");
        refused(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Output, leaf), leaf, Rule.Output, "");
        refused(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Timeout, leaf), leaf, Rule.Timeout, "");
    }

    function test_prove_stepAtEntry_reverts() public {
        standOn(Traces.changed(LEAF, 8), 10);
        bytes memory witness = difference(1, 2);
        refused(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Step, 10), 10, Rule.Step, witness);
        refused(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Padding, 10), 10, Rule.Padding, witness);
    }

    function test_prove_stepOfInput_reverts() public {
        standOn(Traces.changed(LEAF, 8), 32);
        refused(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Step, 32), 32, Rule.Step, difference(1, 2));
    }

    function test_prove_stepOfUnusedEntry_reverts() public {
        standOn(Traces.changed(LEAF, 8), 32 + 20);
        refused(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Step, 52), 52, Rule.Step, difference(1, 2));
    }

    function paddingWitness(Trace memory trace, uint256 leaf) private pure returns (bytes memory) {
        return abi.encodePacked(trace.leaves[leaf], trace.path(32 + leaf, 1));
    }

    function provePadding(Trace memory trace, uint256 leaf, uint256 byteIndex, uint256 value) private {
        standOn(trace, 32 + leaf);
        VM.expectEmit(address(game));
        emit Games.Convicted(
            posted.id, gameId, Rule.Padding, Gindex.wrap(uint128(32 + leaf)), leaf / 4, byteIndex, 0, bytes32(value), 0
        );
        prove(ALICE, gameId, posted.claim, 32 + leaf, Rule.Padding, paddingWitness(trace, leaf));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    /// @dev Posts the honest bytes with a trace that differs in padding: the claim's roots are the honest ones.
    function paddedTrace(uint256 leaf, uint256 byteIndex) private returns (Trace memory trace) {
        trace = Traces.changed(leaf, byteIndex);
        Claim memory claim = claimOf(model, Traces.honest());
        claim.traceRoot = trace.root();
        posted = post(claim, Traces.honest());
        posted.trace = trace;
        gameId = challenge(ALICE, posted);
        reveal(gameId, trace);
        select(ALICE, gameId, trace, 32 + leaf);
        nextBlock();
    }

    function test_prove_inputPadding_convicts() public {
        Trace memory trace = paddedTrace(1, 476);
        VM.expectEmit(address(game));
        emit Games.Convicted(posted.id, gameId, Rule.Padding, Gindex.wrap(33), 0, 476, 0, bytes32(uint256(1)), 0);
        prove(ALICE, gameId, posted.claim, 33, Rule.Padding, paddingWitness(trace, 1));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_prove_inputPaddingLeaf_convicts() public {
        Trace memory trace = paddedTrace(3, 0);
        prove(ALICE, gameId, posted.claim, 35, Rule.Padding, paddingWitness(trace, 3));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_prove_unusedEntry_convicts() public {
        provePadding(Traces.changed(31, 1023), 31, 1023, 1);
    }

    function test_prove_inputElement_isNoPadding() public {
        Trace memory trace = paddedTrace(1, 475);
        refused(abi.encodeWithSelector(NoMismatch.selector, 33), 33, Rule.Padding, paddingWitness(trace, 1));
    }

    function test_prove_zeroPadding_reverts() public {
        Trace memory trace = Traces.changed(LEAF, 9);
        standOn(trace, 32 + 20);
        refused(abi.encodeWithSelector(NoMismatch.selector, 52), 52, Rule.Padding, paddingWitness(trace, 20));
    }

    function test_prove_paddingWitness_reverts() public {
        Trace memory trace = Traces.changed(31, 1023);
        standOn(trace, 63);
        bytes memory witness = paddingWitness(trace, 31);
        bytes memory longer = abi.encodePacked(witness, hex"00");
        refused(abi.encodeWithSelector(WitnessLength.selector, 1185, 1184), 63, Rule.Padding, longer);
        witness[5] ^= 0x01;
        VM.expectPartialRevert(HashMismatch.selector);
        this.proveRaw(ALICE, gameId, posted.claim, 63, Rule.Padding, witness);
    }

    function entryWitness(Trace memory trace, uint256 value, uint8 which, bytes32 root, bytes32 sibling)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(trace.entry(value), trace.path(8 + value, 1), which, root, sibling);
    }

    function test_prove_input_convicts() public {
        Trace memory honest = Traces.honest();
        Trace memory trace = paddedTrace(0, 3);
        GameId second = challenge(BOB, posted);
        select(BOB, second, trace, 8);
        nextBlock();
        VM.expectEmit(address(game));
        emit Games.Convicted(posted.id, second, Rule.Input, Gindex.wrap(8), 0, 0, 0, trace.entry(0), honest.entry(0));
        prove(BOB, second, posted.claim, 8, Rule.Input, entryWitness(trace, 0, 0, honest.entry(0), honest.entry(1)));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_prove_output_convicts() public {
        Trace memory honest = Traces.honest();
        Trace memory trace = paddedTrace(3 * 4, 3);
        GameId second = challenge(BOB, posted);
        select(BOB, second, trace, 11);
        nextBlock();
        prove(BOB, second, posted.claim, 11, Rule.Output, entryWitness(trace, 3, 1, honest.entry(3), honest.entry(4)));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_prove_outputOfHonestTrace_convicts() public {
        Trace memory honest = Traces.honest();
        Trace memory told = Traces.changed(4 * 4, 2);
        Claim memory claim = claimOf(model, told);
        claim.traceRoot = honest.root();
        posted = post(claim, told);
        bytes32 commitment = game.commitmentOf(posted.id, honest.root(), ALICE, Gindex.wrap(12), 0);
        gameId = challenge(ALICE, posted, commitment);
        wait(1);
        bytes memory witness = entryWitness(honest, 4, 0, told.entry(4), honest.entry(3));
        prove(ALICE, gameId, posted.claim, 12, Rule.Output, witness);
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
    }

    function test_prove_equalEntries_reverts() public {
        Trace memory trace = Traces.changed(LEAF, 9);
        standOn(trace, 8);
        refused(
            abi.encodeWithSelector(NoMismatch.selector, 8),
            8,
            Rule.Input,
            entryWitness(trace, 0, 0, trace.entry(0), trace.entry(1))
        );
        standOn(trace, 12);
        refused(
            abi.encodeWithSelector(NoMismatch.selector, 12),
            12,
            Rule.Output,
            entryWitness(trace, 4, 0, trace.entry(4), trace.entry(3))
        );
    }

    function test_prove_otherTensorOfClaim_reverts() public {
        Trace memory trace = Traces.changed(LEAF, 9);
        standOn(trace, 8);
        bytes memory reason = abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Input, 8);
        refused(reason, 8, Rule.Input, entryWitness(trace, 0, 1, trace.entry(1), trace.entry(0)));
        refused(reason, 8, Rule.Input, entryWitness(trace, 0, 2, trace.entry(1), trace.entry(0)));
        reason = abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Output, 8);
        refused(reason, 8, Rule.Output, entryWitness(trace, 0, 0, trace.entry(4), trace.entry(3)));
    }

    function test_prove_forgedEntry_reverts() public {
        Trace memory trace = Traces.changed(LEAF, 9);
        standOn(trace, 8);
        bytes memory witness = entryWitness(trace, 0, 0, trace.entry(0), trace.entry(1));
        witness[0] ^= 0x01;
        VM.expectPartialRevert(HashMismatch.selector);
        this.proveRaw(ALICE, gameId, posted.claim, 8, Rule.Input, witness);
        witness = entryWitness(trace, 0, 0, bytes32(uint256(1)), trace.entry(1));
        VM.expectPartialRevert(HashMismatch.selector);
        this.proveRaw(ALICE, gameId, posted.claim, 8, Rule.Input, witness);
        refused(abi.encodeWithSelector(WitnessLength.selector, 0, 32 * 4 + 1 + 64), 8, Rule.Input, "");
    }

    function test_timeout_defender_convicts() public {
        wait(CLOCK + 1);
        VM.expectEmit(address(game));
        emit Games.Convicted(posted.id, gameId, Rule.Timeout, Gindex.wrap(1), 0, 0, 0, 0, 0);
        VM.prank(EVE);
        game.timeout(one(gameId));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
        same("collector", chain.earnings(EVE), COLLECT_FEE);
        same("challenger", chain.earnings(ALICE), 100 ether + REWARD);
        same("burned", chain.burned(), CLAIM_BOND - REWARD - COLLECT_FEE);
    }

    function test_timeout_challenger_paysDefender() public {
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, 5);
        reveal(gameId, posted.trace);
        wait(CLOCK + 1);
        uint256 before = chain.earnings(claimant);
        VM.expectEmit(address(game));
        emit Games.ChallengeLost(posted.id, gameId, EVE, 2 * MOVE_FEE);
        VM.prank(EVE);
        game.timeout(one(gameId));
        same("defender", chain.earnings(claimant), before + 2 * MOVE_FEE);
        same("collector", chain.earnings(EVE), COLLECT_FEE);
        same("burned", chain.burned(), CHALLENGE_BOND - COLLECT_FEE - 2 * MOVE_FEE);
        same("bond", chain.locked(ALICE), 0);
        same("claim's bond stays", chain.locked(claimant), CLAIM_BOND);
        same("no open game", openGames(posted.id), 0);
    }

    /// @dev The most answers that there can be: one for every two levels, one at the entry, and the leaf's bytes.
    function test_timeout_longestWay_paysEveryAnswer() public {
        uint8[3] memory way = [4, 8, 32];
        for (uint256 j = 0; j < way.length; ++j) {
            reveal(gameId, posted.trace);
            select(ALICE, gameId, posted.trace, way[j]);
        }
        revealLeaf(gameId, posted.trace);
        wait(CLOCK + 1);
        uint256 before = chain.earnings(claimant);
        VM.prank(EVE);
        game.timeout(one(gameId));
        same("defender", chain.earnings(claimant), before + 4 * MOVE_FEE);
        same("burned", chain.burned(), CHALLENGE_BOND - COLLECT_FEE - 4 * MOVE_FEE);
    }

    function test_timeout_defenderAtDeadline_reverts() public {
        wait(CLOCK);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToCollect.selector));
        game.timeout(one(gameId));
        reveal(gameId, posted.trace);
        wait(1);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToCollect.selector));
        game.timeout(one(gameId));
    }

    function test_timeout_challengerAtDeadline_reverts() public {
        reveal(gameId, posted.trace);
        wait(CLOCK);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToCollect.selector));
        game.timeout(one(gameId));
        select(ALICE, gameId, posted.trace, 4);
        same("all time used", Duration.unwrap(game.gameOf(gameId).challengerLeft), 0);
    }

    function test_timeout_unknownOrEnded_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToCollect.selector));
        game.timeout(new GameRef[](1));
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToCollect.selector));
        game.timeout(one(gameId));
    }

    function test_timeout_batch_passesOverTheLiving() public {
        wait(CLOCK);
        GameId second = challenge(BOB, posted);
        wait(1);
        game.timeout(two(second, gameId));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
        game.reclaim(one(second));
        same("Bob's bond", chain.locked(BOB), 0);
    }

    function test_reclaim_otherGames_wholeBonds() public {
        GameId second = challenge(BOB, posted);
        GameId third = challenge(BOB, posted);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        same("still locked", chain.locked(BOB), 2 * CHALLENGE_BOND);
        VM.prank(EVE);
        game.reclaim(two(second, third));
        same("free", chain.earnings(BOB), 100 ether);
        same("nothing locked", chain.locked(BOB), 0);
    }

    function test_reclaim_twice_reverts() public {
        GameId second = challenge(BOB, posted);
        challenge(BOB, post(model, Traces.honest()));
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        game.reclaim(one(second));
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToReclaim.selector));
        game.reclaim(one(second));
    }

    function test_reclaim_liveGame_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToReclaim.selector));
        game.reclaim(one(gameId));
    }

    function test_reclaim_winningGame_reverts() public {
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.NothingToReclaim.selector));
        game.reclaim(one(gameId));
    }

    function test_stateOf_ended_reverts() public {
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        VM.expectRevert(abi.encodeWithSelector(Games.GameOver.selector, gameId));
        game.stateOf(refOf(gameId));
    }

    function test_parameters_areThoseOfTheDeployment() public view {
        same("parameters", keccak256(abi.encode(chain.parameters())), keccak256(abi.encode(params())));
    }
}
