// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Progress, Request, Subscription} from "../src/types/Request.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Consumer, Hostile, Malice} from "./Consumers.sol";
import {Base} from "./Base.sol";
import {Groups, Posting} from "./Groups.sol";
import {World} from "./World.sol";

/// @dev Asks, answers, cancels, takes back and withdraws, in any order, and keeps its own books. Most actions look for something
///      that they can be done to; some are tried on anything at all.
contract Asker is World {
    uint128 private constant FEE = 1 ether;
    uint16 private constant ROYALTY = 1_000;

    Requests public requests;
    Consumer private _consumer;
    Hostile private _hostile;
    ModelId private _small;
    uint256 public paidIn;
    uint256 public paidOut;
    /// @dev The first thing that was not as it had to be; a revert would take back what shows it.
    string public contradiction;
    /// @dev Fees of requests that are open, and of requests that subscriptions can still make.
    uint256 public owed;
    mapping(bytes32 action => uint256 times) public done;
    /// @dev How often the fee of a request was paid, or given back.
    mapping(uint256 index => uint256 times) public paid;
    mapping(uint256 index => uint256 times) public refunded;

    Request[] private _asked;
    Subscription[] private _plans;
    Claim[] private _claims;
    mapping(uint256 index => uint256 batchId) private _batchOf;
    mapping(uint256 index => uint256 asked) private _about;

    function setUp() public override {
        super.setUp();
        deposit(claimant, 100_000 ether);
        fund(ALICE, 10_000 ether);
        requests = Requests(VM.deployCode("artifacts/Requests.json", abi.encode(chain)));
        _consumer = new Consumer();
        _hostile = new Hostile(Malice.Reverts, requests);
        // i8[4] -> i8[4], one op; BOB is its author.
        bytes memory inputs = abi.encodePacked(hex"01", hex"000001", uint32(4));
        bytes memory outputs = abi.encodePacked(hex"01", uint32(1), hex"000001", uint32(4));
        bytes memory head = abi.encodePacked(uint16(2), uint8(0), uint8(1), uint8(0), uint32(2), inputs, outputs);
        bytes32 leaf = sha256(abi.encodePacked(hex"02", head));
        _small = ModelId.wrap(sha256(abi.encodePacked(hex"01", leaf, bytes32(uint256(5)))));
        requests.commit(keccak256(abi.encode(_small, BOB, bytes32(0))));
        nextBlock();
        VM.prank(BOB);
        requests.publish(_small, head, abi.encodePacked(bytes32(uint256(5))), ROYALTY, 0);
        VM.fee(1 gwei);
        this.ask(0, false);
        this.subscribe(2);
    }

    receive() external payable {}

    /// @dev Each call of a run sees the time that the calls before it left.
    modifier action(bytes32 name) {
        VM.warp(time);
        VM.roll(height);
        _;
        done[name] += 1;
    }

    function root() private pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"00", hex"01020304", new bytes(1020)));
    }

    function ask(uint256 patience, bool hostile) external action("ask") {
        Request memory asked;
        asked.modelId = _small;
        asked.callback = hostile ? address(_hostile) : address(_consumer);
        asked.gasLimit = 300_000;
        asked.until = Timestamp.wrap(uint40(time + 1 + patience % 5_000));
        if (patience % 3 == 0) {
            (asked.prover, asked.proverUntil) = (ALICE, Timestamp.wrap(uint40(time + patience % 100)));
        }
        if (asked.proverUntil > asked.until) asked.proverUntil = asked.until;
        asked.number = requests.requestCount();
        VM.deal(address(this), FEE);
        requests.request{value: FEE}(asked, hex"01020304", "");
        (paidIn, owed) = (paidIn + FEE, owed + FEE);
        _asked.push(_completed(asked));
    }

    function _completed(Request memory asked) private view returns (Request memory) {
        (asked.requester, asked.fee, asked.dataHash, asked.inputRoot) = (address(this), FEE, keccak256(""), root());
        (asked.author, asked.royalty) = (BOB, ROYALTY);
        return asked;
    }

    function subscribe(uint32 times) external action("subscribe") {
        times = 1 + times % 4;
        Subscription memory plan;
        plan.first.modelId = _small;
        plan.first.callback = address(_consumer);
        plan.first.fee = FEE;
        (plan.interval, plan.patience) = (Duration.wrap(20), Duration.wrap(3_000));
        plan.number = requests.subscriptionCount();
        VM.deal(address(this), uint256(FEE) * times);
        requests.subscribe{value: uint256(FEE) * times}(plan, times, hex"01020304", "");
        (paidIn, owed) = (paidIn + uint256(FEE) * times, owed + uint256(FEE) * times);
        plan.first = _completed(plan.first);
        _plans.push(plan);
    }

    function renew(uint256 seed) external action("renew") {
        Subscription memory plan = _plans[seed % _plans.length];
        Request memory asked = plan.first;
        asked.number = requests.requestCount();
        (asked.proverUntil, asked.until) = (Timestamp.wrap(uint40(time)), Timestamp.wrap(uint40(time + 3_000)));
        requests.renew(_plans[seed % _plans.length], "");
        _asked.push(asked);
    }

    function unsubscribe(uint256 seed) external action("unsubscribe") {
        Subscription memory plan = _plans[seed % _plans.length];
        (, uint32 left) = requests.budgetOf(requests.subscriptionIdOf(plan));
        requests.unsubscribe(plan);
        owed -= uint256(FEE) * left;
    }

    function cancel(uint256 seed) external action("cancel") {
        requests.cancel(_asked[seed % _asked.length]);
    }

    function post(uint256 seed) external action("post") {
        uint256 index = seed % 8 == 0 ? seed % _asked.length : _waiting(seed);
        Claim memory claim;
        (claim.modelId, claim.claimant, claim.nonce) = (_small, claimant, nextNonce++);
        (claim.validUntil, claim.requestId) = (uint64(time + 10), requests.requestIdOf(_asked[index]));
        (claim.inputRoot, claim.outputRoot, claim.traceRoot) = (root(), root(), bytes32(uint256(1)));
        Posting[] memory postings = new Posting[](1);
        bytes memory signature = signed(CLAIMANT_KEY, ClaimId.unwrap(chain.claimIdOf(claim)));
        postings[0] = Posting(claim, signature, hex"01020304", hex"01020304");
        (_batchOf[_claims.length], _about[_claims.length]) = (chain.postBatch(Groups.single(postings)), index);
        _claims.push(claim);
    }

    function note(uint256 seed) external action("note") {
        uint256 index = _claim(seed);
        requests.note(_asked[_about[index]], _claims[index], _inclusion(index));
    }

    function strike(uint256 seed) external action("strike") {
        for (uint256 j = 0; j < _claims.length; ++j) {
            uint256 index = (seed % _claims.length + j) % _claims.length;
            ClaimId claimId = chain.claimIdOf(_claims[index]);
            if (!isConvicted(claimId)) continue;
            try requests.strike(_claims[index].requestId, claimId) {
                return;
            } catch {}
        }
        revert NothingThere();
    }

    function expects(string memory what, uint256 actual, uint256 expected) private {
        if (actual != expected && bytes(contradiction).length == 0) contradiction = what;
    }

    function answer(uint256 seed) external action("answer") {
        bool any = seed % 8 == 0;
        if (seed % 2 == 1) this.post(seed);
        uint256 index = any ? seed % _claims.length : _claim(seed);
        if (!any && chain.status(_claims[index], _inclusion(index)) == Status.Posted) wait(WINDOW + 1);
        uint256 before = earned();
        requests.answer(_asked[_about[index]], "", _claims[index], _inclusion(index), hex"01020304");
        expects("paid", earned() - before, FEE);
        owed -= FEE;
        paid[_about[index]] += 1;
    }

    function deliver(uint256 seed) external action("deliver") {
        uint256 before = earned();
        if (seed % 2 == 0) _hostile.behave();
        requests.deliver(_asked[_request(seed, Progress.Undelivered)], "", hex"01020304");
        expects("nothing paid", earned(), before);
    }

    function refund(uint256 seed) external action("refund") {
        bool any = seed % 4 == 0;
        uint256 index = any ? seed % _asked.length : _request(seed, Progress.Open);
        uint256 over = Timestamp.unwrap(_asked[index].until) + 2 * WINDOW;
        if (seed % 2 == 1 && over >= time) wait(over + 1 - time);
        uint256 before = earned();
        requests.refund(_asked[index], "");
        expects("given back", earned() - before, FEE);
        owed -= FEE;
        refunded[index] += 1;
    }

    function lose(uint256 seed) external action("lose") {
        if (seed % 2 == 1) this.post(seed);
        uint256 index = seed % 2 == 1 ? _claims.length - 1 : _claim(seed);
        if (seed % 4 != 0) requests.note(_asked[_about[index]], _claims[index], _inclusion(index));
        ClaimId claimId = chain.claimIdOf(_claims[index]);
        VM.prank(ALICE);
        GameId gameId = game.challenge(_claims[index], _inclusion(index), 0);
        note(gameId, claimId, _claims[index].traceRoot, ALICE);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
    }

    function release(uint256 seed) external action("release") {
        uint256 index = seed % _claims.length;
        chain.release(_claims[index], _inclusion(index));
    }

    function withdraw(uint256 seed) external action("withdraw") {
        address who = [address(this), claimant, BOB][seed % 3];
        paidOut += requests.earned(who);
        VM.prank(who);
        requests.withdraw();
    }

    function pass(uint256 seconds_) external action("pass") {
        wait([uint256(1), 20, 60, 300, WINDOW, 3 * WINDOW][seconds_ % 6]);
    }

    error NothingThere();

    /// @dev A request that is so far, the first from some place on.
    function _request(uint256 seed, Progress progress) private view returns (uint256 index) {
        for (uint256 j = 0; j < _asked.length; ++j) {
            index = (seed % _asked.length + j) % _asked.length;
            if (requests.progressOf(requests.requestIdOf(_asked[index])) == progress) return index;
        }
        revert NothingThere();
    }

    /// @dev An open request that a claim posted now would answer.
    function _waiting(uint256 seed) private view returns (uint256 index) {
        for (uint256 j = 0; j < _asked.length; ++j) {
            index = (seed % _asked.length + j) % _asked.length;
            Request storage one_ = _asked[index];
            bool counts = Timestamp.unwrap(one_.until) >= time
                && (one_.prover == address(0) || Timestamp.unwrap(one_.proverUntil) < time);
            if (counts && requests.progressOf(requests.requestIdOf(one_)) == Progress.Open) return index;
        }
        revert NothingThere();
    }

    /// @dev A claim about an open request, that is not invalid.
    function _claim(uint256 seed) private view returns (uint256 index) {
        for (uint256 j = 0; j < _claims.length; ++j) {
            index = (seed % _claims.length + j) % _claims.length;
            if (requests.progressOf(_claims[index].requestId) != Progress.Open) continue;
            if (!isConvicted(chain.claimIdOf(_claims[index]))) return index;
        }
        revert NothingThere();
    }

    function _inclusion(uint256 index) private view returns (Inclusion memory) {
        return Inclusion(_batchOf[index], 0, new bytes32[](0));
    }

    function earned() public view returns (uint256) {
        return requests.earned(claimant) + requests.earned(address(this)) + requests.earned(BOB);
    }

    function asked() external view returns (uint256) {
        return _asked.length;
    }

    function progressOf(uint256 index) external view returns (Progress) {
        return requests.progressOf(requests.requestIdOf(_asked[index]));
    }
}

