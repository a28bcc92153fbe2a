// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim, Group, Section} from "../src/types/Claim.sol";

/// @dev A signed claim with the bytes that it speaks of; empty ones were uploaded before.
struct Posting {
    Claim claim;
    bytes signature;
    bytes input;
    bytes output;
}

/// @dev Claims as they are posted.
library Groups {
    /// @dev Each claim in a group of its own.
    function single(Posting[] memory postings) internal pure returns (Group[] memory groups) {
        groups = new Group[](postings.length);
        for (uint256 j = 0; j < groups.length; ++j) {
            Section[] memory sections = new Section[](1);
            sections[0] = section(postings[j]);
            Claim memory claim = postings[j].claim;
            groups[j] = Group(claim.claimant, claim.nonce, claim.validUntil, sections, postings[j].signature);
        }
    }

    /// @dev The claim alone.
    function single(Posting memory posting) internal pure returns (Group[] memory groups) {
        Posting[] memory postings = new Posting[](1);
        postings[0] = posting;
        return single(postings);
    }

    /// @dev All claims in one group: of one claimant and validity, with consecutive nonces, all of the first one's form.
    function together(Posting[] memory postings, bytes memory signature) internal pure returns (Group[] memory groups) {
        Section[] memory sections = new Section[](1);
        sections[0] = section(postings[0]);
        // forge-lint: disable-next-line(unsafe-typecast) a few
        sections[0].count = uint32(postings.length);
        for (uint256 j = 1; j < postings.length; ++j) {
            sections[0].records = abi.encodePacked(sections[0].records, record(postings[j]));
        }
        Claim memory first = postings[0].claim;
        groups = new Group[](1);
        groups[0] = Group(first.claimant, first.nonce, first.validUntil, sections, signature);
    }

    function section(Posting memory posting) internal pure returns (Section memory result) {
        (result.modelId, result.count) = (posting.claim.modelId, 1);
        (result.inputUploaded, result.outputUploaded) = (posting.input.length == 0, posting.output.length == 0);
        // forge-lint: disable-next-item(unsafe-typecast) tests are small
        (result.inputBytes, result.outputBytes) =
        (
            result.inputUploaded ? 32 : uint32(posting.input.length),
            result.outputUploaded ? 32 : uint32(posting.output.length)
        );
        result.named = posting.claim.requestId != 0;
        result.records = record(posting);
    }

    /// @dev A trace root of zero is none: the model's policy is "on dispute".
    function record(Posting memory posting) internal pure returns (bytes memory) {
        Claim memory claim = posting.claim;
        return abi.encodePacked(
            claim.requestId == 0 ? bytes("") : abi.encode(claim.requestId),
            claim.traceRoot == 0 ? bytes("") : abi.encode(claim.traceRoot),
            posting.input.length == 0 ? abi.encode(claim.inputRoot) : posting.input,
            posting.output.length == 0 ? abi.encode(claim.outputRoot) : posting.output
        );
    }
}
