// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Requests} from "../src/Requests.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Timestamp, currentTime} from "../src/types/Time.sol";
import {ClassifierConsumer} from "./ClassifierConsumer.sol";
import {Scores} from "./Scores.sol";

/// @title PredictionMarket
/// @notice People bet on what a classifier says about an input that is committed to and shown only when bets are closed. The
///         model's final answer settles; without one everybody has the stake back.
/// @dev Whoever committed knows the input, and so the answer: bet only where you trust the opener not to bet, by itself or under
///      another name. An opener that does not show the input loses the prize. A fee too low for strangers stops nothing: a
///      bettor can post the claim that answers.
contract PredictionMarket is ClassifierConsumer {
    using Scores for bytes;

    /// @dev `Open`: takes bets, then waits for the input. `Asked`: waits for the answer. `Settled`: stakes on `outcome` share
    ///      what is `left`. `Void`: all stakes do.
    enum State {
        None,
        Open,
        Asked,
        Settled,
        Void
    }

    /// @param commitment to the input: `commitmentOf`
    /// @param closesAt from this second on nobody can bet, and the input can be shown
    /// @param revealUntil last second in which it can be
    /// @param outcome the class that won
    /// @param prize what the opener adds to the stakes
    /// @param left wei that are still to be paid out; stakes before that
    /// @param shares stakes that have not taken their part of it
    struct Market {
        bytes32 commitment;
        address opener;
        Timestamp closesAt;
        Timestamp revealUntil;
        State state;
        uint256 outcome;
        uint256 prize;
        uint256 left;
        uint256 shares;
    }

    /// @notice Markets opened so far.
    uint256 public marketCount;
    /// @notice All stakes on one outcome.
    mapping(uint256 marketId => mapping(uint256 outcome => uint256 amount)) public totals;
    /// @notice What an account has staked on one outcome, and not taken back.
    mapping(uint256 marketId => mapping(uint256 outcome => mapping(address account => uint256 amount))) public stakes;
    mapping(uint256 marketId => Market market) private _markets;

    /// @notice A market takes bets until `closesAt`.
    event Opened(uint256 indexed marketId, address indexed opener, bytes32 commitment, Timestamp closesAt, uint256 prize);
    /// @notice Somebody bet.
    event Bet(uint256 indexed marketId, uint256 indexed outcome, address indexed account, uint256 amount);
    /// @notice The input is shown, and the model is asked.
    event Revealed(uint256 indexed marketId, bytes32 indexed requestId, bytes input);
    /// @notice The model's final answer.
    event Settled(uint256 indexed marketId, uint256 indexed outcome);
    /// @notice There is no winner: all stakes go back.
    event Voided(uint256 indexed marketId);
    /// @notice A stake took its part, which can be withdrawn.
    event Claimed(uint256 indexed marketId, uint256 indexed outcome, address indexed account, uint256 amount);

    /// @notice Bets have to close in the future, and the input can only be shown after that.
    error BadTimes();
    /// @notice This is not possible now.
    error WrongState(uint256 marketId, State state);
    /// @notice Bets are closed.
    error Closed(uint256 marketId, Timestamp closesAt);
    /// @notice Bets are not closed yet.
    error NotClosed(uint256 marketId, Timestamp closesAt);
    /// @notice The time to show the input is over.
    error RevealOver(uint256 marketId, Timestamp revealUntil);
    /// @notice The time to show the input is not over.
    error RevealNotOver(uint256 marketId, Timestamp revealUntil);
    /// @notice The model has `classes` outcomes.
    error NoSuchOutcome(uint256 outcome, uint256 classes);
    /// @notice A bet is worth something.
    error NoStake();
    /// @notice Input and salt are not what the market's opener committed to.
    error NotCommitted(uint256 marketId);
    /// @notice The model said `won`.
    error Lost(uint256 outcome, uint256 won);
    /// @notice The account has nothing on this outcome, or took it.
    error NothingStaked(uint256 marketId, uint256 outcome, address account);

    /// @param width bytes of a score in the model's output
    constructor(Requests requests, ModelId model, uint256 width) ClassifierConsumer(requests, model, width) {}

    /// @notice Opens a market; the value sent is the prize, which the winners share beside the stakes.
    /// @param commitment `commitmentOf` your address, the input and a secret salt
    function open(bytes32 commitment, Timestamp closesAt, Timestamp revealUntil) external payable returns (uint256 marketId) {
        if (!(closesAt > currentTime()) || closesAt > revealUntil) revert BadTimes();
        marketId = marketCount++;
        _markets[marketId] = Market({
            commitment: commitment,
            opener: msg.sender,
            closesAt: closesAt,
            revealUntil: revealUntil,
            state: State.Open,
            outcome: 0,
            prize: msg.value,
            left: 0,
            shares: 0
        });
        emit Opened(marketId, msg.sender, commitment, closesAt, msg.value);
    }

    /// @notice Bets the value sent on one class of the model.
    function bet(uint256 marketId, uint256 outcome) external payable {
        Market storage market = _in(marketId, State.Open);
        if (!(market.closesAt > currentTime())) revert Closed(marketId, market.closesAt);
        if (outcome >= CLASSES) revert NoSuchOutcome(outcome, CLASSES);
        if (msg.value == 0) revert NoStake();
        stakes[marketId][outcome][msg.sender] += msg.value;
        totals[marketId][outcome] += msg.value;
        market.left += msg.value;
        emit Bet(marketId, outcome, msg.sender, msg.value);
    }

    /// @notice Shows the input and asks the model; the value sent is the fee. Anyone may who knows input and salt.
    function reveal(uint256 marketId, bytes calldata input, bytes32 salt) external payable returns (bytes32 requestId) {
        Market storage market = _in(marketId, State.Open);
        if (market.closesAt > currentTime()) revert NotClosed(marketId, market.closesAt);
        if (currentTime() > market.revealUntil) revert RevealOver(marketId, market.revealUntil);
        if (commitmentOf(market.opener, input, salt) != market.commitment) revert NotCommitted(marketId);
        market.state = State.Asked;
        requestId = _ask(bytes32(marketId), input, "");
        emit Revealed(marketId, requestId, input);
    }

    /// @notice Ends a market whose input was not shown in time; anyone may. The stakes go back and share the prize.
    function abandon(uint256 marketId) external {
        Market storage market = _in(marketId, State.Open);
        if (!(currentTime() > market.revealUntil)) revert RevealNotOver(marketId, market.revealUntil);
        uint256 staked = market.left;
        if (staked != 0) (market.left, market.prize) = (staked + market.prize, 0);
        _void(marketId, market, staked);
    }

    /// @notice Takes a stake's part of what is left: its share of everything if the outcome won, the stake if the market is void.
    ///         The part is rounded down, and what rounding leaves goes to those who claim later: nothing stays behind.
    function claim(uint256 marketId, uint256 outcome) external returns (uint256 amount) {
        Market storage market = _markets[marketId];
        if (market.state == State.Settled) {
            if (outcome != market.outcome) revert Lost(outcome, market.outcome);
        } else if (market.state != State.Void) {
            revert WrongState(marketId, market.state);
        }
        uint256 stake = stakes[marketId][outcome][msg.sender];
        if (stake == 0) revert NothingStaked(marketId, outcome, msg.sender);
        stakes[marketId][outcome][msg.sender] = 0;
        amount = market.left * stake / market.shares;
        market.left -= amount;
        market.shares -= stake;
        owed[msg.sender] += amount;
        emit Claimed(marketId, outcome, msg.sender, amount);
    }

    /// @notice All that is known of a market.
    function marketOf(uint256 marketId) external view returns (Market memory) {
        return _markets[marketId];
    }

    /// @notice How far a market is.
    function stateOf(uint256 marketId) external view returns (State) {
        return _markets[marketId].state;
    }

    /// @notice What an opener commits to. It names the opener, so that nobody can open a market with another's commitment.
    function commitmentOf(address opener, bytes calldata input, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(opener, input, salt));
    }

    function _answered(bytes32 subject, bytes calldata output, bytes calldata) internal virtual override {
        uint256 marketId = uint256(subject);
        Market storage market = _markets[marketId];
        (uint256 outcome,) = output.best(0, CLASSES, WIDTH);
        uint256 winning = totals[marketId][outcome];
        emit Settled(marketId, outcome);
        if (winning == 0) return _void(marketId, market, market.left);
        (market.state, market.outcome) = (State.Settled, outcome);
        (market.left, market.prize, market.shares) = (market.left + market.prize, 0, winning);
    }

    function _unanswered(bytes32 subject) internal virtual override {
        Market storage market = _markets[uint256(subject)];
        _void(uint256(subject), market, market.left);
    }

    /// @dev Stakes of `staked` wei share what is left; the prize, if it is not in there, goes back.
    function _void(uint256 marketId, Market storage market, uint256 staked) private {
        (market.state, market.shares) = (State.Void, staked);
        owed[market.opener] += market.prize;
        market.prize = 0;
        emit Voided(marketId);
    }

    function _in(uint256 marketId, State state) private view returns (Market storage market) {
        market = _markets[marketId];
        if (market.state != state) revert WrongState(marketId, market.state);
    }
}
