// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Stakes} from "../src/Stakes.sol";
import {Inclusion, Status} from "../src/types/Claim.sol";
import {Posting} from "./Groups.sol";
import {ClaimId, GameId} from "../src/types/Ids.sol";
import {Progress, Request, Round} from "../src/types/Request.sol";
import {Timestamp} from "../src/types/Time.sol";
import {Base} from "./Base.sol";
import {Hostile, Malice} from "./Consumers.sol";
import {QuorumWorld} from "./QuorumWorld.sol";

/// @dev Asks quorums, answers for them, lies, is silent, settles and withdraws, in any order, and keeps its own books.
contract Jury is QuorumWorld {
    struct Reply {
        Posting posting;
        Inclusion inclusion;
        uint256 asked;
        bool isRevealed;
        bool isSettled;
    }

    Hostile private _hostile;
    uint256 public paidIn;
    uint256 public paidOut;
    /// @dev The first thing that was not as it had to be; a revert would take back what shows it.
    string public contradiction;
    uint256 public owed;
    uint256 public stakedIn;
    uint256 public stakedOut;
    mapping(bytes32 action => uint256 times) public done;
    mapping(uint256 index => uint256 amount) public paid;
    /// @dev Shares that a prover's seats and unsettled answers hold.
    mapping(address prover => uint256 count) public shares;

    Request[] private _asked;
    Reply[] private _replies;

    function setUp() public override {
        super.setUp();
        _hostile = new Hostile(Malice.Reverts, requests);
        fund(ALICE, 1_000_000 ether);
        for (uint256 j = 0; j < PROVERS_COUNT; ++j) {
            this.stake(j);
            this.join(j);
        }
    }

    receive() external payable override {}

    error NothingThere();

    /// @dev Each call of a run sees the time that the calls before it left.
    modifier action(bytes32 name) {
        VM.warp(time);
        VM.roll(height);
        _;
        done[name] += 1;
    }

    function ask(uint256 seed) external action("ask") {
        Request memory asked = seed % 2 == 0 ? terms() : drawnTerms();
        if (seed % 3 == 0) asked.callback = address(_hostile);
        VM.deal(address(this), FEE);
        (bytes32 requestId, Request memory made) = ask(asked);
        expects("id", uint256(requestId), uint256(requests.requestIdOf(made)));
        (paidIn, owed) = (paidIn + FEE, owed + FEE);
        _asked.push(made);
    }

    function draw(uint256 seed) external action("draw") {
        uint256 index = _open(seed, true);
        bytes32 requestId = requests.requestIdOf(_asked[index]);
        if (requests.roundOf(requestId).committee != 0) revert NothingThere();
        draw(_asked[index], requestId, keccak256(abi.encode(seed)));
    }

    function commit(uint256 seed) external action("commit") {
        uint256 index = _open(seed, seed % 2 == 0);
        Request memory asked = _asked[index];
        bytes32 requestId = requests.requestIdOf(asked);
        Round memory round = requests.roundOf(requestId);
        address[] memory members = provers.membersOf(asked.committee != 0 ? asked.committee : round.committee);
        // The next of them, or anybody.
        uint256 key = seed % 16 == 5 ? keys[seed % PROVERS_COUNT] : keyOf(members[round.committed]);
        Posting memory posting = commit(asked, requestId, key, seed % 5 == 0 ? LIE : BYTES);
        Reply storage reply = _replies.push();
        (reply.posting, reply.asked) = (posting, index);
        if (requests.roundOf(requestId).sealedAt != 0 && seed % 8 != 0) nextBlock();
    }

    function expects(string memory what, uint256 actual, uint256 expected) private {
        if (actual != expected && bytes(contradiction).length == 0) contradiction = what;
    }

    function reveal(uint256 seed) external action("reveal") {
        Reply storage reply = _replies[_reply(seed, false)];
        Request memory asked = _asked[reply.asked];
        uint256 before = total();
        Posted memory posted = reveal(asked, reply.posting);
        (reply.inclusion, reply.isRevealed) = (posted.inclusion, true);
        if (asked.committee == 0) shares[reply.posting.claim.claimant] += 1;
        expects("nothing is paid yet", total(), before);
    }

    /// @dev A request's whole quorum, if nobody lies.
    function agree(uint256 seed) external action("agree") {
        this.ask(seed);
        if (seed % 2 == 1) this.draw(seed - seed % 32);
        for (uint256 j = 0; j < QUORUM; ++j) {
            this.commit((seed % 2 == 0 ? 1 : 2) + (seed >> (8 * j)) % 4 * 160 + 32);
        }
        for (uint256 j = 0; j < QUORUM; ++j) {
            try this.reveal(_replies.length - QUORUM + j) {} catch {}
        }
    }

    function settle(uint256 seed) external action("settle") {
        Reply storage reply = _replies[_reply(seed, true)];
        Request memory asked = _asked[reply.asked];
        bytes32 requestId = requests.requestIdOf(asked);
        Status status = chain.status(reply.posting.claim, reply.inclusion);
        if (seed % 2 == 0 && status == Status.Posted) wait(WINDOW + 1);
        Round memory round = requests.roundOf(requestId);
        (uint256 before, uint256 held, uint256 burned) = (total(), stakeOf(reply), provers.burned());
        requests.settle(asked, reply.posting.claim, reply.inclusion);
        uint256 part = !round.isAgreed ? 0 : FEE / QUORUM + (round.settled == 0 ? FEE % QUORUM : 0);
        expects("one part", total() - before, part);
        (owed, paid[reply.asked], reply.isSettled) = (owed - part, paid[reply.asked] + part, true);
        if (asked.committee != 0) return;
        shares[reply.posting.claim.claimant] -= 1;
        bool isInvalid = isConvicted(chain.claimIdOf(reply.posting.claim));
        expects("stake", held - stakeOf(reply), isInvalid ? CLAIM_BOND : 0);
        expects("burned", provers.burned() - burned, isInvalid ? CLAIM_BOND : 0);
    }

    function answer(uint256 seed) external action("answer") {
        Reply storage reply = _replies[_reply(seed, true)];
        if (chain.status(reply.posting.claim, reply.inclusion) == Status.Posted) wait(WINDOW + 1);
        uint256 before = total();
        requests.answer(_asked[reply.asked], ALONG, reply.posting.claim, reply.inclusion, reply.posting.output);
        expects("whole fee", total() - before, FEE);
        (owed, paid[reply.asked]) = (owed - FEE, paid[reply.asked] + FEE);
    }

    function deliver(uint256 seed) external action("deliver") {
        uint256 before = total();
        if (seed % 2 == 0) _hostile.behave();
        requests.deliver(_asked[seed % _asked.length], ALONG, seed % 5 == 0 ? LIE : BYTES);
        expects("nothing paid", total(), before);
    }

    function refund(uint256 seed) external action("refund") {
        uint256 index = seed % _asked.length;
        uint256 over = Timestamp.unwrap(_asked[index].until) + 2 * WINDOW;
        if (seed % 2 == 1 && over >= time) wait(over + 1 - time);
        uint256 before = total();
        requests.refund(_asked[index], ALONG);
        expects("given back", total() - before, FEE);
        (owed, paid[index]) = (owed - FEE, paid[index] + FEE);
    }

    function cancel(uint256 seed) external action("cancel") {
        requests.cancel(_asked[seed % _asked.length]);
    }

    function note(uint256 seed) external action("note") {
        Reply storage reply = _replies[_reply(seed, true)];
        requests.note(_asked[reply.asked], reply.posting.claim, reply.inclusion);
    }

    function lose(uint256 seed) external action("lose") {
        Reply storage reply = _replies[_reply(seed, true)];
        VM.prank(ALICE);
        GameId gameId = game.challenge(reply.posting.claim, reply.inclusion, 0);
        note(gameId, chain.claimIdOf(reply.posting.claim), reply.posting.claim.traceRoot, ALICE);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
    }

    function stake(uint256 seed) external action("stake") {
        uint256 amount = CLAIM_BOND * (2 + seed % 3);
        VM.deal(prover(seed % PROVERS_COUNT), amount);
        VM.prank(prover(seed % PROVERS_COUNT));
        provers.stake{value: amount}();
        stakedIn += amount;
    }

    function unstake(uint256 seed) external action("unstake") {
        address who = prover(seed % PROVERS_COUNT);
        (uint128 free,) = provers.stakes(who);
        if (free == 0) revert NothingThere();
        uint128 amount = 1 + uint128(seed >> 8) % free;
        VM.prank(who);
        provers.unstake(amount);
        stakedOut += amount;
    }

    function join(uint256 seed) external action("join") {
        VM.prank(prover(seed % PROVERS_COUNT));
        provers.join(small);
        shares[prover(seed % PROVERS_COUNT)] += 1;
    }

    function resign(uint256 seed) external action("resign") {
        VM.prank(prover(seed % PROVERS_COUNT));
        provers.resign(small);
    }

    function vacate(uint256 seed) external action("vacate") {
        if (seed % 2 == 0) {
            height += provers.LEAVING_BLOCKS();
            nextBlock();
        }
        VM.prank(prover(seed % PROVERS_COUNT));
        provers.vacate(small);
        shares[prover(seed % PROVERS_COUNT)] -= 1;
    }

    function withdraw(uint256 seed) external action("withdraw") {
        address who = seed % 7 == 6 ? address(this) : prover(seed % 7);
        paidOut += requests.earned(who);
        VM.prank(who);
        requests.withdraw();
    }

    function pass(uint256 seed) external action("pass") {
        if (seed % 4 == 0) height += 9;
        wait([uint256(1), 12, 60, WINDOW + 1][seed % 4]);
    }

    /// @dev A request of that kind that is open and waits for a commitment, if there is one, the newest first.
    function _open(uint256 seed, bool isDrawn) private view returns (uint256) {
        for (uint256 j = _asked.length; j > 0; --j) {
            if (seed % 32 == 9) break;
            if ((_asked[j - 1].committee == 0) != isDrawn) continue;
            bytes32 requestId = requests.requestIdOf(_asked[j - 1]);
            if (requests.progressOf(requestId) != Progress.Open) continue;
            if (requests.roundOf(requestId).committed < QUORUM) return j - 1;
        }
        if (_asked.length == 0) revert NothingThere();
        return seed % _asked.length;
    }

    function _reply(uint256 seed, bool isRevealed) private view returns (uint256 index) {
        for (uint256 j = 0; j < _replies.length; ++j) {
            index = (seed % _replies.length + j) % _replies.length;
            if (seed % 32 == 9) return index;
            if (_replies[index].isRevealed != isRevealed || _replies[index].isSettled) continue;
            if (isRevealed || _canReveal(index)) return index;
        }
        revert NothingThere();
    }

    function _canReveal(uint256 index) private view returns (bool) {
        bytes32 requestId = _replies[index].posting.claim.requestId;
        uint256 sealedAt = requests.roundOf(requestId).sealedAt;
        bool isInTime = sealedAt != 0 && height > sealedAt && height <= sealedAt + requests.REVEAL_BLOCKS();
        return isInTime && requests.progressOf(requestId) == Progress.Open;
    }

    function stakeOf(Reply storage reply) private view returns (uint256) {
        (uint128 free, uint128 held) = provers.stakes(reply.posting.claim.claimant);
        return uint256(free) + held;
    }

    function total() public view returns (uint256 sum) {
        sum = requests.earned(address(this)) + requests.earned(ALICE);
        for (uint256 j = 0; j < PROVERS_COUNT; ++j) {
            sum += requests.earned(prover(j));
        }
    }

    function asked() external view returns (uint256) {
        return _asked.length;
    }

    /// @dev Escrow, stakes, and the fee of every request; reverts where the books differ.
    function audit() external view {
        same(contradiction, bytes(contradiction).length, 0);
        same("escrow", address(requests).balance, owed + total());
        same("in and out", address(requests).balance, paidIn - paidOut);
        uint256 sum = provers.burned();
        for (uint256 j = 0; j < PROVERS_COUNT; ++j) {
            (uint128 free, uint128 held) = provers.stakes(prover(j));
            same("held", held, shares[prover(j)] * CLAIM_BOND);
            sum += uint256(free) + held;
        }
        same("stakes", address(provers).balance, sum);
        same("stakes in and out", address(provers).balance, stakedIn - stakedOut);
        for (uint256 j = 0; j < _asked.length; ++j) {
            bytes32 requestId = requests.requestIdOf(_asked[j]);
            Progress progress = requests.progressOf(requestId);
            Round memory round = requests.roundOf(requestId);
            bool isOver = progress != Progress.Open && !(round.isAgreed && round.settled < QUORUM);
            yes("paid once", isOver ? paid[j] == FEE : paid[j] < FEE);
            if (progress == Progress.Open) same("not paid", paid[j], 0);
        }
    }
}

