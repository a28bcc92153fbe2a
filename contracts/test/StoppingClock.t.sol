// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DisputeGame} from "../src/DisputeGame.sol";
import {RollupChain} from "../src/RollupChain.sol";
import {StoppingClock, Stops} from "../src/libraries/StoppingClock.sol";
import {Params} from "../src/types/Params.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {GameId} from "../src/types/Ids.sol";
import {Duration, Timestamp} from "../src/types/Time.sol";
import {Base} from "./Base.sol";
import {Groups, Posting} from "./Groups.sol";
import {ToyProver} from "./ToyProver.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev The clock by itself, against one that is advanced second by second.
contract StoppingClockTest is Base {
    using StoppingClock for Stops;

    function shows(Stops memory stops, uint256 time) private pure returns (uint256) {
        return Timestamp.unwrap(stops.reading(Timestamp.wrap(uint40(time))));
    }

    function test_reading_neverStopped_isTime() public pure {
        Stops memory stops;
        same("time", shows(stops, 1000), 1000);
    }

    function test_stop_queuesUp() public pure {
        Stops memory stops;
        stops = stops.stop(Timestamp.wrap(100), Duration.wrap(10));
        stops = stops.stop(Timestamp.wrap(105), Duration.wrap(10));
        same("until", Timestamp.unwrap(stops.resumesAt), 120);
        same("at the first", shows(stops, 105), 100);
        same("at the end", shows(stops, 120), 100);
        same("goes on", shows(stops, 121), 101);
        same("a stop of later", shows(stops.stop(Timestamp.wrap(200), Duration.wrap(5)), 203), 180);
    }

    /// @dev Second by second: it goes on by one unless a stop is left, of which one second is then over.
    function testFuzz_reading_isThatOfAPlainClock(uint256 bits, uint256 fewer, uint8 length) public pure {
        Stops memory stops;
        uint256 shown = 1000;
        uint256 left = 0;
        for (uint256 time = 1000; time < 1400; ++time) {
            if (time < 1256 && (bits & fewer) >> (time - 1000) & 1 == 1) {
                stops = stops.stop(Timestamp.wrap(uint40(time)), Duration.wrap(uint32(length)));
                left += length;
                same("a stop changes nothing at once", shows(stops, time), shown);
            }
            same("shown", shows(stops, time), shown);
            if (left == 0) ++shown;
            else --left;
        }
    }
}

