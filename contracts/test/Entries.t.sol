// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../src/types/Claim.sol";
import {Rule} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {HashMismatch, NoMismatch} from "../src/types/Verdict.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev Comparisons without an op: what they cost at their worst, and every byte of padding. (What they say is in
///      `DisputeGame.t.sol`.)
contract EntriesTest is World {
    using Traces for Trace;

    /// @dev A comparison reads one tensor of the header, however many the model has.
    function test_entryVerdict_255InputsAndOutputs_costsNoMore() public {
        bytes memory inputs = hex"ff";
        bytes memory outputs = hex"ff";
        for (uint32 j = 0; j < 255; ++j) {
            inputs = abi.encodePacked(inputs, hex"000001", uint32(1));
            outputs = abi.encodePacked(outputs, j, hex"000001", uint32(1));
        }
        bytes memory head = abi.encodePacked(uint16(2), uint8(0), uint8(8), uint8(0), uint32(256), inputs, outputs);
        Claim memory claim;
        claim.modelId = chain.registerModel(head, "");
        for (uint256 which = 0; which < 255; which += 127) {
            bytes memory witness =
                abi.encodePacked(bytes32(0), new bytes(32 * 8), uint8(which), bytes32(0), new bytes(32 * 8));
            Rule rule = which % 2 == 0 ? Rule.Input : Rule.Output;
            (bool success, bytes memory answer) = address(chain).call{gas: 100_000}(
                abi.encodeCall(
                    chain.entryVerdict, (claim, bytes32(0), Gindex.wrap(uint128(256 + which)), rule, witness)
                )
            );
            yes("refused for its hash", !success && bytes4(answer) == HashMismatch.selector);
        }
    }

    /// @dev Input 0 has 1,500 bytes: its second leaf is padding from byte 476 on.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_padding_isFoundByteByByte(uint256 seed, uint8 value) public view {
        uint256 index = seed % 1024;
        Trace memory trace = Traces.honest();
        trace.leaves[1][index] = bytes1(value);
        Traces.build(trace);
        Claim memory claim;
        claim.modelId = model;
        (bool success, bytes memory answer) = address(chain)
            .staticcall(
                abi.encodeCall(
                    chain.entryVerdict,
                    (
                        claim,
                        trace.root(),
                        Gindex.wrap(33),
                        Rule.Padding,
                        abi.encodePacked(trace.leaves[1], trace.path(33, 1))
                    )
                )
            );
        if (index < 476 || value == 0) {
            yes("nothing to find", !success && bytes4(answer) == NoMismatch.selector);
            return;
        }
        (, uint256 element,, uint256 claimed,) = abi.decode(answer, (uint256, uint256, uint256, uint256, uint256));
        yes("found", success);
        same("where", element, index);
        same("what", claimed, value);
    }
}
