// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OracleAdapter} from "../src/OracleAdapter.sol";
import {Requests} from "../src/Requests.sol";
import {IOracle} from "../src/interfaces/IOracle.sol";
import {Claim} from "../src/types/Claim.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Progress, Request} from "../src/types/Request.sol";
import {Timestamp} from "../src/types/Time.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev A consumer as people write them for that oracle: it knows nothing of this project.
contract Prompt {
    IOracle private immutable ORACLE;
    mapping(uint256 requestId => bytes output) public outputs;
    bool public refuses;
    uint256 public gasGiven;

    error OnlyOracle();

    constructor(IOracle oracle) {
        ORACLE = oracle;
    }

    function calculate(uint256 modelId, bytes calldata input) external payable returns (uint256) {
        return ORACLE.requestCallback{value: msg.value}(modelId, input, address(this), 200_000, "prompt");
    }

    function set(bool value) external {
        refuses = value;
    }

    function aiOracleCallback(uint256 requestId, bytes calldata output, bytes calldata callbackData) external {
        gasGiven = gasleft();
        if (msg.sender != address(ORACLE) || keccak256(callbackData) != keccak256("prompt") || refuses) {
            revert OnlyOracle();
        }
        outputs[requestId] = output;
    }

    receive() external payable virtual {}
}

/// @dev Comes back in when it is paid.
contract Twice is Prompt {
    bool public cameIn;

    constructor(IOracle oracle) Prompt(oracle) {}

    receive() external payable override {
        (cameIn,) = msg.sender.call(abi.encodeCall(OracleAdapter.withdrawFor, (address(this))));
    }
}

