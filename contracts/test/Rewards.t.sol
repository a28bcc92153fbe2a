// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "../src/DisputeGame.sol";
import {Claims} from "../src/libraries/Claims.sol";
import {GameRef, Move, Question, Rule} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {GameId} from "../src/types/Ids.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev Who is paid for a conviction, and who for the moves of a challenge that was lost.
contract RewardsTest is World {
    using Traces for Trace;

    uint256 private constant LEAF = 9;
    uint128 private constant PLACE = 32 + 9;

    Posted private posted;
    GameId private honest;
    GameId private copy;

    /// @dev Bob copies whatever Alice does; the root is open.
    function setUp() public override {
        super.setUp();
        posted = post(model, Traces.changed(LEAF, 6));
        honest = challenge(ALICE, posted);
        copy = challenge(BOB, posted);
        reveal(honest, posted.trace);
    }

    function proves(address sender, GameId gameId) private returns (bool success) {
        bytes memory call = abi.encodeCall(
            DisputeGame.prove,
            (moveOf(gameId), posted.claim, Gindex.wrap(PLACE), bytes32(0), Rule.Step, difference(1, 2))
        );
        VM.prank(sender);
        (success,) = address(game).call(call);
    }

    function rewarded(address winner) private {
        GameId[2] memory games = [honest, copy];
        for (uint256 j = 0; j < 2; ++j) {
            if (game.gameOf(games[j]).open) game.reclaim(one(games[j]));
        }
        same("Alice", chain.earnings(ALICE), 100 ether + (winner == ALICE ? REWARD : 0));
        same("Bob", chain.earnings(BOB), 100 ether + (winner == BOB ? REWARD : 0));
        same("burned", chain.burned(), CLAIM_BOND - REWARD);
    }

    function test_copierOfThePath_earnsNothing() public {
        select(ALICE, honest, posted.trace, PLACE);
        select(BOB, copy, posted.trace, PLACE);
        nextBlock();
        yes("the copied proof comes first", proves(BOB, copy));
        yes("and the honest one late", !proves(ALICE, honest));
        rewarded(ALICE);
    }

    function test_copierInFrontOfTheLastSelection_earnsNothing() public {
        select(BOB, copy, posted.trace, PLACE);
        select(ALICE, honest, posted.trace, PLACE);
        nextBlock();
        yes("the copied proof comes first", proves(BOB, copy));
        rewarded(ALICE);
    }

    /// @dev In front of a pending proof of a game that only committed, a copier can come to its place, but not prove there.
    function test_copierInFrontOfACommittedProof_earnsNothing() public {
        bytes32 commitment = game.commitmentOf(posted.id, posted.trace.root(), ALICE, Gindex.wrap(PLACE), 0);
        Move memory move = moveOf(honest);
        VM.prank(ALICE);
        game.commit(move, commitment);
        nextBlock();
        select(BOB, copy, posted.trace, PLACE);
        yes("too early", !proves(BOB, copy));
        yes("the original", proves(ALICE, honest));
        rewarded(ALICE);
    }

    /// @dev Not even with an earlier challenge than the one that it copies.
    function test_earlierCopierInFrontOfACommittedProof_earnsNothing() public {
        bytes32 commitment = game.commitmentOf(posted.id, posted.trace.root(), BOB, Gindex.wrap(PLACE), 0);
        Move memory move = moveOf(copy);
        VM.prank(BOB);
        game.commit(move, commitment);
        nextBlock();
        select(ALICE, honest, posted.trace, PLACE);
        yes("too early", !proves(ALICE, honest));
        yes("the original", proves(BOB, copy));
        rewarded(BOB);
    }

    /// @dev Who stands there since an earlier block, with the earlier challenge, is paid for a committed proof as well.
    function test_committedProof_paysTheEarlierChallengeThatStandsThere() public {
        bytes32 commitment = game.commitmentOf(posted.id, posted.trace.root(), BOB, Gindex.wrap(PLACE), 0);
        Move memory move = moveOf(copy);
        VM.prank(BOB);
        game.commit(move, commitment);
        select(ALICE, honest, posted.trace, PLACE);
        nextBlock();
        yes("proven", proves(BOB, copy));
        rewarded(ALICE);
    }

    function test_committedProof_nobodyThere_paysItsProver() public {
        bytes32 commitment = game.commitmentOf(posted.id, posted.trace.root(), BOB, Gindex.wrap(PLACE), 0);
        Move memory move = moveOf(copy);
        VM.prank(BOB);
        game.commit(move, commitment);
        select(ALICE, honest, posted.trace, PLACE + 1);
        nextBlock();
        yes("proven", proves(BOB, copy));
        rewarded(BOB);
    }

    /// @dev A challenge that was lost keeps the reward from nobody.
    function test_lostGame_keepsNoReward() public {
        select(ALICE, honest, posted.trace, PLACE);
        revealLeaf(honest, posted.trace);
        wait(CLOCK);
        GameId third = challenge(BOB, posted);
        select(BOB, third, posted.trace, PLACE);
        wait(1);
        GameRef[] memory late = two(honest, copy);
        game.timeout(late);
        nextBlock();
        yes("proven", proves(BOB, third));
        same("Alice has lost her bond", chain.earnings(ALICE), 100 ether - CHALLENGE_BOND);
        same("Bob", chain.earnings(BOB), 100 ether - CHALLENGE_BOND + REWARD);
    }

    /// @dev Nor does a later game of the same or another challenger that was there first keep a place that is free again.
    function test_arrival_replacesALostGame() public {
        select(ALICE, honest, posted.trace, PLACE);
        revealLeaf(honest, posted.trace);
        wait(CLOCK + 1);
        game.timeout(two(honest, copy));
        copy = challenge(BOB, posted);
        honest = challenge(ALICE, posted);
        select(BOB, copy, posted.trace, PLACE);
        select(ALICE, honest, posted.trace, PLACE);
        nextBlock();
        yes("proven", proves(ALICE, honest));
        game.reclaim(one(copy));
        same("the earlier challenge of the two", chain.earnings(BOB), 100 ether - CHALLENGE_BOND + REWARD);
    }

    /// @dev A game that was at an entry and went further down does not stand there any more.
    function test_gameThatWentOn_keepsNoReward() public {
        Trace memory trace = Traces.changed(0, 3);
        Trace memory right = Traces.honest();
        posted.claim = claimOf(model, right);
        posted.claim.traceRoot = trace.root();
        posted = post(posted.claim, right);
        honest = challenge(ALICE, posted);
        copy = challenge(BOB, posted);
        reveal(honest, trace);
        select(ALICE, honest, trace, 8);
        reveal(honest, trace);
        select(ALICE, honest, trace, 32);
        select(BOB, copy, trace, 8);
        nextBlock();
        Move memory move = moveOf(copy);
        bytes memory witness =
            abi.encodePacked(trace.entry(0), trace.path(8, 1), uint8(0), right.entry(0), right.entry(1));
        VM.prank(BOB);
        game.prove(move, posted.claim, Gindex.wrap(8), 0, Rule.Input, witness);
        same("Bob", chain.earnings(BOB), 100 ether - CHALLENGE_BOND + REWARD);
    }

    function test_copierInsideAnElement_earnsNothing() public {
        GameId[2] memory games = [honest, copy];
        address[2] memory players = [ALICE, BOB];
        Question memory question = Question(Gindex.wrap(PLACE), 3, 1, 2, 0, 0, 0, 0);
        for (uint256 j = 2; j != 0; --j) {
            select(players[j - 1], games[j - 1], posted.trace, PLACE);
        }
        nextBlock();
        for (uint256 j = 2; j != 0; --j) {
            Move memory down = moveOf(games[j - 1]);
            VM.prank(players[j - 1]);
            game.descend(down, posted.claim, Gindex.wrap(PLACE), 0, 3, abi.encode(uint8(1), uint32(2)));
        }
        bytes memory results = abi.encodePacked(int64(1), int64(2));
        bytes32 root = posted.trace.root();
        VM.prank(claimant);
        game.partials(posted.id, root, question, results);
        nextBlock();
        Move memory move = moveOf(copy);
        VM.prank(BOB);
        game.settle(move, posted.claim, question, results, 0, abi.encodePacked(uint16(3), abi.encode(int64(5), 0)));
        rewarded(ALICE);
    }

    /// @dev What a silent claimant's bond pays goes to the game in which it was silent.
    function test_timeout_paysItsOwnGame() public {
        select(ALICE, honest, posted.trace, PLACE);
        select(BOB, copy, posted.trace, PLACE);
        wait(CLOCK + 1);
        VM.prank(EVE);
        game.timeout(one(copy));
        same("Bob", chain.earnings(BOB), 100 ether + REWARD);
    }

    /// @dev Plays the honest game down to the leaf's bytes, each node opened by whom `by` says.
    function opened(GameId gameId, address[4] memory by) private {
        uint256[3] memory path = [uint256(5), 20, 41];
        VM.deal(address(this), 0);
        for (uint256 j = 0; j < 3; ++j) {
            if (j != 0) {
                bytes32[][] memory openings = openingOf(path[j - 1], posted.trace);
                VM.prank(by[j]);
                game.reveal(openings);
            }
            select(ALICE, gameId, posted.trace, path[j]);
        }
        bytes[] memory leaf = only(posted.trace.leaves[LEAF]);
        VM.prank(by[3]);
        game.revealLeaf(leaf);
    }

    function test_lostChallenge_paysWhoeverOpened() public {
        // The root was opened by the claimant.
        opened(honest, [claimant, EVE, address(0xd), EVE]);
        wait(CLOCK + 1);
        VM.prank(address(0xc));
        game.timeout(one(honest));
        same("claimant", chain.earnings(claimant), MOVE_FEE);
        same("Eve", chain.earnings(EVE), 2 * MOVE_FEE);
        same("another one", chain.earnings(address(0xd)), MOVE_FEE);
        same("collector", chain.earnings(address(0xc)), COLLECT_FEE);
        same("burned", chain.burned(), CHALLENGE_BOND - 4 * MOVE_FEE - COLLECT_FEE);
    }

    function test_lostChallenge_helpersInARow() public {
        opened(honest, [claimant, EVE, EVE, EVE]);
        wait(CLOCK + 1);
        same("one entry", game.gameOf(honest).helpers, 1);
        game.timeout(one(honest));
        same("claimant", chain.earnings(claimant), MOVE_FEE);
        same("Eve", chain.earnings(EVE), 3 * MOVE_FEE);
    }

    /// @dev The claimant comes first where the bond is too small for everybody: others can't use it up by being faster.
    function test_lostChallenge_claimantComesFirst() public {
        posted = post(lazyModel, Traces.changed(LEAF, 7));
        honest = challenge(ALICE, posted);
        bytes32 root = posted.trace.root();
        VM.prank(claimant);
        game.setTraceRoot(posted.id, root, "");
        bytes32[][] memory openings = openingOf(1, posted.trace);
        VM.prank(EVE);
        game.reveal(openings);
        opened(honest, [EVE, EVE, EVE, claimant]);
        wait(CLOCK + 1);
        game.timeout(one(honest));
        // Five fees of 2 are 10, and the bond has 9 for them.
        same("claimant", chain.earnings(claimant), 2 * MOVE_FEE);
        same("Eve", chain.earnings(EVE), 3 * MOVE_FEE - 1 ether);
    }

    function test_lostChallenge_paysWhoeverSentTheTraceRoot() public {
        posted = post(lazyModel, Traces.changed(LEAF, 7));
        honest = challenge(ALICE, posted);
        bytes32 root = posted.trace.root();
        bytes32 content = keccak256(abi.encode(Claims.TRACE_ROOT_TYPEHASH, posted.id, root));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", chain.domainSeparator(), content));
        bytes memory signature = signed(CLAIMANT_KEY, digest);
        VM.prank(EVE);
        game.setTraceRoot(posted.id, root, signature);
        reveal(honest, posted.trace);
        wait(CLOCK + 1);
        game.timeout(one(honest));
        same("Eve", chain.earnings(EVE), MOVE_FEE);
        same("claimant", chain.earnings(claimant), MOVE_FEE);
    }

    function test_lostChallenge_paysTheClaimantForItsTraceRoot() public {
        posted = post(lazyModel, Traces.changed(LEAF, 7));
        honest = challenge(ALICE, posted);
        bytes32 root = posted.trace.root();
        VM.prank(claimant);
        game.setTraceRoot(posted.id, root, "");
        reveal(honest, posted.trace);
        wait(CLOCK + 1);
        game.timeout(one(honest));
        same("claimant", chain.earnings(claimant), 2 * MOVE_FEE);
    }
}
