// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PredictionMarket} from "../../examples/PredictionMarket.sol";
import {Request} from "../../src/types/Request.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {Base} from "../Base.sol";
import {ExampleWorld} from "./ExampleWorld.sol";

/// @dev Opens markets, bets, shows inputs, answers, gives up, claims and withdraws, in any order, and keeps its own books. Actions
///      look for a market that they can be done to.
contract Bookmaker is ExampleWorld {
    bytes private constant IMAGE = "image";
    uint256 private constant OUTCOMES = 3;
    uint256 public constant MARKETS = 30;
    /// @dev One in so many tries ends a market without an answer, which takes days: the others go on with it.
    uint256 public constant RARELY = 8;
    address[4] public accounts = [address(0xa1), address(0xa2), address(0xa3), address(0xa4)];

    PredictionMarket public market;
    /// @dev Stakes and prizes that came in, fees that came back, and what was withdrawn.
    uint256 public paidIn;
    uint256 public paidOut;
    mapping(bytes32 action => uint256 times) public done;

    /// @dev What a market will have paid out when everybody has claimed: to whom, and to how many.
    struct Book {
        uint256 pot;
        uint256 shares;
        uint256 claims;
    }

    mapping(uint256 marketId => Request request) private _requests;
    mapping(uint256 marketId => Book book) private _books;
    bytes private _input;

    function setUp() public override {
        super.setUp();
        market = new PredictionMarket(requests, model, 1);
        _input = bytes.concat(IMAGE, new bytes(INPUT_LENGTH - IMAGE.length));
        this.open(1, 1 ether);
    }

    function open(uint256 who, uint256 prize) external {
        if (market.marketCount() == MARKETS) return;
        VM.warp(time);
        prize %= 10 ether;
        address opener = accounts[who % 4];
        bytes32 commitment = market.commitmentOf(opener, _input, 0);
        VM.deal(opener, prize);
        VM.prank(opener);
        market.open{value: prize}(commitment, Timestamp.wrap(uint40(time + 1000)), Timestamp.wrap(uint40(time + 2000)));
        (paidIn, done["open"]) = (paidIn + prize, done["open"] + 1);
    }

    /// @dev In a market that is opened for it if no other takes bets.
    function bet(uint256 which, uint256 who, uint256 outcome, uint256 amount) external {
        uint256 marketId = which % market.marketCount();
        for (uint256 j = 0; j < market.marketCount() && !_takesBets(marketId); ++j) {
            marketId = (marketId + 1) % market.marketCount();
        }
        if (!_takesBets(marketId)) {
            this.open(who, amount);
            marketId = market.marketCount() - 1;
            if (!_takesBets(marketId)) return;
        }
        // Small stakes round, large ones don't.
        amount = amount % 2 == 0 ? 1 + amount % 7 : 1 + amount % 100 ether;
        address account = accounts[who % 4];
        VM.deal(account, amount);
        VM.prank(account);
        market.bet{value: amount}(marketId, outcome % OUTCOMES);
        (paidIn, done["bet"]) = (paidIn + amount, done["bet"] + 1);
    }

    function reveal(uint256 which, uint256 who) external {
        uint256 marketId = _find(which, PredictionMarket.State.Open);
        if (marketId == type(uint256).max) return;
        PredictionMarket.Market memory found = market.marketOf(marketId);
        if (time > Timestamp.unwrap(found.revealUntil)) return;
        uint256 closesAt = Timestamp.unwrap(found.closesAt);
        if (time < closesAt) wait(closesAt - time);
        VM.deal(accounts[who % 4], FEE);
        VM.prank(accounts[who % 4]);
        market.reveal{value: FEE}(marketId, _input, 0);
        _requests[marketId] = requestOf(market, traceOf(IMAGE, ""), "", FEE);
        done["reveal"] += 1;
    }

    function decide(uint256 which, uint256 outcome) external {
        uint256 marketId = _find(which, PredictionMarket.State.Asked);
        if (marketId == type(uint256).max || _isLate(marketId)) return;
        PredictionMarket.Market memory before = market.marketOf(marketId);
        answer(_requests[marketId], traceOf(IMAGE, winning(outcome % OUTCOMES)), "");
        uint256 shares = market.totals(marketId, outcome % OUTCOMES);
        if (shares == 0) _books[marketId] = Book(before.left, before.left, 0);
        else _books[marketId] = Book(before.left + before.prize, shares, 0);
        done[shares == 0 ? bytes32("nobody won") : bytes32("decide")] += 1;
    }

    function giveUp(uint256 which) external {
        uint256 marketId = _find(which / RARELY, PredictionMarket.State.Asked);
        if (which % RARELY != 0 || marketId == type(uint256).max) return;
        uint256 stakes = market.marketOf(marketId).left;
        expire(_requests[marketId], "");
        _books[marketId] = Book(stakes, stakes, 0);
        (paidIn, done["give up"]) = (paidIn + FEE, done["give up"] + 1);
    }

    function abandon(uint256 which) external {
        uint256 marketId = _find(which / RARELY, PredictionMarket.State.Open);
        if (which % RARELY != 0 || marketId == type(uint256).max) return;
        PredictionMarket.Market memory before = market.marketOf(marketId);
        uint256 until = Timestamp.unwrap(before.revealUntil);
        if (time <= until) wait(until - time + 1);
        market.abandon(marketId);
        _books[marketId] = Book(before.left == 0 ? 0 : before.left + before.prize, before.left, 0);
        done["abandon"] += 1;
    }

    /// @dev The next stake that is there, or where `who` is odd anything. What pays pays at least the rounded share, and at most a wei
    ///      more for each earlier claim.
    function claim(uint256 which, uint256 who, uint256 outcome) external {
        uint256 marketId = which % market.marketCount();
        (who, outcome) = (who % 8, outcome % OUTCOMES);
        for (uint256 j = 0; who % 2 == 0 && j < 4 * OUTCOMES * MARKETS && !_isDue(marketId, who, outcome); ++j) {
            who += 2;
            if (j % 4 == 0) outcome = (outcome + 1) % OUTCOMES;
            if (j % (4 * OUTCOMES) == 0) marketId = (marketId + 1) % market.marketCount();
        }
        who = who / 2 % 4;
        uint256 stake = market.stakes(marketId, outcome, accounts[who]);
        VM.prank(accounts[who]);
        try market.claim(marketId, outcome) returns (uint256 amount) {
            Book memory book = _books[marketId];
            uint256 share = book.pot * stake / book.shares;
            yes("a stake was paid", stake != 0 && amount >= share && amount <= share + book.claims);
            _books[marketId].claims += 1;
            done["claim"] += 1;
        } catch {}
    }

    function withdraw(uint256 who) external {
        address account = accounts[who % 4];
        if (market.owed(account) == 0) return;
        paidOut += collect(market, account);
        done["withdraw"] += 1;
    }

    function pass(uint16 duration) external {
        wait(duration % 700);
    }

    function held() external view returns (uint256) {
        return heldBy(market);
    }

    /// @dev What the market has to pay, if nothing else happens.
    function due() external view returns (uint256 amount) {
        for (uint256 j = 0; j < 4; ++j) {
            amount += market.owed(accounts[j]);
        }
        for (uint256 j = 0; j < market.marketCount(); ++j) {
            amount += market.marketOf(j).left + market.marketOf(j).prize;
        }
    }

    function _takesBets(uint256 marketId) private view returns (bool) {
        PredictionMarket.Market memory found = market.marketOf(marketId);
        return found.state == PredictionMarket.State.Open && time < Timestamp.unwrap(found.closesAt);
    }

    function _isDue(uint256 marketId, uint256 who, uint256 outcome) private view returns (bool) {
        PredictionMarket.Market memory found = market.marketOf(marketId);
        bool pays = found.state == PredictionMarket.State.Void
            || (found.state == PredictionMarket.State.Settled && found.outcome == outcome);
        return pays && market.stakes(marketId, outcome, accounts[who / 2 % 4]) != 0;
    }

    /// @dev The first market in that state, from any on.
    function _find(uint256 which, PredictionMarket.State state) private view returns (uint256) {
        uint256 count = market.marketCount();
        for (uint256 j = 0; j < count; ++j) {
            uint256 marketId = (which % count + j) % count;
            if (market.marketOf(marketId).state == state) return marketId;
        }
        return type(uint256).max;
    }

    function _isLate(uint256 marketId) private view returns (bool) {
        return time > Timestamp.unwrap(market.marketOf(marketId).closesAt) + PATIENCE / 2;
    }
}

