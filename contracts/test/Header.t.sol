// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Header} from "../src/libraries/Header.sol";
import {Model, TracePolicy} from "../src/types/Model.sol";
import {Base} from "./Base.sol";

contract HeaderTest is Base {
    bytes private constant INPUT = hex"01000701000000ff";
    bytes private constant OUTPUT = hex"010000000202000200000003000000ff";

    function decode(bytes calldata encoded) external pure returns (Model memory) {
        return Header.decode(encoded);
    }

    /// @dev The first part in these tests: version 1, policy 1, trace depth 2, tensor depth 3, 3 values.
    function header(bytes memory first, bytes memory inputs, bytes memory outputs) private pure returns (bytes memory) {
        return abi.encodePacked(first, inputs, outputs);
    }

    function test_decode_wellFormed_succeeds() public view {
        Model memory model = this.decode(header(hex"000201020300000003", INPUT, OUTPUT));
        yes("policy", model.policy == TracePolicy.OnDispute);
        same("trace depth", model.traceDepth, 2);
        same("tensor depth", model.tensorDepth, 3);
        same("values", model.values, 3);
        same("inputs", model.inputs.length, 1);
        same("input bytes", model.inputs[0].byteLength, 255);
        same("outputs", model.outputs.length, 1);
        same("output value", model.outputs[0].value, 2);
        same("output bytes", model.outputs[0].byteLength, 4 * 3 * 255);
    }

    function test_decode_version_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.UnsupportedVersion.selector, 1));
        this.decode(header(hex"000101020300000003", INPUT, OUTPUT));
    }

    function test_decode_policy_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.UnknownPolicy.selector, 2));
        this.decode(header(hex"000202020300000003", INPUT, OUTPUT));
    }

    function test_decode_depth_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.DepthTooLarge.selector, 33, 3));
        this.decode(header(hex"000201210300000003", INPUT, OUTPUT));
    }

    function test_decode_valuesBeyondDepth_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.ValuesOutside.selector, 5));
        this.decode(header(hex"000201020300000005", INPUT, OUTPUT));
    }

    function test_decode_fewerValuesThanInputs_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.ValuesOutside.selector, 0));
        this.decode(header(hex"000201020300000000", INPUT, OUTPUT));
    }

    function test_decode_asManyValuesAsInputs_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.ValuesOutside.selector, 1));
        this.decode(header(hex"000200000300000001", INPUT, OUTPUT));
    }

    function test_decode_outputOutside_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.OutputOutside.selector, 2));
        this.decode(header(hex"000201020300000002", INPUT, OUTPUT));
    }

    function test_decode_noTensors_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.NoTensors.selector));
        this.decode(header(hex"000201020300000003", hex"00", OUTPUT));
        VM.expectRevert(abi.encodeWithSelector(Header.NoTensors.selector));
        this.decode(header(hex"000201020300000003", INPUT, hex"00"));
    }

    function test_decode_type_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.UnknownType.selector, 4));
        this.decode(header(hex"000201020300000003", hex"01040701000000ff", OUTPUT));
    }

    function test_decode_rank_reverts() public {
        bytes memory dims = new bytes(4 * 13);
        for (uint256 d = 0; d < 13; ++d) {
            dims[4 * d + 3] = 0x01;
        }
        VM.expectRevert(abi.encodeWithSelector(Header.RankTooLarge.selector, 13));
        this.decode(header(hex"000201020300000003", abi.encodePacked(hex"0100070d", dims), OUTPUT));
    }

    function test_decode_tensorTooLarge_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.TensorTooLarge.selector, 8 * 1024 + 1));
        this.decode(header(hex"000201020300000003", hex"0100070100002001", OUTPUT));
    }

    function test_decode_surplus_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Header.HeaderTooLong.selector, 1));
        this.decode(abi.encodePacked(header(hex"000201020300000003", INPUT, OUTPUT), hex"00"));
    }

    function testFuzz_decode_truncated_reverts(uint256 length) public {
        bytes memory whole = header(hex"000201020300000003", INPUT, OUTPUT);
        bytes memory part = new bytes(length % whole.length);
        for (uint256 j = 0; j < part.length; ++j) {
            part[j] = whole[j];
        }
        VM.expectPartialRevert(Header.HeaderTooShort.selector);
        this.decode(part);
    }

    /// @dev Whatever the bytes are, decoding ends with a model or with one of the library's errors.
    function testFuzz_decode_anyBytes_keepsItsPromises(bytes calldata rest) public view {
        try this.decode(abi.encodePacked(hex"0002", rest)) returns (Model memory model) {
            yes("values", model.values > model.inputs.length && model.inputs.length != 0);
            yes("outputs", model.outputs.length != 0);
        } catch (bytes memory reason) {
            yes("a custom error", reason.length >= 4 && bytes4(reason) != bytes4(keccak256("Panic(uint256)")));
        }
    }

    function test_depthFor_small_succeeds() public pure {
        uint8[10] memory expected = [0, 0, 1, 2, 2, 3, 3, 3, 3, 4];
        for (uint256 count = 0; count < 10; ++count) {
            same("depth", Header.depthFor(count), expected[count]);
        }
    }
}