/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 50
contract QuorumMoneyTest is Base {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Jury private jury;

    function setUp() public {
        jury = new Jury();
        jury.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(jury);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        string[30] memory chosen = [
            "agree",
            "agree",
            "ask",
            "ask",
            "draw",
            "draw",
            "commit",
            "commit",
            "commit",
            "commit",
            "commit",
            "commit",
            "reveal",
            "reveal",
            "reveal",
            "reveal",
            "reveal",
            "settle",
            "settle",
            "answer",
            "deliver",
            "refund",
            "cancel",
            "note",
            "lose",
            "stake",
            "unstake",
            "resign",
            "withdraw",
            "pass"
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(jury), new bytes4[](chosen.length + 2));
        for (uint256 j = 0; j < chosen.length; ++j) {
            targets[0].selectors[j] = bytes4(keccak256(abi.encodePacked(chosen[j], "(uint256)")));
        }
        targets[0].selectors[chosen.length] = Jury.join.selector;
        targets[0].selectors[chosen.length + 1] = Jury.vacate.selector;
    }

    function invariant_money_isWhereTheBooksSay() public view {
        jury.audit();
    }

    /// @dev The actions do take effect, in one life of each kind.
    function test_jury_everyAction_takesEffect() public {
        // A drawn quorum agrees, one of it is convicted, the others are paid.
        jury.ask(1);
        jury.draw(0);
        for (uint256 j = 0; j < 3; ++j) {
            jury.commit(2);
        }
        for (uint256 j = 0; j < 3; ++j) {
            jury.reveal(j);
        }
        jury.lose(0);
        for (uint256 j = 0; j < 3; ++j) {
            jury.settle(2 * j);
            jury.audit();
        }
        // A named one disagrees and is answered by a final claim; its consumer fails first.
        jury.ask(6);
        jury.commit(1);
        jury.commit(15);
        jury.commit(1);
        for (uint256 j = 0; j < 3; ++j) {
            jury.reveal(j);
        }
        jury.note(3);
        jury.answer(3);
        jury.deliver(1);
        jury.ask(4);
        jury.cancel(2);
        jury.refund(5);
        jury.stake(0);
        jury.unstake(0);
        jury.resign(0);
        jury.vacate(0);
        jury.join(0);
        for (uint256 j = 0; j < 7; ++j) {
            try jury.withdraw(j) {} catch {}
        }
        jury.audit();
        string[18] memory actions = [
            "ask",
            "draw",
            "commit",
            "reveal",
            "settle",
            "answer",
            "deliver",
            "refund",
            "cancel",
            "note",
            "lose",
            "stake",
            "unstake",
            "join",
            "resign",
            "vacate",
            "withdraw",
            "ask"
        ];
        for (uint256 j = 0; j < actions.length; ++j) {
            yes(actions[j], jury.done(bytes32(bytes(actions[j]))) != 0);
        }
    }
}
