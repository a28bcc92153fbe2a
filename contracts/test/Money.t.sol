// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ledger} from "../src/Ledger.sol";
import {Nonces} from "../src/Nonces.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {ClaimId, GameId} from "../src/types/Ids.sol";
import {Payment} from "../src/types/Payment.sol";
import {Timestamp} from "../src/types/Time.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev Refuses money as long as it is told to.
contract Refuser {
    bool public refuses = true;
    RollupChain private immutable CHAIN;

    error NoThanks();

    constructor(RollupChain chain) {
        CHAIN = chain;
    }

    receive() external payable {
        if (refuses) revert NoThanks();
    }

    function accept() external {
        refuses = false;
    }

    function withdraw(uint256 amount) external {
        CHAIN.withdraw(amount);
    }

    function announce(uint256 amount) external {
        CHAIN.announceWithdrawal(amount);
    }

    function complete() external {
        CHAIN.completeWithdrawal();
    }
}

/// @dev Withdraws once more while it is being paid.
contract Greedy {
    RollupChain private immutable CHAIN;

    constructor(RollupChain chain) {
        CHAIN = chain;
    }

    receive() external payable {
        if (CHAIN.earnings(address(this)) >= msg.value) CHAIN.withdraw(msg.value);
        (bool success,) = address(CHAIN).call(abi.encodeCall(Ledger.completeWithdrawal, ()));
        if (success) revert();
    }

    function withdraw(uint256 amount) external {
        CHAIN.withdraw(amount);
    }

    function announce(uint256 amount) external {
        CHAIN.announceWithdrawal(amount);
    }

    function complete() external {
        CHAIN.completeWithdrawal();
    }
}

