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
        if (msg.sender != address(ORACLE) || keccak256(callbackData) != keccak256("prompt") || refuses) {
            revert OnlyOracle();
        }
        outputs[requestId] = output;
    }

    receive() external payable {}
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
        Trace memory trace = Traces.honest();
        uint256 fee = adapter.estimateFee(uint256(ModelId.unwrap(model)), 200_000);
        VM.deal(address(this), fee);
        requestId = bytes32(
            prompt.calculate{value: fee}(
                uint256(ModelId.unwrap(model)), abi.encodePacked(trace.tensor(0), trace.tensor(1))
            )
        );
        along = abi.encode(address(prompt), fee, address(prompt), uint64(200_000), bytes("prompt"));
        asked = Request({
            modelId: model,
            inputRoot: sha256(abi.encodePacked(hex"01", trace.entry(0), trace.entry(1))),
            requester: address(adapter),
            callback: address(adapter),
            gasLimit: 200_000 + uint64(200_000) / 63 + 40_000,
            fee: uint128(fee),
            prover: address(0),
            proverUntil: Timestamp.wrap(0),
            until: Timestamp.wrap(uint40(time + 1 days)),
            author: address(0),
            royalty: 0,
            dataHash: keccak256(along),
            number: 0
        });
        same("id", requestId, requests.requestIdOf(asked));
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
}