contract PredictionMoneyTest is Base {
    Bookmaker private _bookmaker;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public {
        _bookmaker = new Bookmaker();
        _bookmaker.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_bookmaker);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[12] memory chosen = [
            Bookmaker.open.selector,
            Bookmaker.bet.selector,
            Bookmaker.bet.selector,
            Bookmaker.bet.selector,
            Bookmaker.reveal.selector,
            Bookmaker.decide.selector,
            Bookmaker.giveUp.selector,
            Bookmaker.abandon.selector,
            Bookmaker.claim.selector,
            Bookmaker.claim.selector,
            Bookmaker.withdraw.selector,
            Bookmaker.pass.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_bookmaker), new bytes4[](chosen.length));
        for (uint256 j = 0; j < chosen.length; ++j) {
            targets[0].selectors[j] = chosen[j];
        }
    }

    function invariant_money_inIsOutAndHeld() public view {
        same("in = out + held", _bookmaker.paidIn(), _bookmaker.paidOut() + _bookmaker.held());
        same("held = due", _bookmaker.held(), _bookmaker.due());
    }

    /// @dev From any state, when everything is ended, claimed and withdrawn, nothing is left.
    function afterInvariant() public {
        for (uint256 j = 0; j < _bookmaker.MARKETS(); ++j) {
            _bookmaker.abandon(j * _bookmaker.RARELY());
            _bookmaker.giveUp(j * _bookmaker.RARELY());
        }
        uint256 count = _bookmaker.market().marketCount();
        for (uint256 j = 0; j < count; ++j) {
            for (uint256 k = 0; k < 12; ++k) {
                _bookmaker.claim(j, 2 * (k / 3) + 1, k % 3);
            }
        }
        for (uint256 j = 0; j < 4; ++j) {
            _bookmaker.withdraw(j);
        }
        same("nothing is left", _bookmaker.held(), 0);
        same("in = out", _bookmaker.paidIn(), _bookmaker.paidOut());
    }

    /// @dev The actions do take effect, in one life of each kind.
    function test_bookmaker_everyAction_takesEffect() public {
        for (uint256 j = 0; j < 3; ++j) {
            _bookmaker.open(j, 7);
        }
        for (uint256 j = 0; j < 12; ++j) {
            _bookmaker.bet(j % 4, j / 4, j % 2, 2 * j);
        }
        _bookmaker.reveal(0, 0);
        _bookmaker.reveal(1, 1);
        _bookmaker.reveal(2, 2);
        _bookmaker.decide(0, 0);
        _bookmaker.decide(1, 2);
        _bookmaker.giveUp(0);
        _bookmaker.abandon(0);
        for (uint256 j = 0; j < 48; ++j) {
            _bookmaker.claim(j / 12, 2 * (j / 3) + 1, j);
        }
        for (uint256 j = 0; j < 4; ++j) {
            _bookmaker.withdraw(j);
        }
        bytes32[8] memory actions =
            [bytes32("open"), "bet", "reveal", "decide", "nobody won", "give up", "abandon", "claim"];
        for (uint256 j = 0; j < actions.length; ++j) {
            yes("took effect", _bookmaker.done(actions[j]) != 0);
        }
        yes("took effect", _bookmaker.done("withdraw") != 0);
        same("nothing is left", _bookmaker.held(), 0);
        invariant_money_inIsOutAndHeld();
    }
}
