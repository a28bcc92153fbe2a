// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {PredictionMarket} from "../../examples/PredictionMarket.sol";
import {Requests} from "../../src/Requests.sol";
import {ModelId} from "../../src/types/Ids.sol";
import {Request} from "../../src/types/Request.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {ExampleWorld} from "./ExampleWorld.sol";

/// @dev A market that takes no answer until it is told to.
contract StubbornMarket is PredictionMarket {
    bool public isWilling;

    error NotNow();

    constructor(Requests requests, ModelId model) PredictionMarket(requests, model, 1) {}

    function relent() external {
        isWilling = true;
    }

    function _answered(bytes32 subject, bytes calldata output, bytes calldata data) internal override {
        if (!isWilling) revert NotNow();
        super._answered(subject, output, data);
    }

    function _unanswered(bytes32 subject) internal override {
        if (!isWilling) revert NotNow();
        super._unanswered(subject);
    }
}

/// @dev A market with scores of 8 bytes that is told answers by the test.
contract ExposedMarket is PredictionMarket {
    constructor(Requests requests, ModelId model) PredictionMarket(requests, model, 8) {}

    function settle(uint256 marketId, bytes calldata output) external {
        _answered(bytes32(marketId), output, output);
    }
}

/// @dev A winner that calls back in when it is paid.
contract Greedy {
    PredictionMarket private immutable MARKET;
    uint256 public entries;

    constructor(PredictionMarket market) {
        MARKET = market;
    }

    function bet(uint256 marketId, uint256 outcome) external payable {
        MARKET.bet{value: msg.value}(marketId, outcome);
    }

    function take(uint256 marketId, uint256 outcome) external {
        MARKET.claim(marketId, outcome);
        MARKET.withdraw();
    }

    receive() external payable {
        ++entries;
        (bool again,) = address(MARKET).call(abi.encodeCall(ModelConsumer.withdraw, ()));
        (bool twice,) = address(MARKET).call(abi.encodeCall(PredictionMarket.claim, (0, 3)));
        require(!again && !twice, "came in");
    }
}

/// @dev One market, and people who bet in it.
abstract contract PredictionWorld is ExampleWorld {
    bytes32 internal constant SALT = bytes32(uint256(0x5a17));
    address internal constant OPENER = address(0x09e4e4);
    bytes internal constant IMAGE = "the image's bytes";
    uint256 internal constant PRIZE = 5 ether;

    PredictionMarket internal _market;
    bytes internal _input;

    function setUp() public virtual override {
        super.setUp();
        _market = new PredictionMarket(requests, model, 1);
        _input = bytes.concat(IMAGE, new bytes(INPUT_LENGTH - IMAGE.length));
    }

    function opened(PredictionMarket market) internal returns (uint256 marketId) {
        bytes32 commitment = market.commitmentOf(OPENER, _input, SALT);
        VM.deal(OPENER, PRIZE);
        VM.prank(OPENER);
        return
            market.open{value: PRIZE}(
                commitment, Timestamp.wrap(uint40(time + 100)), Timestamp.wrap(uint40(time + 200))
            );
    }

    function bet(PredictionMarket market, address account, uint256 marketId, uint256 outcome, uint256 amount) internal {
        VM.deal(account, amount);
        VM.prank(account);
        market.bet{value: amount}(marketId, outcome);
    }

    /// @dev A market with 2 ether of ALICE and 1 of BOB on 3, and 7 ether of EVE on 4, whose model is asked.
    function asked(PredictionMarket market) internal returns (uint256 marketId, Request memory request) {
        marketId = opened(market);
        bet(market, ALICE, marketId, 3, 2 ether);
        bet(market, BOB, marketId, 3, 1 ether);
        bet(market, EVE, marketId, 4, 7 ether);
        wait(100);
        bytes32 requestId = market.reveal{value: FEE}(marketId, _input, SALT);
        request = requestOf(market, traceOf(IMAGE, ""), "", FEE);
        same("request", requestId, requests.requestIdOf(request));
    }

    function state(PredictionMarket market, uint256 marketId, PredictionMarket.State expected) internal view {
        same("state", uint256(market.marketOf(marketId).state), uint256(expected));
    }

    function claim(PredictionMarket market, address account, uint256 marketId, uint256 outcome)
        internal
        returns (uint256)
    {
        VM.prank(account);
        return market.claim(marketId, outcome);
    }

    function refuses(bytes4 selector) internal {
        VM.expectPartialRevert(selector);
    }
}
