// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {PredictionMarket} from "../../examples/PredictionMarket.sol";
import {Asking} from "../../src/Asking.sol";
import {Requests} from "../../src/Requests.sol";
import {Status} from "../../src/types/Claim.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {PredictionWorld} from "./PredictionWorld.sol";

contract PredictionMarketTest is PredictionWorld {
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
        VM.expectPartialRevert(Asking.NotOpen.selector);
        show(request, truth, "");
    }

    function test_competing_firstFinalClaimSettlesOnce() public {
        (uint256 marketId, Request memory request) = asked(_market);
        Posted memory one = claimFor(request, traceOf(IMAGE, winning(3)));
        Posted memory two = claimFor(request, traceOf(IMAGE, winning(3)));
        wait(WINDOW + 1);
        show(request, two, "");
        VM.expectPartialRevert(Asking.NotOpen.selector);
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
}