/// @dev Posts claims and challenges them, and keeps a plain clock and every claim's period beside the contract's.
contract Watchers is World {
    using Traces for Trace;

    uint256 public stopsLeft;
    uint256 public shown;
    uint256 public challenged;
    uint256 public finals;
    uint256 public broken;

    Claim[] private _claims;
    uint256[] private _closesAt;
    mapping(uint256 index => bool yes) private _wasFinal;
    mapping(uint256 index => bool yes) private _played;
    mapping(uint256 index => GameId[] games) private _games;
    bytes private _input;
    bytes private _output;
    Claim private _blank;

    function setUp() public override {
        super.setUp();
        Trace memory trace = Traces.honest();
        _input = abi.encodePacked(trace.tensor(0), trace.tensor(1));
        _output = abi.encodePacked(trace.tensor(4), trace.tensor(3));
        _blank = claimOf(model, trace);
        deposit(claimant, 100_000 ether);
        fund(ALICE, 100_000 ether);
        shown = time;
        this.post();
    }

    function post() external {
        Posting[] memory postings = new Posting[](1);
        Claim memory claim = _blank;
        claim.nonce = nextNonce++;
        claim.validUntil = uint64(time);
        bytes memory signature = signed(CLAIMANT_KEY, ClaimIdOf(claim));
        postings[0] = Posting(claim, signature, _input, _output);
        uint256 batchId = chain.postBatch(Groups.single(postings));
        _claims.push(claim);
        _closesAt.push(shown + WINDOW);
        (,, Timestamp closesAt,,) = chain.batches(batchId);
        if (Timestamp.unwrap(closesAt) != shown + WINDOW) ++broken;
        look();
    }

    function ClaimIdOf(Claim memory claim) private view returns (bytes32 id) {
        bytes memory answer;
        (, answer) = address(chain).staticcall(abi.encodeCall(RollupChain.claimIdOf, (claim)));
        return abi.decode(answer, (bytes32));
    }

    function challenge(uint8 seed) external {
        uint256 index = seed % _claims.length;
        VM.prank(ALICE);
        (bool success, bytes memory answer) =
            address(game).call(abi.encodeCall(game.challenge, (_claims[index], inclusionOf(index), bytes32(0))));
        bool invalid = chain.status(_claims[index], inclusionOf(index)) == Status.Invalid;
        // In time exactly as long as the plain clock says, and a claim stops it once.
        if (success != (shown <= _closesAt[index] && !invalid)) ++broken;
        if (success) {
            GameId gameId = abi.decode(answer, (GameId));
            note(gameId, chain.claimIdOf(_claims[index]), _claims[index].traceRoot, ALICE);
            _games[index].push(gameId);
            if (!_played[index]) stopsLeft += SPACING;
            _played[index] = true;
            ++challenged;
        }
        look();
    }

    function collect(uint8 seed) external {
        uint256 index = seed % _claims.length;
        GameId[] memory games = _games[index];
        (bool success,) = address(game).call(abi.encodeCall(game.timeout, (all(games))));
        if (success) look();
    }

    function pass(uint16 duration) external {
        uint256 seconds_ = duration % 5 == 0 ? WINDOW : uint256(duration) % (2 * SPACING);
        wait(seconds_);
        uint256 stopped = seconds_ < stopsLeft ? seconds_ : stopsLeft;
        stopsLeft -= stopped;
        shown += seconds_ - stopped;
        look();
    }

    function inclusionOf(uint256 index) private pure returns (Inclusion memory) {
        return Inclusion(index, 0, new bytes32[](0));
    }

    /// @dev Compares the clock, and every claim's status with what it was.
    function look() private {
        (Timestamp resumesAt, uint40 stopped) = chain.challengeClock();
        uint256 until = Timestamp.unwrap(resumesAt) > time ? Timestamp.unwrap(resumesAt) : time;
        if (until - stopped != shown) ++broken;
        for (uint256 j = 0; j < _claims.length; ++j) {
            Status status = chain.status(_claims[j], inclusionOf(j));
            if (_wasFinal[j] && status != Status.Final) ++broken;
            if (status == Status.Final && shown <= _closesAt[j]) ++broken;
            if (status == Status.Final && !_wasFinal[j]) {
                _wasFinal[j] = true;
                ++finals;
            }
        }
    }
}

/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 50
contract StoppingClockInvariantTest is Base {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Watchers private watchers;

    function setUp() public {
        watchers = new Watchers();
        watchers.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(watchers);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[4] memory chosen = [
            Watchers.post.selector,
            bytes4(keccak256("challenge(uint8)")),
            Watchers.collect.selector,
            Watchers.pass.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(watchers), new bytes4[](chosen.length));
        for (uint256 j = 0; j < chosen.length; ++j) {
            targets[0].selectors[j] = chosen[j];
        }
    }

    /// @dev The contract's clock is the plain one, a challenge is in time by it and not later, and what is final stays so.
    function invariant_clock_isThePlainOne_finalityIsNeverTakenBack() public view {
        same("broken", watchers.broken(), 0);
    }

    /// @dev The actions do take effect: a claim is challenged, its period is stretched, another one becomes final.
    function test_watchers_everyAction_takesEffect() public {
        watchers.post();
        watchers.challenge(0);
        watchers.challenge(0);
        same("one claim stops it once", watchers.stopsLeft(), 7);
        watchers.pass(3);
        same("and less is left", watchers.stopsLeft(), 4);
        watchers.pass(5);
        watchers.pass(13);
        watchers.collect(0);
        same("the other is final", watchers.finals(), 1);
        same("challenges", watchers.challenged(), 2);
        invariant_clock_isThePlainOne_finalityIsNeverTakenBack();
    }
}