/// @dev Which money can become what, and when it can leave.
contract MoneyTest is World {
    using Traces for Trace;

    function announce(address account, uint256 amount) private {
        VM.prank(account);
        chain.announceWithdrawal(amount);
    }

    function complete(address account) private {
        VM.prank(account);
        chain.completeWithdrawal();
    }

    function test_fund_isEarnedAndLeavesAtOnce() public {
        fund(EVE, 5 ether);
        same("earned", chain.earnings(EVE), 5 ether);
        same("not free", chain.balance(EVE), 0);
        VM.prank(EVE);
        chain.withdraw(3 ether);
        same("out", EVE.balance, 3 ether);
        same("rest", chain.earnings(EVE), 2 ether);
    }

    function test_withdraw_tooMuch_reverts() public {
        deposit(EVE, 5 ether);
        VM.expectRevert(abi.encodeWithSelector(Ledger.InsufficientEarnings.selector, EVE, 0, 1));
        VM.prank(EVE);
        chain.withdraw(1);
    }

    function test_deposit_leavesAfterTheDelay() public {
        VM.deal(EVE, 5 ether);
        VM.prank(EVE);
        chain.deposit{value: 5 ether}();
        Timestamp due = Timestamp.wrap(uint40(time + DELAY));
        VM.expectEmit(address(chain));
        emit Ledger.WithdrawalAnnounced(EVE, 3 ether, due);
        announce(EVE, 3 ether);
        (uint256 amount, Timestamp when) = chain.withdrawalOf(EVE);
        same("announced", amount, 3 ether);
        same("due", Timestamp.unwrap(when), Timestamp.unwrap(due));
        wait(DELAY - 1);
        VM.expectRevert(abi.encodeWithSelector(Ledger.WithdrawalNotDue.selector, EVE, due));
        complete(EVE);
        wait(1);
        VM.expectEmit(address(chain));
        emit Ledger.Withdrawn(EVE, 3 ether, true);
        complete(EVE);
        same("out", EVE.balance, 3 ether);
        same("rest", chain.balance(EVE), 2 ether);
        VM.expectRevert(abi.encodeWithSelector(Ledger.WithdrawalNotDue.selector, EVE, Timestamp.wrap(0)));
        complete(EVE);
    }

    function test_announce_again_replacesAndWaitsAnew() public {
        deposit(EVE, 5 ether);
        announce(EVE, 1 ether);
        wait(DELAY);
        announce(EVE, 5 ether);
        Timestamp due = Timestamp.wrap(uint40(time + DELAY));
        VM.expectRevert(abi.encodeWithSelector(Ledger.WithdrawalNotDue.selector, EVE, due));
        complete(EVE);
        wait(DELAY);
        complete(EVE);
        same("out", EVE.balance, 5 ether);
    }

    function test_announce_zero_takesItBack() public {
        deposit(EVE, 5 ether);
        announce(EVE, 1 ether);
        announce(EVE, 0);
        wait(DELAY);
        VM.expectRevert(abi.encodeWithSelector(Ledger.WithdrawalNotDue.selector, EVE, Timestamp.wrap(0)));
        complete(EVE);
    }

    /// @dev What became bonds meanwhile stays; more than there is can be announced.
    function testFuzz_complete_paysWhatIsStillFree(uint256 announced, bool posted) public {
        announced = announced == 0 ? type(uint256).max : announced;
        announce(claimant, announced);
        if (posted) post(model, Traces.honest());
        wait(DELAY);
        complete(claimant);
        uint256 free = posted ? 1000 ether - CLAIM_BOND : 1000 ether;
        same("out", claimant.balance, announced < free ? announced : free);
        same("rest", chain.balance(claimant), free - claimant.balance);
        same("bond", chain.locked(claimant), posted ? CLAIM_BOND : 0);
    }

    /// @dev Money can't be taken out in front of a batch: what is announced can be locked until it leaves.
    function test_withdrawalInFrontOfABatch_claimIsPosted() public {
        deposit(EVE, 1 ether);
        announce(claimant, 1000 ether);
        Posted memory posted = post(model, Traces.honest());
        yes("posted", chain.status(posted.claim, posted.inclusion) == Status.Posted);
    }

    /// @dev Nor can its nonce be cancelled in front of it; afterwards it is used.
    function test_cancellationInFrontOfABatch_claimIsPosted() public {
        Claim memory claim = claimOf(model, Traces.honest());
        VM.prank(claimant);
        chain.cancelNonce(claim.nonce);
        wait(DELAY - 1);
        claim.validUntil = uint64(time);
        yes("can be used", !chain.isNonceUsed(claimant, claim.nonce));
        Posted memory posted = post(claim, Traces.honest());
        yes("posted", chain.status(posted.claim, posted.inclusion) == Status.Posted);
        yes("used", chain.isNonceUsed(claimant, claim.nonce));
        Posted memory again = post(claim, Traces.honest());
        yes("once", chain.status(again.claim, again.inclusion) == Status.Unknown);
        VM.expectRevert(abi.encodeWithSelector(Nonces.NonceUsed.selector, claimant, claim.nonce));
        VM.prank(claimant);
        chain.cancelNonce(claim.nonce);
    }

    function test_cancelNonce_takesEffectAfterTheDelay() public {
        VM.expectEmit(address(chain));
        emit Nonces.NonceCancelled(EVE, 300, Timestamp.wrap(uint40(time + DELAY)));
        VM.prank(EVE);
        chain.cancelNonce(300);
        wait(DELAY - 1);
        yes("not yet", !chain.isNonceUsed(EVE, 300));
        VM.expectRevert(abi.encodeWithSelector(Nonces.NonceUsed.selector, EVE, 300));
        VM.prank(EVE);
        chain.cancelNonce(300);
        wait(1);
        yes("cancelled", chain.isNonceUsed(EVE, 300));
    }

    /// @dev Earnings become bonds of claims only by `redeposit`, and bonds of claims come back as free balance.
    function test_redeposit_makesEarningsFree() public {
        fund(EVE, 5 ether);
        VM.expectEmit(address(chain));
        emit Ledger.Redeposited(EVE, 2 ether);
        VM.prank(EVE);
        chain.redeposit(2 ether);
        same("free", chain.balance(EVE), 2 ether);
        same("earned", chain.earnings(EVE), 3 ether);
        VM.expectRevert(abi.encodeWithSelector(Ledger.InsufficientEarnings.selector, EVE, 3 ether, 4 ether));
        VM.prank(EVE);
        chain.redeposit(4 ether);
    }

    function test_challengeBond_isNeverTakenFromFreeBalance() public {
        Posted memory posted = post(model, Traces.honest());
        VM.expectRevert(abi.encodeWithSelector(Ledger.InsufficientEarnings.selector, claimant, 0, CHALLENGE_BOND));
        VM.prank(claimant);
        game.challenge(posted.claim, posted.inclusion, 0);
    }

    function test_challengeBond_valueAndEarningsTogether() public {
        Posted memory posted = post(model, Traces.honest());
        fund(EVE, 4 ether);
        VM.deal(EVE, 7 ether);
        VM.prank(EVE);
        game.challenge{value: 7 ether}(posted.claim, posted.inclusion, 0);
        same("locked", chain.locked(EVE), CHALLENGE_BOND);
        same("rest", chain.earnings(EVE), 1 ether);
    }

    function test_claimBond_isNeverTakenFromEarnings() public {
        announce(claimant, 1000 ether);
        wait(DELAY);
        complete(claimant);
        fund(claimant, 1000 ether);
        Posted memory posted = post(model, Traces.honest());
        yes("skipped", chain.status(posted.claim, posted.inclusion) == Status.Unknown);
    }

    function test_refusingReceiver_harmsOnlyItself() public {
        Refuser refuser = new Refuser(chain);
        fund(address(refuser), 3 ether);
        deposit(address(refuser), 2 ether);
        refuser.announce(2 ether);
        wait(DELAY);
        VM.expectRevert(abi.encodeWithSelector(Ledger.WithdrawalRefused.selector, address(refuser)));
        refuser.withdraw(3 ether);
        VM.expectRevert(abi.encodeWithSelector(Ledger.WithdrawalRefused.selector, address(refuser)));
        refuser.complete();
        VM.prank(ALICE);
        chain.withdraw(1 ether);
        same("others are paid", ALICE.balance, 1 ether);
        refuser.accept();
        refuser.withdraw(3 ether);
        refuser.complete();
        same("later it is paid", address(refuser).balance, 5 ether);
    }

    function test_reentered_paysOnce() public {
        Greedy greedy = new Greedy(chain);
        fund(address(greedy), 3 ether);
        deposit(address(greedy), 2 ether);
        greedy.announce(2 ether);
        wait(DELAY);
        greedy.complete();
        same("announced, and earnings once", address(greedy).balance, 4 ether);
        same("rest", chain.earnings(address(greedy)), 1 ether);
        same("free", chain.balance(address(greedy)), 0);
    }

    /// @dev A receiver that refuses money, or a contract without code, never keeps a game open: nothing is sent in a game.
    function test_refusingHelper_neverBlocksATimeout() public {
        Posted memory posted = post(model, Traces.honest());
        GameId gameId = challenge(ALICE, posted);
        Refuser refuser = new Refuser(chain);
        bytes32[][] memory openings = openingOf(1, posted.trace);
        VM.prank(address(refuser));
        game.reveal(openings);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        same("it is owed", chain.earnings(address(refuser)), MOVE_FEE);
    }

    /// @dev An account that is full burns what it can't take; it neither keeps a game open nor a bond locked.
    function test_fullAccount_neverBlocksATimeout() public {
        Posted memory posted = post(model, Traces.honest());
        GameId gameId = challenge(ALICE, posted);
        reveal(gameId, posted.trace);
        uint256 room = type(uint80).max - chain.balance(claimant) - chain.locked(claimant);
        deposit(claimant, room - 1 ether);
        wait(CLOCK + 1);
        VM.prank(EVE);
        game.timeout(one(gameId));
        same("what fits", chain.earnings(claimant), 1 ether);
        same("burned", chain.burned(), CHALLENGE_BOND - COLLECT_FEE - 1 ether);
        wait(WINDOW);
        chain.release(posted.claim, posted.inclusion);
        same("the bond is free", chain.balance(claimant), type(uint80).max - 1 ether);
        VM.deal(address(this), 1);
        uint256 total = uint256(type(uint80).max) + 1;
        VM.expectRevert(abi.encodeWithSelector(Ledger.AccountFull.selector, claimant, total));
        chain.depositFor{value: 1}(claimant);
        VM.deal(claimant, 1);
        VM.expectRevert(abi.encodeWithSelector(Ledger.AccountFull.selector, claimant, total));
        VM.prank(claimant);
        chain.fund{value: 1}();
    }
}
