// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "../src/DisputeGame.sol";
import {Games} from "../src/Games.sol";
import {Move, Question, Rule, Side} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {GameId} from "../src/types/Ids.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev Many moves in one transaction.
contract MulticallTest is World {
    using Traces for Trace;

    uint128 private constant PLACE = 32 + 9;

    function selection(GameId gameId, Trace memory trace, uint256 gindex) private view returns (bytes memory) {
        bytes memory siblings = trace.path(gindex, game.gameOf(gameId).gindex);
        return abi.encodeCall(
            DisputeGame.select, (moveOf(gameId), Gindex.wrap(uint128(gindex)), trace.nodes[gindex], siblings)
        );
    }

    function test_multicall_movesOfManyGames_succeed() public {
        Posted memory first = post(model, Traces.changed(9, 6));
        Posted memory second = post(model, Traces.changed(9, 7));
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(DisputeGame.challenge, (first.claim, first.inclusion, bytes32(0)));
        calls[1] = abi.encodeCall(DisputeGame.challenge, (second.claim, second.inclusion, bytes32(0)));
        calls[2] = abi.encodeCall(DisputeGame.reveal, (openingOf(1, first.trace)));
        VM.prank(ALICE);
        game.multicall(calls);
        same("first", openGames(first.id), 1);
        same("second", openGames(second.id), 1);
        same("bonds of the sender's earnings", chain.locked(ALICE), 2 * CHALLENGE_BOND);
        same("opened by the sender", chain.earnings(ALICE), 100 ether - 2 * CHALLENGE_BOND);
    }

    /// @dev Somebody was faster with one of the moves; all others stand.
    function test_multicall_staleMove_spoilsNoOther() public {
        Posted memory posted = post(model, Traces.changed(9, 6));
        GameId lost = challenge(ALICE, posted);
        GameId played = challenge(ALICE, posted);
        reveal(lost, posted.trace);
        bytes[] memory calls = new bytes[](3);
        calls[0] = selection(lost, posted.trace, 5);
        calls[1] = abi.encodeCall(DisputeGame.timeout, (one(played)));
        calls[2] = selection(played, posted.trace, 5);
        select(ALICE, lost, posted.trace, 4);
        VM.expectEmit(address(game));
        emit DisputeGame.CallFailed(0, Games.WrongNode.selector);
        VM.expectEmit(address(game));
        emit DisputeGame.CallFailed(1, DisputeGame.NothingToCollect.selector);
        VM.prank(ALICE);
        game.multicall(calls);
        same("the stale one", game.gameOf(lost).gindex, 4);
        same("the other", game.gameOf(played).gindex, 5);
    }

    /// @dev Everybody is only himself in it.
    function test_multicall_strangersMove_fails() public {
        Posted memory posted = post(model, Traces.changed(9, 6));
        GameId gameId = challenge(ALICE, posted);
        reveal(gameId, posted.trace);
        bytes[] memory calls = new bytes[](1);
        calls[0] = selection(gameId, posted.trace, 5);
        VM.expectEmit(address(game));
        emit DisputeGame.CallFailed(0, Games.NotChallenger.selector);
        VM.prank(EVE);
        game.multicall(calls);
        same("unmoved", game.gameOf(gameId).gindex, 1);
    }

    /// @dev One ether can't be the bond of two challenges: value comes in with `challenge` alone.
    function test_multicall_withValue_reverts() public {
        Posted memory posted = post(model, Traces.changed(9, 6));
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(DisputeGame.challenge, (posted.claim, posted.inclusion, bytes32(0)));
        calls[1] = calls[0];
        VM.deal(EVE, CHALLENGE_BOND);
        VM.prank(EVE);
        (bool success,) = address(game).call{value: CHALLENGE_BOND}(abi.encodeCall(DisputeGame.multicall, (calls)));
        yes("refused", !success);
        VM.prank(EVE);
        game.multicall(calls);
        same("without a bond there is no game", openGames(posted.id), 0);
        same("nothing is left in the game", address(game).balance, 0);
    }

    /// @dev Nor by a multicall in a multicall.
    function test_multicall_nested_bindsEveryBond() public {
        Posted memory posted = post(model, Traces.changed(9, 6));
        bytes[] memory inner = new bytes[](2);
        inner[0] = abi.encodeCall(DisputeGame.challenge, (posted.claim, posted.inclusion, bytes32(0)));
        inner[1] = inner[0];
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(DisputeGame.multicall, (inner));
        fund(EVE, CHALLENGE_BOND);
        VM.prank(EVE);
        game.multicall(calls);
        same("one", openGames(posted.id), 1);
        same("bond", chain.locked(EVE), CHALLENGE_BOND);
    }

    /// @dev A bundle that was sent with too little gas is refused whole, instead of being mined as if all were stale.
    function test_multicall_starved_reverts() public {
        Posted memory posted = post(model, Traces.changed(9, 6));
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(DisputeGame.challenge, (posted.claim, posted.inclusion, bytes32(0)));
        bytes memory call = abi.encodeCall(DisputeGame.multicall, (calls));
        VM.prank(ALICE);
        (bool success, bytes memory answer) = address(game).call{gas: 60_000}(call);
        yes("refused", !success);
        same("why", keccak256(answer), keccak256(abi.encodeWithSelector(DisputeGame.Starved.selector, 0)));
        VM.prank(ALICE);
        (success,) = address(game).call{gas: 400_000}(call);
        yes("with enough it is made", success && openGames(posted.id) == 1);
    }

    function test_multicall_noMove_reverts() public {
        bytes[] memory calls = new bytes[](1);
        calls[0] = hex"12345678";
        VM.expectRevert(abi.encodeWithSelector(DisputeGame.Starved.selector, 0));
        game.multicall(calls);
    }

    /// @dev To come to a place and to prove there are not for one transaction: see `Rewards.t.sol`.
    function test_multicall_selectionAndProof_provesNothing() public {
        Posted memory posted = post(model, Traces.changed(9, 6));
        GameId gameId = challenge(ALICE, posted);
        reveal(gameId, posted.trace);
        bytes[] memory calls = new bytes[](2);
        calls[0] = selection(gameId, posted.trace, PLACE);
        Move memory after_ = moveOf(gameId);
        after_.node = posted.trace.nodes[PLACE];
        calls[1] = abi.encodeCall(
            DisputeGame.prove, (after_, posted.claim, Gindex.wrap(PLACE), bytes32(0), Rule.Step, difference(1, 2))
        );
        VM.expectEmit(address(game));
        emit DisputeGame.CallFailed(1, Games.PlaceNotReached.selector);
        VM.prank(ALICE);
        game.multicall(calls);
        yes("not yet", !isConvicted(posted.id));
    }
}