contract OracleAdapterTest is World {
    using Traces for Trace;

    Requests private requests;
    OracleAdapter private adapter;
    Prompt private prompt;
    Request private asked;
    bytes private along;

    function setUp() public override {
        super.setUp();
        requests = Requests(VM.deployCode("artifacts/Requests.json", abi.encode(chain)));
        adapter = OracleAdapter(payable(VM.deployCode("artifacts/OracleAdapter.json", abi.encode(requests))));
        prompt = new Prompt(adapter);
        VM.fee(1 gwei);
    }

    function ask() private returns (bytes32 requestId) {
        uint256 fee = adapter.estimateFee(uint256(ModelId.unwrap(model)), 200_000);
        VM.deal(address(this), fee);
        requestId = bytes32(prompt.calculate{value: fee}(uint256(ModelId.unwrap(model)), inputOf(Traces.honest())));
        askedFor(fee, 200_000, "prompt");
        same("id", requestId, requests.requestIdOf(asked));
    }

    /// @dev Keeps the request that the adapter has just made for `prompt`.
    function askedFor(uint256 fee, uint64 gasLimit, bytes memory callbackData) private {
        Trace memory trace = Traces.honest();
        along = abi.encode(fee, address(prompt), callbackData);
        asked = Request({
            modelId: model,
            inputRoot: sha256(abi.encodePacked(hex"01", trace.entry(0), trace.entry(1))),
            requester: address(adapter),
            callback: address(adapter),
            gasLimit: gasLimit + gasLimit / 63 + 40_000,
            fee: uint128(fee),
            prover: address(0),
            proverUntil: Timestamp.wrap(0),
            until: Timestamp.wrap(uint40(time + 1 days)),
            author: address(0),
            royalty: 0,
            quorum: 0,
            commitBlocks: 0,
            committee: 0,
            dataHash: keccak256(along),
            number: requests.requestCount() - 1
        });
    }

    function inputOf(Trace memory trace) private pure returns (bytes memory) {
        return abi.encodePacked(trace.tensor(0), trace.tensor(1));
    }

    function answered(bytes32 requestId) private returns (bytes memory output) {
        Trace memory trace = Traces.honest();
        Claim memory claim = claimOf(model, trace);
        claim.requestId = requestId;
        Posted memory posted = post(claim, trace);
        wait(WINDOW + 1);
        yes("not before", !adapter.isFinalized(uint256(requestId)));
        output = abi.encodePacked(trace.tensor(4), trace.tensor(3));
        requests.answer(asked, along, posted.claim, posted.inclusion, output);
    }

    function test_consumer_unchanged_isTold() public {
        bytes32 requestId = ask();
        bytes memory output = answered(requestId);
        yes("final", adapter.isFinalized(uint256(requestId)));
        same("told", keccak256(prompt.outputs(uint256(requestId))), keccak256(output));
        yes("all its gas", prompt.gasGiven() > 200_000 - 5_000);
    }

    function test_consumer_thatReverts_isToldAgain() public {
        bytes32 requestId = ask();
        prompt.set(true);
        bytes memory output = answered(requestId);
        same("undelivered", uint256(requests.progressOf(requestId)), uint256(Progress.Undelivered));
        prompt.set(false);
        requests.deliver(asked, along, output);
        same("told", keccak256(prompt.outputs(uint256(requestId))), keccak256(output));
    }

    function test_unanswered_feeGoesBack() public {
        ask();
        wait(1 days + 2 * WINDOW + 1);
        requests.refund(asked, along);
        same("noted", adapter.refunds(address(prompt)), asked.fee);
        adapter.withdrawFor(address(prompt));
        same("back", address(prompt).balance, asked.fee);
        VM.expectRevert(abi.encodeWithSelector(OracleAdapter.NothingToRefund.selector, address(prompt)));
        adapter.withdrawFor(address(prompt));
    }

    function test_onInference_stranger_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(OracleAdapter.NotRequests.selector, EVE));
        VM.prank(EVE);
        adapter.onInference(0, "", "", "");
        VM.deal(EVE, 1 ether);
        VM.prank(EVE);
        (bool accepted,) = address(adapter).call{value: 1}("");
        yes("takes no money from strangers", !accepted);
    }

    /// @dev Anyone can ask in the adapter's name at `Requests`, with whatever data; it has not asked that itself.
    function test_unanswered_askedByStranger_earnsNothing() public {
        ask();
        uint256 fee = asked.fee;
        bytes memory forged = abi.encode(EVE, 2 * fee, EVE, uint64(0), bytes(""));
        Request memory eves = asked;
        (eves.requester, eves.dataHash, eves.number) = (address(this), keccak256(forged), 1);
        VM.deal(address(this), fee);
        requests.request{value: fee}(eves, inputOf(Traces.honest()), forged);
        wait(1 days + 2 * WINDOW + 1);
        requests.refund(asked, along);
        requests.refund(eves, forged);
        same("nothing", adapter.refunds(EVE), 0);
        VM.expectRevert(abi.encodeWithSelector(OracleAdapter.NothingToRefund.selector, EVE));
        adapter.withdrawFor(EVE);
        adapter.withdrawFor(address(prompt));
        same("back", address(prompt).balance, fee);
    }

    /// @dev What a stranger asked for is no answer of the adapter, either.
    function test_answer_askedByStranger_isNotHandedOn() public {
        ask();
        Request memory eves = asked;
        (eves.requester, eves.number) = (address(this), 1);
        VM.deal(address(this), eves.fee);
        bytes32 requestId = requests.request{value: eves.fee}(eves, inputOf(Traces.honest()), along);
        asked = eves;
        answered(requestId);
        same("undelivered", uint256(requests.progressOf(requestId)), uint256(Progress.Undelivered));
        same("not told", prompt.outputs(uint256(requestId)).length, 0);
    }

    /// @dev `Requests` pays all fees at once, and every asker gets its own; one that comes back in gets no more.
    function test_unanswered_severalAskers_eachGetsItsOwn() public {
        ask();
        (Request memory first, bytes memory firstAlong, Prompt other) = (asked, along, prompt);
        Twice twice = new Twice(adapter);
        prompt = twice;
        ask();
        wait(1 days + 2 * WINDOW + 1);
        requests.refund(first, firstAlong);
        requests.refund(asked, along);
        adapter.withdrawFor(address(twice));
        yes("did not come in", !twice.cameIn());
        same("its own", address(twice).balance, asked.fee);
        same("the rest waits", address(adapter).balance, first.fee);
        adapter.withdrawFor(address(other));
        same("the other's own", address(other).balance, first.fee);
        same("nothing left", address(adapter).balance + address(requests).balance, 0);
    }

    /// @dev However little gas a consumer asks for and however much it hands along, its fee is written down.
    function test_unanswered_muchHandedAlong_feeGoesBack() public {
        bytes memory much = new bytes(90_000);
        bytes memory input = inputOf(Traces.honest());
        uint256 modelId = uint256(ModelId.unwrap(model));
        uint256 fee = adapter.estimateFee(modelId, 0);
        VM.deal(EVE, fee);
        VM.prank(EVE);
        adapter.requestCallback{value: fee}(modelId, input, address(prompt), 0, much);
        askedFor(fee, 0, much);
        wait(1 days + 2 * WINDOW + 1);
        requests.refund(asked, along);
        adapter.withdrawFor(EVE);
        same("back", EVE.balance, fee);
    }
}