/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 50
contract RequestsMoneyTest is Base {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Asker private asker;

    function setUp() public {
        asker = new Asker();
        asker.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(asker);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[20] memory chosen = [
            Asker.ask.selector,
            Asker.ask.selector,
            Asker.subscribe.selector,
            Asker.renew.selector,
            Asker.unsubscribe.selector,
            Asker.cancel.selector,
            Asker.post.selector,
            Asker.post.selector,
            Asker.post.selector,
            bytes4(keccak256("note(uint256)")),
            Asker.strike.selector,
            Asker.answer.selector,
            Asker.answer.selector,
            Asker.deliver.selector,
            Asker.refund.selector,
            Asker.refund.selector,
            Asker.lose.selector,
            Asker.release.selector,
            Asker.withdraw.selector,
            Asker.pass.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(asker), new bytes4[](chosen.length));
        for (uint256 j = 0; j < chosen.length; ++j) {
            targets[0].selectors[j] = chosen[j];
        }
    }

    function invariant_escrow_isWhatIsOwed() public view {
        uint256 held = address(asker.requests()).balance;
        same(asker.contradiction(), bytes(asker.contradiction()).length, 0);
        same("held", held, asker.owed() + asker.earned());
        same("in and out", held, asker.paidIn() - asker.paidOut());
    }

    /// @dev A fee is paid once or given back once, never both, and exactly if the request has ended that way.
    function invariant_fee_hasOneEnd() public view {
        for (uint256 j = 0; j < asker.asked(); ++j) {
            Progress progress = asker.progressOf(j);
            bool isAnswered = progress == Progress.Answered || progress == Progress.Undelivered;
            same("paid", asker.paid(j), isAnswered ? 1 : 0);
            same("given back", asker.refunded(j), progress == Progress.Refunded ? 1 : 0);
        }
    }

    /// @dev The actions do take effect, in one life of each kind.
    function test_asker_everyAction_takesEffect() public {
        asker.ask(1, true);
        asker.ask(2, false);
        asker.post(1);
        asker.note(uint256(0));
        asker.post(2);
        asker.lose(1);
        asker.strike(1);
        asker.cancel(2);
        asker.renew(0);
        asker.unsubscribe(0);
        asker.answer(2);
        asker.deliver(0);
        asker.release(0);
        asker.refund(1);
        for (uint256 j = 0; j < 3; ++j) {
            asker.withdraw(j);
        }
        bytes32[14] memory actions = [
            bytes32("ask"),
            "subscribe",
            "renew",
            "unsubscribe",
            "cancel",
            "post",
            "note",
            "strike",
            "answer",
            "deliver",
            "refund",
            "lose",
            "release",
            "withdraw"
        ];
        for (uint256 j = 0; j < actions.length; ++j) {
            yes("took effect", asker.done(actions[j]) != 0);
        }
        invariant_escrow_isWhatIsOwed();
        invariant_fee_hasOneEnd();
    }
}
