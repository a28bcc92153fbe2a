// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {Claim, Inclusion, Posting} from "../src/types/Claim.sol";
import {ClaimId, GameId, ModelId} from "../src/types/Ids.sol";
import {Progress, Request, Subscription} from "../src/types/Request.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Consumer, Hostile, Malice} from "./Consumers.sol";
import {Base} from "./Base.sol";
import {World} from "./World.sol";

/// @dev Asks, answers, cancels, takes back and withdraws, in any order, and keeps its own books.
contract Asker is World {
    uint128 private constant FEE = 1 ether;

    Requests public requests;
    Consumer private _consumer;
    Hostile private _hostile;
    ModelId private _small;
    uint256 public paidIn;
    uint256 public paidOut;
    /// @dev Fees of requests that are open, and of requests that subscriptions can still make.
    uint256 public owed;
    uint256 public answers;
    mapping(bytes32 action => uint256 times) public done;

    Request[] private _asked;
    Subscription[] private _plans;
    Claim[] private _claims;
    mapping(uint256 index => uint256 batchId) private _batchOf;
    mapping(uint256 index => uint256 asked) private _about;
    GameId[] private _games;

    function setUp() public override {
        super.setUp();
        requests = Requests(VM.deployCode("artifacts/Requests.json", abi.encode(chain)));
        _consumer = new Consumer();
        _hostile = new Hostile(Malice.Reverts, requests);
        // i8[4] -> i8[4], one op.
        bytes memory inputs = abi.encodePacked(hex"01", hex"000001", uint32(4));
        bytes memory outputs = abi.encodePacked(hex"01", uint32(1), hex"000001", uint32(4));
        bytes memory head = abi.encodePacked(uint16(2), uint8(0), uint8(1), uint8(0), uint32(2), inputs, outputs);
        _small = chain.registerModel(head, abi.encodePacked(bytes32(uint256(5))));
        VM.fee(1 gwei);
        this.ask(0, false);
        this.subscribe(2);
    }

    receive() external payable {}

    function root() private pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"00", hex"01020304", new bytes(1020)));
    }

    function ask(uint256 patience, bool hostile) external {
        Request memory asked;
        asked.modelId = _small;
        asked.callback = hostile ? address(_hostile) : address(_consumer);
        asked.gasLimit = 300_000;
        asked.until = Timestamp.wrap(uint40(time + 1 + patience % 500));
        if (patience % 3 == 0) {
            (asked.prover, asked.proverUntil) = (ALICE, Timestamp.wrap(uint40(time + patience % 100)));
        }
        if (asked.proverUntil > asked.until) asked.proverUntil = asked.until;
        asked.number = requests.requestCount();
        VM.deal(address(this), FEE);
        requests.request{value: FEE}(asked, hex"01020304", "");
        (paidIn, owed) = (paidIn + FEE, owed + FEE);
        _asked.push(_completed(asked));
        done["ask"] += 1;
    }

    function _completed(Request memory asked) private view returns (Request memory) {
        (asked.requester, asked.fee, asked.dataHash, asked.inputRoot) = (address(this), FEE, keccak256(""), root());
        return asked;
    }

    function subscribe(uint32 times) external {
        times = 1 + times % 4;
        Subscription memory plan;
        plan.first.modelId = _small;
        plan.first.callback = address(_consumer);
        plan.first.fee = FEE;
        (plan.interval, plan.patience) = (Duration.wrap(20), Duration.wrap(300));
        plan.number = requests.subscriptionCount();
        VM.deal(address(this), uint256(FEE) * times);
        requests.subscribe{value: uint256(FEE) * times}(plan, times, hex"01020304", "");
        (paidIn, owed) = (paidIn + uint256(FEE) * times, owed + uint256(FEE) * times);
        plan.first = _completed(plan.first);
        _plans.push(plan);
        done["subscribe"] += 1;
    }

    function renew(uint256 seed) external {
        Subscription memory plan = _plans[seed % _plans.length];
        Request memory asked = plan.first;
        asked.number = requests.requestCount();
        (asked.proverUntil, asked.until) = (Timestamp.wrap(uint40(time)), Timestamp.wrap(uint40(time + 300)));
        requests.renew(_plans[seed % _plans.length], "");
        _asked.push(asked);
        done["renew"] += 1;
    }

    function unsubscribe(uint256 seed) external {
        Subscription memory plan = _plans[seed % _plans.length];
        (, uint32 left) = requests.budgetOf(requests.subscriptionIdOf(plan));
        requests.unsubscribe(plan);
        owed -= uint256(FEE) * left;
        done["unsubscribe"] += 1;
    }

    function cancel(uint256 seed) external {
        requests.cancel(_asked[seed % _asked.length]);
        done["cancel"] += 1;
    }

    function post(uint256 seed) external {
        uint256 index = seed % _asked.length;
        Claim memory claim;
        (claim.modelId, claim.claimant, claim.nonce) = (_small, claimant, nextNonce++);
        (claim.validUntil, claim.requestId) = (uint64(time + 10), requests.requestIdOf(_asked[index]));
        (claim.inputRoot, claim.outputRoot, claim.traceRoot) = (root(), root(), bytes32(uint256(1)));
        Posting[] memory postings = new Posting[](1);
        bytes memory signature = signed(CLAIMANT_KEY, ClaimId.unwrap(chain.claimIdOf(claim)));
        postings[0] = Posting(claim, signature, hex"01020304", hex"01020304");
        uint256 before = chain.locked(claimant);
        uint256 batchId = chain.postBatch(postings);
        if (chain.locked(claimant) == before) return;
        (_batchOf[_claims.length], _about[_claims.length]) = (batchId, index);
        _claims.push(claim);
        done["post"] += 1;
    }

    function note(uint256 seed) external {
        uint256 index = seed % _claims.length;
        requests.note(_asked[_about[index]], _claims[index], Inclusion(_batchOf[index], 0, new bytes32[](0)));
        done["note"] += 1;
    }

    function answer(uint256 seed) external {
        if (seed % 4 != 0) wait(WINDOW + 1);
        uint256 index = seed % _claims.length;
        Inclusion memory inclusion = Inclusion(_batchOf[index], 0, new bytes32[](0));
        requests.answer(_asked[_about[index]], "", _claims[index], inclusion, hex"01020304");
        owed -= FEE;
        answers += 1;
        done["answer"] += 1;
    }

    function deliver(uint256 seed) external {
        _hostile.behave();
        requests.deliver(_asked[seed % _asked.length], "", hex"01020304");
        done["deliver"] += 1;
    }

    function refund(uint256 seed) external {
        requests.refund(_asked[seed % _asked.length], "");
        owed -= FEE;
        done["refund"] += 1;
    }

    function lose(uint256 seed) external {
        uint256 index = seed % _claims.length;
        ClaimId claimId = chain.claimIdOf(_claims[index]);
        VM.prank(ALICE);
        GameId gameId = game.challenge(_claims[index], Inclusion(_batchOf[index], 0, new bytes32[](0)), 0);
        note(gameId, claimId, _claims[index].traceRoot, ALICE);
        wait(CLOCK + 1);
        game.timeout(one(gameId));
        done["lose"] += 1;
    }

    function release(uint256 seed) external {
        uint256 index = seed % _claims.length;
        chain.release(_claims[index], Inclusion(_batchOf[index], 0, new bytes32[](0)));
        done["release"] += 1;
    }

    function withdraw(bool asker) external {
        address who = asker ? address(this) : claimant;
        paidOut += requests.earned(who);
        VM.prank(who);
        requests.withdraw();
        done["withdraw"] += 1;
    }

    function pass(uint256 seconds_) external {
        wait([uint256(1), 20, 60, 300, WINDOW, 3 * WINDOW][seconds_ % 6]);
    }

    function earned() external view returns (uint256) {
        return requests.earned(claimant) + requests.earned(address(this));
    }
}

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
        bytes4[15] memory chosen = [
            Asker.ask.selector,
            Asker.subscribe.selector,
            Asker.renew.selector,
            Asker.unsubscribe.selector,
            Asker.cancel.selector,
            Asker.post.selector,
            bytes4(keccak256("note(uint256)")),
            Asker.answer.selector,
            Asker.deliver.selector,
            Asker.refund.selector,
            Asker.lose.selector,
            Asker.release.selector,
            Asker.withdraw.selector,
            Asker.pass.selector,
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
        same("held", held, asker.owed() + asker.earned());
        same("in and out", held, asker.paidIn() - asker.paidOut());
    }

    /// @dev The actions do take effect, in one life of each kind.
    function test_asker_everyAction_takesEffect() public {
        asker.ask(1, true);
        asker.post(1);
        asker.note(uint256(0));
        asker.ask(1, false);
        asker.post(2);
        asker.lose(1);
        asker.cancel(2);
        asker.renew(0);
        asker.unsubscribe(0);
        asker.pass(4);
        asker.answer(0);
        asker.deliver(1);
        asker.release(0);
        asker.pass(5);
        asker.refund(2);
        asker.withdraw(true);
        asker.withdraw(false);
        bytes32[14] memory actions = [
            bytes32("ask"),
            "subscribe",
            "renew",
            "unsubscribe",
            "cancel",
            "post",
            "note",
            "answer",
            "deliver",
            "refund",
            "lose",
            "release",
            "withdraw",
            "ask"
        ];
        for (uint256 j = 0; j < actions.length; ++j) {
            yes("took effect", asker.done(actions[j]) != 0);
        }
        invariant_escrow_isWhatIsOwed();
    }
}
