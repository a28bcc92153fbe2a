// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "../src/DisputeGame.sol";
import {Elements} from "../src/Elements.sol";
import {Games} from "../src/Games.sol";
import {Monoids} from "../src/generated/Opcodes.sol";
import {Claim, Status} from "../src/types/Claim.sol";
import {Clocks, Game, Move, Question, Rule, Side} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {ClaimId, GameId} from "../src/types/Ids.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {NoMismatch, RuleNotApplicable} from "../src/types/Verdict.sol";
import {ToyProver} from "./ToyProver.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev The moves inside an element: that they do what they say, and every way in which they are refused.
contract ElementsTest is World {
    using Traces for Trace;

    /// @dev A leaf of value 2, the first op's output.
    uint256 private constant LEAF = 9;
    uint128 private constant PLACE = 32 + 9;
    uint16 private constant ELEMENT = 3;
    /// @dev Two levels: a node of 64 parts and one of 6.
    uint32 private constant PARTS = 70;
    uint256 private constant EPILOGUE = type(uint256).max;

    Posted private posted;
    GameId private gameId;
    uint8 private monoid = uint8(Monoids.SUM);

    /// @dev Alice's game stands on a leaf of a published trace.
    function setUp() public override {
        super.setUp();
        posted = post(model, Traces.changed(LEAF, 6));
        gameId = challenge(ALICE, posted);
        reveal(gameId, posted.trace);
        select(ALICE, gameId, posted.trace, PLACE);
        nextBlock();
    }

    function whole(uint32 parts) private view returns (Question memory) {
        return Question(Gindex.wrap(PLACE), ELEMENT, monoid, parts, 0, 0, 0, 0);
    }

    function nodeOf(Question memory question) private view returns (bytes32) {
        return keccak256(abi.encode(posted.id, posted.trace.root(), question));
    }

    function descend(uint32 parts) private {
        this.descendRaw(ALICE, gameId, posted.claim, PLACE, 0, abi.encode(monoid, parts));
        nextBlock();
    }

    function descendRaw(
        address challenger,
        GameId id,
        Claim memory claim,
        uint128 place,
        bytes32 salt,
        bytes memory descriptor
    ) external {
        Move memory move = moveOf(id);
        VM.prank(challenger);
        game.descend(move, claim, Gindex.wrap(place), salt, ELEMENT, descriptor);
    }

    function answer(Question memory question, bytes memory results) private {
        this.answerRaw(claimant, question, results);
    }

    function answerRaw(address sender, Question memory question, bytes memory results) external {
        bytes32 root = posted.trace.root();
        VM.prank(sender);
        game.partials(posted.id, root, question, results);
    }

    function narrowRaw(address sender, Question memory question, bytes memory results, uint256 child) external {
        Move memory move = moveOf(gameId);
        VM.prank(sender);
        game.narrow(move, question, results, child);
    }

    function settleRaw(Question memory question, bytes memory results, uint256 child, bytes memory witness) external {
        Move memory move = moveOf(gameId);
        VM.prank(ALICE);
        game.settle(move, posted.claim, question, results, child, witness);
    }

    /// @dev Partial results of a sum: 1, 2, 3, ... from `first` on.
    function sums(uint256 count, int64 first) private pure returns (bytes memory results) {
        for (uint256 j = 0; j < count; ++j) {
            results = abi.encodePacked(results, first + int64(uint64(j)));
        }
    }

    /// @dev What the toy prover answers about a part.
    function part(int64 value, uint64 position) private pure returns (bytes memory) {
        return abi.encodePacked(ELEMENT, abi.encode(value, position));
    }

    function side() private view returns (Side turn, Clocks memory clocks) {
        (, turn, clocks,) = game.stateOf(refOf(gameId));
    }

    /// @dev Two levels down: 70 parts, of which the claimant says 10 and 20, and of the latter 1, 2, 3, 4, 5, 5.
    function toTheLastNode() private returns (Question memory question, bytes memory results) {
        descend(PARTS);
        question = whole(PARTS);
        results = abi.encodePacked(int64(10), int64(20));
        answer(question, results);
        this.narrowRaw(ALICE, question, results, 1);
        (question.level, question.index, question.value) = (1, 1, 20);
        results = abi.encodePacked(sums(5, 1), int64(5));
        answer(question, results);
    }

    function test_descend_fromLeaf_standsOnTheQuestion() public {
        revealLeaf(gameId, posted.trace);
        wait(7);
        Question memory question = whole(PARTS);
        VM.expectEmit(address(game));
        emit Elements.Descended(gameId, question);
        descend(PARTS);
        Game memory stored = game.gameOf(gameId);
        same("node", stored.node, nodeOf(question));
        same("leaf", stored.gindex, PLACE);
        yes("inside", stored.inside);
        same("left behind", stored.moves, 2);
        same("challenger's time", Duration.unwrap(stored.challengerLeft), CLOCK - 7);
        (Side turn,) = side();
        yes("the claimant's turn", turn == Side.Defender);
    }

    function test_descend_inDefendersTurn_chargesTheDefender() public {
        wait(7);
        descend(PARTS);
        Game memory stored = game.gameOf(gameId);
        same("defender's time", Duration.unwrap(stored.defenderLeft), CLOCK - 7);
        same("nobody opened the leaf", stored.moves, 1);
    }

    function test_descend_committed_succeeds() public {
        bytes32 salt = bytes32(uint256(5));
        bytes32 commitment = game.commitmentOf(posted.id, posted.trace.root(), BOB, Gindex.wrap(PLACE), salt);
        GameId other = challenge(BOB, posted, commitment);
        VM.expectRevert(abi.encodeWithSelector(Games.PlaceNotReached.selector, other, PLACE));
        this.descendRaw(BOB, other, posted.claim, PLACE, salt, abi.encode(monoid, PARTS));
        nextBlock();
        this.descendRaw(BOB, other, posted.claim, PLACE, salt, abi.encode(monoid, PARTS));
        same("node", game.gameOf(other).node, nodeOf(whole(PARTS)));
        same("leaf", game.gameOf(other).gindex, PLACE);
    }

    function test_descend_notReached_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Games.PlaceNotReached.selector, gameId, PLACE + 1));
        this.descendRaw(ALICE, gameId, posted.claim, PLACE + 1, 0, abi.encode(monoid, PARTS));
    }

    /// @dev It saves the claimant the leaf's bytes, and the challenger a transaction.
    function test_descend_inTheBlockOfTheSelection_succeeds() public {
        GameId other = challenge(BOB, posted);
        select(BOB, other, posted.trace, PLACE);
        this.descendRaw(BOB, other, posted.claim, PLACE, 0, abi.encode(monoid, PARTS));
        same("node", game.gameOf(other).node, nodeOf(whole(PARTS)));
    }

    function test_descend_again_reverts() public {
        descend(PARTS);
        VM.expectRevert(abi.encodeWithSelector(Elements.InsideElement.selector, gameId));
        this.descendRaw(ALICE, gameId, posted.claim, PLACE, 0, abi.encode(monoid, PARTS));
    }

    function test_descend_onePart_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Elements.NotDivided.selector, 1));
        this.descendRaw(ALICE, gameId, posted.claim, PLACE, 0, abi.encode(monoid, 1));
    }

    function test_descend_badDescriptor_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(ToyProver.Refused.selector));
        this.descendRaw(ALICE, gameId, posted.claim, PLACE, 0, "");
    }

    function test_descend_otherClaim_reverts() public {
        Claim memory other = posted.claim;
        other.inputRoot = 0;
        ClaimId otherId = chain.claimIdOf(other);
        VM.expectRevert(abi.encodeWithSelector(Games.WrongClaim.selector, posted.id, otherId));
        this.descendRaw(ALICE, gameId, other, PLACE, 0, abi.encode(monoid, PARTS));
    }

    function test_descend_stranger_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Games.NotChallenger.selector, BOB));
        this.descendRaw(BOB, gameId, posted.claim, PLACE, 0, abi.encode(monoid, PARTS));
    }

    function test_descend_expired_reverts() public {
        wait(CLOCK + 1);
        VM.expectRevert(abi.encodeWithSelector(Games.ClockExpired.selector, gameId, Side.Defender));
        this.descendRaw(ALICE, gameId, posted.claim, PLACE, 0, abi.encode(monoid, PARTS));
    }

    /// @dev Inputs, unused entries and entries have no op that reduces.
    function test_descend_notAtAnOpsLeaf_reverts() public {
        uint128[3] memory places = [uint128(33), 32 + 20, 10];
        for (uint256 j = 0; j < places.length; ++j) {
            GameId other = challenge(BOB, posted);
            select(BOB, other, posted.trace, places[j]);
            nextBlock();
            VM.expectRevert(abi.encodeWithSelector(RuleNotApplicable.selector, Rule.Part, places[j]));
            this.descendRaw(BOB, other, posted.claim, places[j], 0, abi.encode(monoid, PARTS));
        }
    }

    function test_descend_rootless_reverts() public {
        posted = post(lazyModel, Traces.changed(LEAF, 6));
        gameId = challenge(ALICE, posted);
        VM.expectRevert(abi.encodeWithSelector(Games.NoTraceRoot.selector, posted.id));
        this.descendRaw(ALICE, gameId, posted.claim, PLACE, 0, abi.encode(monoid, PARTS));
    }

    function test_select_insideElement_reverts() public {
        descend(PARTS);
        answer(whole(PARTS), abi.encodePacked(int64(1), int64(2)));
        Move memory move = moveOf(gameId);
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.CannotSelect.selector, PLACE));
        VM.prank(ALICE);
        game.select(move, Gindex.wrap(PLACE), 0, "");
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.CannotSelect.selector, 2 * PLACE));
        VM.prank(ALICE);
        game.select(move, Gindex.wrap(2 * PLACE), 0, "");
    }

    function test_prove_insideElement_convicts() public {
        descend(PARTS);
        prove(ALICE, gameId, posted.claim, PLACE, Rule.Step, difference(1, 2));
        yes("invalid", isConvicted(posted.id));
    }

    function test_partials_handTurnOver_forAllGamesOnTheQuestion() public {
        GameId second = challenge(BOB, posted);
        select(BOB, second, posted.trace, PLACE);
        nextBlock();
        descend(PARTS);
        this.descendRaw(BOB, second, posted.claim, PLACE, 0, abi.encode(monoid, PARTS));
        wait(10);
        bytes memory results = abi.encodePacked(int64(1), int64(2));
        bytes32 node = nodeOf(whole(PARTS));
        VM.expectEmit(address(game));
        emit Elements.Answered(node, posted.id, results);
        answer(whole(PARTS), results);
        wait(5);
        (Side turn, Clocks memory clocks) = side();
        yes("challenger's turn", turn == Side.Challenger);
        same("defender's time", Duration.unwrap(clocks.defender), CLOCK - 10);
        same("challenger's time", Duration.unwrap(clocks.challenger), CLOCK - 5);
        (, turn,,) = game.stateOf(refOf(second));
        yes("in the other game as well", turn == Side.Challenger);
        same("opened", Timestamp.unwrap(game.openedAt(node, 0)), time - 5);
    }

    function test_partials_again_firstAnswerStands() public {
        descend(PARTS);
        bytes memory results = abi.encodePacked(int64(1), int64(2));
        answer(whole(PARTS), results);
        answer(whole(PARTS), abi.encodePacked(int64(1), int64(3)));
        VM.expectRevert(abi.encodeWithSelector(Elements.NotTheseResults.selector, nodeOf(whole(PARTS))));
        this.narrowRaw(ALICE, whole(PARTS), abi.encodePacked(int64(1), int64(3)), 1);
        this.narrowRaw(ALICE, whole(PARTS), results, 1);
    }

    function test_partials_stranger_reverts() public {
        descend(PARTS);
        bytes memory results = abi.encodePacked(int64(1), int64(2));
        VM.expectRevert(abi.encodeWithSelector(Games.NotClaimant.selector, posted.id));
        this.answerRaw(EVE, whole(PARTS), results);
        VM.expectRevert(abi.encodeWithSelector(Games.NotClaimant.selector, posted.id));
        this.answerRaw(ALICE, whole(PARTS), results);
    }

    function test_partials_count_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialCount.selector, 8, 16));
        this.answerRaw(claimant, whole(PARTS), sums(1, 1));
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialCount.selector, 24, 16));
        this.answerRaw(claimant, whole(PARTS), sums(3, 1));
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialCount.selector, 15, 16));
        this.answerRaw(claimant, whole(PARTS), new bytes(15));
        Question memory question = whole(PARTS);
        (question.level, question.index) = (1, 1);
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialCount.selector, 40, 48));
        this.answerRaw(claimant, question, sums(5, 1));
        monoid = uint8(Monoids.ARGMAX);
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialCount.selector, 16, 32));
        this.answerRaw(claimant, whole(PARTS), new bytes(16));
    }

    /// @dev Neither a single part nor what lies behind the last one has partial results.
    function test_partials_noSuchNode_reverts() public {
        Question memory question = whole(PARTS);
        question.level = 2;
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialCount.selector, 0, 0));
        this.answerRaw(claimant, question, "");
        (question.level, question.index) = (1, 2);
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialCount.selector, 0, 0));
        this.answerRaw(claimant, question, "");
    }

    function test_partials_notCombining_reverts() public {
        Question memory question = whole(PARTS);
        (question.level, question.index, question.value) = (1, 1, 21);
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialsDoNotCombine.selector, int64(22), 0));
        this.answerRaw(claimant, question, sums(6, 1).length == 48 ? abi.encodePacked(sums(5, 2), int64(2)) : bytes(""));
        question.value = 22;
        this.answerRaw(claimant, question, abi.encodePacked(sums(5, 2), int64(2)));
        question.monoid = uint8(Monoids.ARGMAX);
        (question.value, question.position) = (9, 8);
        bytes memory results = new bytes(0);
        for (uint64 j = 0; j < 6; ++j) {
            results = abi.encodePacked(results, j == 4 ? int64(9) : int64(7), j);
        }
        VM.expectRevert(abi.encodeWithSelector(Elements.PartialsDoNotCombine.selector, int64(9), 4));
        this.answerRaw(claimant, question, results);
        question.position = 4;
        this.answerRaw(claimant, question, results);
    }

    /// @dev An answer to a question about another trace, or another element, opens nothing here.
    function test_partials_otherQuestion_opensNothing() public {
        descend(PARTS);
        Question memory question = whole(PARTS);
        question.element += 1;
        answer(question, abi.encodePacked(int64(1), int64(2)));
        VM.prank(claimant);
        game.partials(posted.id, bytes32(uint256(1)), whole(PARTS), abi.encodePacked(int64(1), int64(2)));
        (Side turn,) = side();
        yes("still the claimant's turn", turn == Side.Defender);
    }

    function test_partials_neverChallenged_reverts() public {
        Posted memory other = post(model, Traces.honest());
        VM.expectRevert(abi.encodeWithSelector(Games.NotClaimant.selector, other.id));
        VM.prank(claimant);
        game.partials(other.id, 0, whole(PARTS), abi.encodePacked(int64(1), int64(2)));
    }

    function test_partials_afterDeadline_saveNobody() public {
        descend(PARTS);
        wait(CLOCK + 1);
        answer(whole(PARTS), abi.encodePacked(int64(1), int64(2)));
        game.timeout(one(gameId));
        yes("invalid", isConvicted(posted.id));
    }

    function test_silenceInside_convicts() public {
        descend(PARTS);
        wait(CLOCK + 1);
        VM.expectEmit(address(game));
        emit Games.Convicted(posted.id, gameId, Rule.Timeout, Gindex.wrap(PLACE), 0, 0, 0, 0, 0);
        game.timeout(one(gameId));
    }

    function test_narrow_standsOnTheChild() public {
        descend(PARTS);
        Question memory question = whole(PARTS);
        bytes memory results = abi.encodePacked(int64(-10), int64(20));
        answer(question, results);
        wait(4);
        Question memory child = whole(PARTS);
        (child.level, child.index, child.value) = (1, 0, -10);
        VM.expectEmit(address(game));
        emit Elements.Narrowed(gameId, child);
        this.narrowRaw(ALICE, question, results, 0);
        Game memory stored = game.gameOf(gameId);
        same("node", stored.node, nodeOf(child));
        same("challenger's time", Duration.unwrap(stored.challengerLeft), CLOCK - 4);
        same("left behind", stored.moves, 2);
        (Side turn,) = side();
        yes("the claimant's turn", turn == Side.Defender);
    }

    function test_narrow_argument_asksForValueAndPosition() public {
        monoid = uint8(Monoids.ARGMIN);
        descend(PARTS);
        bytes memory results = abi.encodePacked(int64(-10), uint64(7), int64(20), uint64(66));
        answer(whole(PARTS), results);
        this.narrowRaw(ALICE, whole(PARTS), results, 1);
        Question memory child = whole(PARTS);
        (child.level, child.index, child.value, child.position) = (1, 1, 20, 66);
        same("node", game.gameOf(gameId).node, nodeOf(child));
    }

    function test_narrow_unanswered_reverts() public {
        descend(PARTS);
        VM.expectRevert(abi.encodeWithSelector(Games.NotOpened.selector, nodeOf(whole(PARTS))));
        this.narrowRaw(ALICE, whole(PARTS), sums(2, 1), 0);
    }

    /// @dev A question that the claimant never answered, with whatever in it, is not the one on which the game stands.
    function testFuzz_narrow_forgedQuestion_reverts(uint8 field, uint32 value) public {
        descend(PARTS);
        bytes memory results = sums(2, 1);
        answer(whole(PARTS), results);
        bytes32 node = nodeOf(whole(PARTS));
        Question memory forged = whole(PARTS);
        field %= 8;
        if (field == 0) forged.place = Gindex.wrap(value);
        if (field == 1) forged.element = value;
        if (field == 2) forged.monoid = uint8(value);
        if (field == 3) forged.parts = value;
        if (field == 4) forged.level = uint8(value);
        if (field == 5) forged.index = value;
        if (field == 6) forged.value = int64(uint64(value));
        if (field == 7) forged.position = value;
        VM.assume(nodeOf(forged) != node);
        VM.expectRevert(abi.encodeWithSelector(Elements.NotThisQuestion.selector, node));
        this.narrowRaw(ALICE, forged, results, 0);
        VM.expectRevert(abi.encodeWithSelector(Elements.NotThisQuestion.selector, node));
        this.settleRaw(forged, results, EPILOGUE, difference(1, 2));
    }

    function test_narrow_noSuchChild_reverts() public {
        descend(PARTS);
        answer(whole(PARTS), sums(2, 1));
        VM.expectRevert(abi.encodeWithSelector(Elements.NoSuchChild.selector, 2, 2));
        this.narrowRaw(ALICE, whole(PARTS), sums(2, 1), 2);
    }

    function test_narrow_belowSingleParts_reverts() public {
        (Question memory question, bytes memory results) = toTheLastNode();
        VM.expectRevert(abi.encodeWithSelector(Elements.WrongLevel.selector, 1));
        this.narrowRaw(ALICE, question, results, 0);
    }

    function test_narrow_stranger_reverts() public {
        descend(PARTS);
        answer(whole(PARTS), sums(2, 1));
        VM.expectRevert(abi.encodeWithSelector(Games.NotChallenger.selector, EVE));
        this.narrowRaw(EVE, whole(PARTS), sums(2, 1), 0);
    }

    function test_narrow_outsideElement_reverts() public {
        revealLeaf(gameId, posted.trace);
        VM.expectRevert(abi.encodeWithSelector(Elements.NotThisQuestion.selector, posted.trace.nodes[PLACE]));
        this.narrowRaw(ALICE, whole(PARTS), sums(2, 1), 0);
    }

    function test_settle_part_convicts() public {
        (Question memory question, bytes memory results) = toTheLastNode();
        VM.expectEmit(address(game));
        emit Games.Convicted(
            posted.id,
            gameId,
            Rule.Part,
            Gindex.wrap(PLACE),
            2,
            ELEMENT,
            64 + 3,
            bytes32(uint256(4)),
            bytes32(type(uint256).max)
        );
        this.settleRaw(question, results, 3, part(-1, 0));
        yes("invalid", chain.status(posted.claim, posted.inclusion) == Status.Invalid);
        same("challenger", chain.earnings(ALICE), 100 ether + REWARD);
        same("burned", chain.burned(), CLAIM_BOND - REWARD);
        Game memory none;
        same("deleted", keccak256(abi.encode(game.gameOf(gameId))), keccak256(abi.encode(none)));
    }

    function test_settle_argument_convictsByPositionAlone() public {
        monoid = uint8(Monoids.ARGMAX);
        descend(3);
        bytes memory results = abi.encodePacked(int64(1), uint64(0), int64(-1), uint64(5), int64(3), uint64(9));
        answer(whole(3), results);
        VM.expectRevert(abi.encodeWithSelector(NoMismatch.selector, PLACE));
        this.settleRaw(whole(3), results, 1, part(-1, 5));
        VM.expectEmit(address(game));
        emit Games.Convicted(
            posted.id,
            gameId,
            Rule.Part,
            Gindex.wrap(PLACE),
            2,
            ELEMENT,
            1,
            bytes32(uint256(5) << 64 | type(uint64).max),
            bytes32(uint256(4) << 64 | type(uint64).max)
        );
        this.settleRaw(whole(3), results, 1, part(-1, 4));
    }

    function test_settle_epilogue_convicts() public {
        descend(PARTS);
        bytes memory results = abi.encodePacked(int64(10), int64(20));
        answer(whole(PARTS), results);
        VM.expectEmit(address(game));
        emit Games.Convicted(
            posted.id,
            gameId,
            Rule.Epilogue,
            Gindex.wrap(PLACE),
            2,
            ELEMENT,
            0,
            bytes32(type(uint256).max),
            bytes32(uint256(5))
        );
        this.settleRaw(whole(PARTS), results, EPILOGUE, difference(-1, 5));
        yes("invalid", isConvicted(posted.id));
    }

    function test_settle_equal_reverts() public {
        descend(3);
        answer(whole(3), sums(3, 1));
        VM.expectRevert(abi.encodeWithSelector(NoMismatch.selector, PLACE));
        this.settleRaw(whole(3), sums(3, 1), 1, part(2, 0));
        VM.expectRevert(abi.encodeWithSelector(NoMismatch.selector, PLACE));
        this.settleRaw(whole(3), sums(3, 1), EPILOGUE, difference(5, 5));
        yes("still challenged", chain.status(posted.claim, posted.inclusion) == Status.Challenged);
    }

    function test_settle_proverReverts_reverts() public {
        descend(3);
        answer(whole(3), sums(3, 1));
        VM.expectRevert(abi.encodeWithSelector(ToyProver.Refused.selector));
        this.settleRaw(whole(3), sums(3, 1), 1, "");
        VM.expectRevert(abi.encodeWithSelector(ToyProver.Refused.selector));
        this.settleRaw(whole(3), sums(3, 1), EPILOGUE, "");
    }

    function test_settle_wrongLevel_reverts() public {
        descend(PARTS);
        answer(whole(PARTS), sums(2, 1));
        VM.expectRevert(abi.encodeWithSelector(Elements.WrongLevel.selector, 0));
        this.settleRaw(whole(PARTS), sums(2, 1), 1, part(9, 0));
        this.narrowRaw(ALICE, whole(PARTS), sums(2, 1), 1);
        Question memory question = whole(PARTS);
        (question.level, question.index, question.value) = (1, 1, 2);
        bytes memory results = abi.encodePacked(sums(5, -2), int64(2));
        answer(question, results);
        VM.expectRevert(abi.encodeWithSelector(Elements.WrongLevel.selector, 1));
        this.settleRaw(question, results, EPILOGUE, difference(1, 2));
    }

    function test_settle_noSuchChild_reverts() public {
        (Question memory question, bytes memory results) = toTheLastNode();
        VM.expectRevert(abi.encodeWithSelector(Elements.NoSuchChild.selector, 6, 6));
        this.settleRaw(question, results, 6, part(9, 0));
    }

    function test_settle_otherResults_reverts() public {
        descend(3);
        answer(whole(3), sums(3, 1));
        VM.expectRevert(abi.encodeWithSelector(Elements.NotTheseResults.selector, nodeOf(whole(3))));
        this.settleRaw(whole(3), sums(3, 2), 1, part(9, 0));
    }

    function test_settle_unanswered_reverts() public {
        descend(3);
        VM.expectRevert(abi.encodeWithSelector(Games.NotOpened.selector, nodeOf(whole(3))));
        this.settleRaw(whole(3), sums(3, 2), 1, part(9, 0));
    }

    function test_settle_inTheBlockOfTheDescent_reverts() public {
        descend(3);
        answer(whole(3), sums(3, 1));
        GameId second = challenge(ALICE, posted);
        select(ALICE, second, posted.trace, PLACE);
        nextBlock();
        this.descendRaw(ALICE, second, posted.claim, PLACE, 0, abi.encode(monoid, 3));
        gameId = second;
        VM.expectRevert(abi.encodeWithSelector(Games.PlaceNotReached.selector, second, PLACE));
        this.settleRaw(whole(3), sums(3, 1), 1, part(9, 0));
        nextBlock();
        this.settleRaw(whole(3), sums(3, 1), 1, part(9, 0));
    }

    function test_settle_otherClaim_reverts() public {
        descend(3);
        answer(whole(3), sums(3, 1));
        posted.claim.inputRoot = 0;
        ClaimId otherId = chain.claimIdOf(posted.claim);
        VM.expectRevert(abi.encodeWithSelector(Games.WrongClaim.selector, posted.id, otherId));
        this.settleRaw(whole(3), sums(3, 1), 1, part(9, 0));
    }

    function test_settle_expired_reverts() public {
        descend(3);
        answer(whole(3), sums(3, 1));
        wait(CLOCK + 1);
        VM.expectRevert(abi.encodeWithSelector(Games.ClockExpired.selector, gameId, Side.Challenger));
        this.settleRaw(whole(3), sums(3, 1), 1, part(9, 0));
    }

    /// @dev An honest claimant that answers in time loses nothing to a challenger who can't show a difference.
    function test_lostInside_paysForEveryAnswer() public {
        (, bytes memory results) = toTheLastNode();
        same("answered", results.length, 48);
        wait(CLOCK + 1);
        VM.prank(EVE);
        game.timeout(one(gameId));
        // The root and two answers; the leaf was not opened. The bond has room for four.
        same("claimant", chain.earnings(claimant), 3 * MOVE_FEE);
        yes("not invalid", !isConvicted(posted.id));
    }
}
