// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {Requests} from "../../src/Requests.sol";
import {Claim} from "../../src/types/Claim.sol";
import {Rule} from "../../src/types/Dispute.sol";
import {GameId, ModelId} from "../../src/types/Ids.sol";
import {Progress, Request} from "../../src/types/Request.sol";
import {Timestamp} from "../../src/types/Time.sol";
import {Trace, Traces} from "../Trace.sol";
import {World} from "../World.sol";

/// @dev The chain, the game and the requests as they are shipped, and claims about any input with any scores. The toy model is a
///      classifier here: 1,520 bytes of input, 100 scores of one byte in front of its other output.
abstract contract ExampleWorld is World {
    using Traces for Trace;

    uint96 internal constant FEE = 1 ether;
    uint256 internal constant INPUT_LENGTH = 1520;
    uint256 internal constant CLASSES = 100;
    /// @dev The leaf with the scores.
    uint256 internal constant SCORES = 4 << 2;
    uint256 internal constant PATIENCE = 1 days;

    Requests internal requests;

    function setUp() public virtual override {
        super.setUp();
        requests = Requests(VM.deployCode("artifacts/Requests.json", abi.encode(chain)));
        deposit(claimant, 100_000 ether);
        VM.deal(address(this), 100_000 ether);
        VM.fee(1 gwei);
    }

    receive() external payable {}

    /// @dev The trace of an execution on this input that gives these scores.
    function traceOf(bytes memory input, bytes memory scores) internal pure returns (Trace memory trace) {
        trace.leaves = new bytes[](32);
        for (uint256 leaf = 0; leaf < 32; ++leaf) {
            trace.leaves[leaf] = new bytes(1024);
        }
        for (uint256 j = 0; j < INPUT_LENGTH; ++j) {
            bytes1 value = j < input.length ? input[j] : bytes1(0);
            if (j < 1500) trace.leaves[j / 1024][j % 1024] = value;
            else trace.leaves[4][j - 1500] = value;
        }
        for (uint256 j = 0; j < scores.length; ++j) {
            trace.leaves[SCORES][j] = scores[j];
        }
        trace.build();
    }

    /// @dev Scores of which one class has the largest.
    function winning(uint256 class) internal pure returns (bytes memory scores) {
        scores = new bytes(CLASSES);
        scores[class] = 0x7f;
    }

    function outputOf(Trace memory trace) internal pure returns (bytes memory) {
        return abi.encodePacked(trace.tensor(4), trace.tensor(3));
    }

    /// @dev The request that a consumer made just now, as the contract completed it.
    function requestOf(ModelConsumer consumer, Trace memory trace, bytes memory data, uint128 fee)
        internal
        view
        returns (Request memory asked)
    {
        asked = requestBy(address(consumer), consumer.MODEL(), trace, data, fee);
        asked.gasLimit = consumer.CALLBACK_GAS();
    }

    function requestBy(address consumer, ModelId modelId, Trace memory trace, bytes memory data, uint128 fee)
        internal
        view
        returns (Request memory asked)
    {
        (asked.modelId, asked.requester, asked.callback) = (modelId, consumer, consumer);
        asked.inputRoot = sha256(abi.encodePacked(hex"01", trace.entry(0), trace.entry(1)));
        (asked.fee, asked.dataHash) = (fee, keccak256(data));
        asked.until = Timestamp.wrap(uint40(time + PATIENCE));
        asked.number = requests.requestCount() - 1;
    }

    /// @dev A claim that names the request; what it says is the trace's.
    function claimFor(Request memory asked, Trace memory trace) internal returns (Posted memory) {
        Claim memory claim = claimOf(model, trace);
        claim.requestId = requests.requestIdOf(asked);
        return post(claim, trace);
    }

    function show(Request memory asked, Posted memory posted, bytes memory data) internal {
        requests.answer(asked, data, posted.claim, posted.inclusion, outputOf(posted.trace));
    }

    /// @dev Claimed, final, shown.
    function answer(Request memory asked, Trace memory trace, bytes memory data) internal {
        Posted memory posted = claimFor(asked, trace);
        wait(WINDOW + 1);
        show(asked, posted, data);
    }

    /// @dev Nobody claims anything; the fee is taken back.
    function expire(Request memory asked, bytes memory data) internal {
        wait(PATIENCE + 2 * WINDOW + 1);
        requests.refund(asked, data);
    }

    /// @dev ALICE plays the whole game about the scores of a false claim, and wins by a proof.
    function convict(Posted memory lie) internal {
        GameId gameId = challenge(ALICE, lie);
        walk(ALICE, gameId, lie.trace, SCORES);
        prove(ALICE, gameId, lie.claim, 32 + SCORES, Rule.Step, difference(1, 2));
        yes("convicted", isConvicted(lie.id));
    }

    function progress(Request memory asked, Progress expected) internal view {
        same("progress", uint256(requests.progressOf(requests.requestIdOf(asked))), uint256(expected));
    }

    /// @dev A request for a consumer that somebody else made in its name.
    function forge(address consumer, ModelId modelId, Trace memory trace) internal returns (Request memory asked) {
        asked = requestBy(consumer, modelId, trace, "", FEE);
        (asked.requester, asked.number, asked.gasLimit) = (EVE, requests.requestCount(), 500_000);
        VM.deal(EVE, FEE);
        VM.prank(EVE);
        requests.request{value: FEE}(asked, abi.encodePacked(trace.tensor(0), trace.tensor(1)), "");
    }

    /// @dev What the consumer has, and what `Requests` keeps for it.
    function heldBy(ModelConsumer consumer) internal view returns (uint256) {
        return address(consumer).balance + requests.earned(address(consumer));
    }

    function collect(ModelConsumer consumer, address account) internal returns (uint256 amount) {
        uint256 before = account.balance;
        VM.prank(account);
        consumer.withdraw();
        return account.balance - before;
    }
}
