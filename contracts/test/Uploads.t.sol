// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Models} from "../src/Models.sol";
import {Postings} from "../src/Postings.sol";
import {Uploads} from "../src/Uploads.sol";
import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {ModelId} from "../src/types/Ids.sol";
import {Groups, Posting} from "./Groups.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

contract UploadsTest is World {
    using Traces for Trace;

    function part(bytes memory data, uint256 from, uint256 to) private pure returns (bytes memory piece) {
        piece = new bytes(to - from);
        for (uint256 j = 0; j < piece.length; ++j) {
            piece[j] = data[from + j];
        }
    }

    /// @dev Uploads the toy trace's inputs, the first one in two chunks, and assembles them.
    function uploadInput(Trace memory trace) private returns (bytes32) {
        bytes memory first = trace.tensor(0);
        bytes32 left = chain.upload(part(first, 0, 1024));
        bytes32 right = chain.upload(part(first, 1024, 1500));
        bytes32[] memory tensors = new bytes32[](2);
        tensors[0] = chain.join(left, 1024, right, 476);
        tensors[1] = chain.upload(trace.tensor(1));
        return chain.assemble(model, false, tensors);
    }

    function test_postBatch_uploadedInput_succeeds() public {
        Trace memory trace = Traces.honest();
        Claim memory claim = claimOf(model, trace);
        same("root", uploadInput(trace), claim.inputRoot);
        yes("assembled", chain.isAssembled(model, false, claim.inputRoot));
        yes("not as an output", !chain.isAssembled(model, true, claim.inputRoot));
        yes("not for another model", !chain.isAssembled(lazyModel, false, claim.inputRoot));

        Posting[] memory postings = new Posting[](1);
        postings[0] = postingOf(claim, trace);
        postings[0].input = "";
        uint256 batchId = chain.postBatch(Groups.single(postings));
        yes("posted", chain.status(claim, Inclusion(batchId, 0, new bytes32[](0))) == Status.Posted);
    }

    function test_postBatch_uploadedOutput_succeeds() public {
        Trace memory trace = Traces.honest();
        Claim memory claim = claimOf(model, trace);
        bytes32[] memory tensors = new bytes32[](2);
        tensors[0] = chain.upload(trace.tensor(4));
        tensors[1] = chain.upload(trace.tensor(3));
        same("root", chain.assemble(model, true, tensors), claim.outputRoot);
        Posting[] memory postings = new Posting[](1);
        postings[0] = postingOf(claim, trace);
        postings[0].output = "";
        uint256 batchId = chain.postBatch(Groups.single(postings));
        yes("posted", chain.status(claim, Inclusion(batchId, 0, new bytes32[](0))) == Status.Posted);
    }

    function test_postBatch_otherUpload_isSkipped() public {
        Trace memory trace = Traces.honest();
        uploadInput(Traces.changed(0, 5));
        Posting[] memory postings = new Posting[](1);
        postings[0] = postingOf(claimOf(model, trace), trace);
        postings[0].input = "";
        Claim memory claim = postings[0].claim;
        VM.expectEmit(address(chain));
        emit Postings.GroupRefused(0, 0, claimant, claim.nonce, 1, Postings.InputMissing.selector);
        chain.postBatch(Groups.single(postings));
        // An output that was uploaded is no input.
        bytes32[] memory tensors = new bytes32[](2);
        tensors[0] = chain.upload(trace.tensor(4));
        tensors[1] = chain.upload(trace.tensor(3));
        chain.assemble(lazyModel, true, tensors);
        postings[0] = postingOf(claimOf(model, trace), trace);
        postings[0].output = "";
        claim = postings[0].claim;
        VM.expectEmit(address(chain));
        emit Postings.GroupRefused(1, 0, claimant, claim.nonce, 1, Postings.OutputMissing.selector);
        chain.postBatch(Groups.single(postings));
    }

    function test_upload_empty_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Uploads.EmptyChunk.selector));
        chain.upload("");
    }

    function test_join_notUploaded_reverts() public {
        bytes32 left = chain.upload(new bytes(1024));
        VM.expectRevert(abi.encodeWithSelector(Uploads.NotUploaded.selector, bytes32(0), 5));
        chain.join(left, 1024, bytes32(0), 5);
        VM.expectRevert(abi.encodeWithSelector(Uploads.NotUploaded.selector, left, 1000));
        chain.join(left, 1000, left, 1024);
    }

    function test_join_leftNotFull_reverts() public {
        bytes32 left = chain.upload(new bytes(1000));
        bytes32 right = chain.upload(new bytes(5));
        VM.expectRevert(abi.encodeWithSelector(Uploads.CannotJoin.selector, 1000, 5));
        chain.join(left, 1000, right, 5);
        left = chain.upload(new bytes(3 * 1024));
        VM.expectRevert(abi.encodeWithSelector(Uploads.CannotJoin.selector, 3 * 1024, 5));
        chain.join(left, 3 * 1024, right, 5);
    }

    function test_join_rightLonger_reverts() public {
        bytes32 left = chain.upload(new bytes(1024));
        bytes32 right = chain.upload(new bytes(1025));
        VM.expectRevert(abi.encodeWithSelector(Uploads.CannotJoin.selector, 1024, 1025));
        chain.join(left, 1024, right, 1025);
    }

    function test_assemble_count_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(Uploads.TensorCount.selector, 1, 2));
        chain.assemble(model, false, new bytes32[](1));
    }

    function test_assemble_unknownModel_reverts() public {
        ModelId unknown = ModelId.wrap(bytes32(uint256(1)));
        VM.expectRevert(abi.encodeWithSelector(Models.UnknownModel.selector, unknown));
        chain.assemble(unknown, false, new bytes32[](1));
    }

    /// @dev A longer upload whose surplus bytes are zero has the same root, but another length.
    function test_assemble_otherLength_reverts() public {
        Trace memory trace = Traces.honest();
        bytes32[] memory tensors = new bytes32[](2);
        tensors[0] = chain.upload(abi.encodePacked(trace.tensor(0), hex"00"));
        tensors[1] = chain.upload(trace.tensor(1));
        VM.expectRevert(abi.encodeWithSelector(Uploads.NotUploaded.selector, tensors[0], 1500));
        chain.assemble(model, false, tensors);
    }

    /// @dev However a tensor is cut, its root is that of the whole.
    function testFuzz_join_anyLength_sameRoot(uint16 seed) public {
        uint256 length = 4097 + seed % 4096;
        bytes memory data = new bytes(length);
        for (uint256 j = 0; j < length; j += 97) {
            data[j] = bytes1(uint8(j >> 3));
        }
        bytes32 whole = chain.upload(data);
        bytes32 left = chain.upload(part(data, 0, 4096));
        bytes32 right = chain.upload(part(data, 4096, length));
        same("root", chain.join(left, 4096, right, length - 4096), whole);
        yes("known", chain.uploaded(whole, length));
    }
}