/// @dev The challenge period in the contract.
contract ChallengePeriodTest is World {
    function test_firstChallenge_stopsTheClockOnce() public {
        Posted memory posted = post(model, Traces.honest());
        VM.expectEmit(address(chain));
        emit RollupChain.ClockStopped(Timestamp.wrap(uint40(time + SPACING)), uint40(SPACING));
        challenge(ALICE, posted);
        challenge(BOB, posted);
        (Timestamp resumesAt, uint40 stopped) = chain.challengeClock();
        same("until", Timestamp.unwrap(resumesAt), time + SPACING);
        same("in all", stopped, SPACING);
    }

    /// @dev The cheapest stop is not that of a game, which a liar could open against itself in any number and reclaim whole.
    function test_sybilGamesOnOnesOwnLie_stopTheClockOnce() public {
        Posted memory lie = post(model, Traces.changed(9, 6));
        fund(EVE, 100 * CHALLENGE_BOND);
        GameId[] memory games = new GameId[](100);
        for (uint256 j = 0; j < games.length; ++j) {
            games[j] = challenge(EVE, lie);
        }
        (, uint40 stopped) = chain.challengeClock();
        same("stopped", stopped, SPACING);
        wait(CLOCK + 1);
        game.timeout(one(games[0]));
        uint256 lost = CLAIM_BOND - REWARD - COLLECT_FEE;
        yes("for half a claim's bond at least", chain.burned() == lost && 2 * lost >= CLAIM_BOND);
    }

    /// @dev Lies that are challenged one by one give the watcher a spacing for each.
    function test_flood_everyLieCanBeChallenged() public {
        Posted[] memory lies = new Posted[](8);
        for (uint256 j = 0; j < lies.length; ++j) {
            lies[j] = post(model, Traces.changed(9, 6));
        }
        wait(WINDOW);
        for (uint256 j = 0; j < lies.length; ++j) {
            challenge(ALICE, lies[j]);
            yes("in time", chain.status(lies[j].claim, lies[j].inclusion) == Status.Challenged);
            wait(SPACING);
        }
    }

    function test_batchPostedDuringAStop_hasItsWholeWindow() public {
        challenge(ALICE, post(model, Traces.honest()));
        wait(SPACING - 2);
        Posted memory posted = post(model, Traces.honest());
        wait(2 + WINDOW);
        yes("at its end", chain.status(posted.claim, posted.inclusion) == Status.Posted);
        wait(1);
        yes("behind it", chain.status(posted.claim, posted.inclusion) == Status.Final);
    }

    function test_stop_movesNoPeriodThatIsOver() public {
        Posted memory early = post(model, Traces.honest());
        wait(1);
        Posted memory late = post(model, Traces.honest());
        wait(WINDOW);
        yes("final", chain.isFinal(early.claim, early.inclusion));
        challenge(ALICE, late);
        yes("still final", chain.isFinal(early.claim, early.inclusion));
    }

    function test_params_spacing_reverts() public {
        Params memory terms = params();
        terms.spacing = Duration.wrap(0);
        refused(terms);
        terms.spacing = Duration.wrap(WINDOW + 1);
        refused(terms);
        terms.spacing = Duration.wrap(WINDOW);
        deployed(terms, new ToyProver());
        terms.withdrawalDelay = Duration.wrap(0);
        refused(terms);
    }

    function refused(Params memory terms) private {
        ToyProver prover = new ToyProver();
        DisputeGame bound = gameFor(terms, prover);
        VM.expectRevert(abi.encodeWithSelector(RollupChain.BadParams.selector));
        deployedFor(terms, bound);
    }
}
