// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";
import {Nonces} from "./Nonces.sol";
import {Uploads} from "./Uploads.sol";
import {Bits} from "./libraries/Bits.sol";
import {Calldata} from "./libraries/Calldata.sol";
import {Claims} from "./libraries/Claims.sol";
import {Header} from "./libraries/Header.sol";
import {Merkle} from "./libraries/Merkle.sol";
import {Claim, Group, Section} from "./types/Claim.sol";
import {ClaimId, ModelId} from "./types/Ids.sol";
import {Model, Tensor, TracePolicy} from "./types/Model.sol";
import {Duration} from "./types/Time.sol";

/// @title Postings
/// @notice How claims come in: a claimant's group of them at a time. What follows from the bytes is not sent: L1 computes the
///         roots and the claims' ids, and locks all bonds of a group and uses all its nonces by one write each.
abstract contract Postings is Ledger, Nonces, Uploads {
    using Bits for uint256[];

    /// @notice Input and output of one claim are at most this many bytes; larger ones are uploaded before.
    uint256 public constant MAX_POSTED_BYTES = 96 * 1024;

    uint256 internal immutable CLAIM_BOND;

    /// @dev What a section's records say, and where.
    struct Frame {
        bool withTrace;
        uint8 tensorDepth;
        uint256 inputBytes;
        uint256 outputBytes;
        uint256 recordBytes;
        uint256[] inputs;
        uint256[] outputs;
        bytes32[] zeros;
    }

    /// @notice Claims of a batch are posted, from index `first` on, and their bonds locked.
    /// @param roots input root and output root of each claim
    /// @param posted bit j & 255 of word j >> 8: whether claim j of the group is posted; else its nonce had been used
    event GroupPosted(
        uint256 indexed batchId,
        uint256 first,
        address indexed claimant,
        uint256 firstNonce,
        uint64 validUntil,
        Section[] sections,
        bytes32[] roots,
        uint256[] posted
    );
    /// @notice None of a group's claims is posted; `reason` is the selector of the error that says why.
    event GroupRefused(
        uint256 indexed batchId,
        uint256 first,
        address indexed claimant,
        uint256 firstNonce,
        uint256 count,
        bytes4 reason
    );

    /// @notice The signature is not the claimant's (65 bytes, low s).
    error BadSignature();
    /// @notice The claims could be posted until `validUntil` only.
    error ClaimExpired(uint64 validUntil);
    /// @notice The last nonce is 2^256 - 1.
    error NoncesOver(uint256 firstNonce, uint256 count);
    /// @notice The model's trace policy is "with the claim", and a claim has no trace root.
    error TraceRootMissing();
    /// @notice Input and output of a claim have more than 96 KiB; upload them before.
    error PostingTooLarge(uint256 byteLength);
    /// @notice The records of a section have other lengths than the model's header asks for.
    error RecordsLength(uint256 given, uint256 needed);
    /// @notice The input does not have the bytes that the model's header asks for.
    error InputLength(uint256 given, uint256 needed);
    /// @notice The output does not have the bytes that the model's header asks for.
    error OutputLength(uint256 given, uint256 needed);
    /// @notice The bytes behind this input root were not uploaded and assembled.
    error InputMissing(bytes32 inputRoot);
    /// @notice The bytes behind this output root were not uploaded and assembled.
    error OutputMissing(bytes32 outputRoot);

    constructor(uint256 claimBond, Duration delay) Ledger(delay) Nonces(delay) {
        CLAIM_BOND = claimBond;
    }

    /// @notice The input (or output) root of the tensors' bytes, in the header's order; reverts if their length is another one.
    function rootOf(ModelId modelId, bool isOutput, bytes calldata data) external view returns (bytes32) {
        Model storage model = _model(modelId);
        (uint256[] memory lengths, uint256 needed) = _lengths(isOutput ? model.outputs : model.inputs);
        if (data.length != needed) {
            if (isOutput) revert OutputLength(data.length, needed);
            revert InputLength(data.length, needed);
        }
        return Merkle.tensorsAt(
            Calldata.offsetOf(data),
            lengths,
            model.tensorDepth,
            Merkle.zeros(model.tensorDepth + Header.depthFor(lengths.length))
        );
    }

    /// @notice The EIP-712 domain `Touchstone`, version `1`, of this contract on this chain.
    function domainSeparator() public view returns (bytes32) {
        return Claims.domain(address(this));
    }

    /// @dev How many claims a group says that it has.
    function _sizeOf(Group calldata group) internal pure returns (uint256 count) {
        for (uint256 j = 0; j < group.sections.length; ++j) {
            count += group.sections[j].count;
        }
    }

    /// @dev Posts a group; its leaves, which are padding, become those of the claims that are posted.
    /// @param first the group's first leaf
    /// @return posted bit j & 255 of word j >> 8: whether claim j is posted
    /// @return total how many are
    function _post(
        Group calldata group,
        bytes32 domain,
        uint256 batchId,
        bytes32[] memory leaves,
        uint256 first,
        uint256 count
    ) internal returns (uint256[] memory posted, uint256 total) {
        (bytes4 reason, bytes32[] memory ids, bytes32[] memory roots) = _claims(group, domain, count);
        if (reason == 0) (posted, total) = _usable(group.claimant, group.firstNonce, count);
        if (reason == 0) reason = _refusal(group, domain, ids, total);
        if (reason != 0) {
            emit GroupRefused(batchId, first, group.claimant, group.firstNonce, count, reason);
            return (posted, 0);
        }
        _use(group.claimant, group.firstNonce, count, posted);
        _lockFree(group.claimant, total * CLAIM_BOND);
        unchecked {
            for (uint256 j = 0; j < count; ++j) {
                if (posted.has(j)) leaves[first + j] = Merkle.claimLeaf(ids[j]);
            }
        }
        emit GroupPosted(
            batchId, first, group.claimant, group.firstNonce, group.validUntil, group.sections, roots, posted
        );
    }

    /// @dev The selector of the error that keeps a group out whose claims are in order, or zero.
    function _refusal(Group calldata group, bytes32 domain, bytes32[] memory ids, uint256 total)
        private
        view
        returns (bytes4)
    {
        // forge-lint: disable-next-line(block-timestamp) a few seconds more or less decide about nothing but this posting
        if (block.timestamp > group.validUntil) return ClaimExpired.selector;
        if (total == 0) return NonceUsed.selector;
        if (balance(group.claimant) < total * CLAIM_BOND) return InsufficientBalance.selector;
        if (msg.sender != group.claimant) {
            bytes32 digest = ids.length == 1 ? ids[0] : Claims.groupDigest(ids, domain);
            if (!Claims.signedBy(digest, group.signature, group.claimant)) return BadSignature.selector;
        }
        return 0;
    }

    /// @dev The claims' ids, and input and output root of each; or the selector of the error that says what is wrong with them.
    function _claims(Group calldata group, bytes32 domain, uint256 count)
        private
        view
        returns (bytes4 reason, bytes32[] memory ids, bytes32[] memory roots)
    {
        if (count == 0 || group.firstNonce > type(uint256).max - (count - 1)) {
            return (NoncesOver.selector, ids, roots);
        }
        (ids, roots) = (new bytes32[](count), new bytes32[](2 * count));
        Claim memory claim;
        (claim.claimant, claim.nonce, claim.validUntil) = (group.claimant, group.firstNonce, group.validUntil);
        uint256 done = 0;
        for (uint256 j = 0; j < group.sections.length; ++j) {
            Section calldata section = group.sections[j];
            if (!isRegistered(section.modelId)) return (UnknownModel.selector, ids, roots);
            Frame memory frame = _frameOf(section);
            if (frame.inputBytes + frame.outputBytes > MAX_POSTED_BYTES) {
                return (PostingTooLarge.selector, ids, roots);
            }
            if (
                section.inputBytes != frame.inputBytes || section.outputBytes != frame.outputBytes
                    || section.records.length != section.count * frame.recordBytes
            ) return (RecordsLength.selector, ids, roots);
            (claim.modelId, claim.requestId, claim.traceRoot) = (section.modelId, 0, 0);
            uint256 start = Calldata.offsetOf(section.records);
            for (uint256 k = section.count; k != 0; --k) {
                reason = _record(section, start, frame, claim);
                if (reason != 0) return (reason, ids, roots);
                bytes32 id = ClaimId.unwrap(Claims.idOf(claim, domain));
                unchecked {
                    (ids[done], roots[2 * done], roots[2 * done + 1]) = (id, claim.inputRoot, claim.outputRoot);
                    start += frame.recordBytes;
                    ++done;
                    ++claim.nonce; // behind the last claim it may be 2^256
                }
            }
        }
    }

    function _frameOf(Section calldata section) private view returns (Frame memory frame) {
        Model storage model = _model(section.modelId);
        frame.withTrace = model.policy == TracePolicy.WithClaim;
        frame.tensorDepth = model.tensorDepth;
        (frame.inputs, frame.inputBytes) = _lengths(model.inputs);
        (frame.outputs, frame.outputBytes) = _lengths(model.outputs);
        if (section.inputUploaded) frame.inputBytes = 32;
        if (section.outputUploaded) frame.outputBytes = 32;
        frame.recordBytes = (section.named ? 32 : 0) + (frame.withTrace ? 32 : 0) + frame.inputBytes + frame.outputBytes;
        uint256 most = frame.inputs.length < frame.outputs.length ? frame.outputs.length : frame.inputs.length;
        frame.zeros = Merkle.zeros(frame.tensorDepth + Header.depthFor(most));
    }

    /// @dev Fills in what the record at an offset of the calldata says; returns the selector of the error that says what is wrong
    ///      with it, or zero. The section is known to hold it whole.
    function _record(Section calldata section, uint256 start, Frame memory frame, Claim memory claim)
        private
        view
        returns (bytes4)
    {
        unchecked {
            if (section.named) {
                claim.requestId = Calldata.word(start);
                start += 32;
            }
            if (frame.withTrace) {
                claim.traceRoot = Calldata.word(start);
                if (claim.traceRoot == 0) return TraceRootMissing.selector;
                start += 32;
            }
            if (section.inputUploaded) {
                claim.inputRoot = Calldata.word(start);
                if (!isAssembled(section.modelId, false, claim.inputRoot)) return InputMissing.selector;
            } else {
                claim.inputRoot = Merkle.tensorsAt(start, frame.inputs, frame.tensorDepth, frame.zeros);
            }
            start += frame.inputBytes;
            if (section.outputUploaded) {
                claim.outputRoot = Calldata.word(start);
                if (!isAssembled(section.modelId, true, claim.outputRoot)) return OutputMissing.selector;
            } else {
                claim.outputRoot = Merkle.tensorsAt(start, frame.outputs, frame.tensorDepth, frame.zeros);
            }
        }
        return 0;
    }

    function _lengths(Tensor[] storage tensors) private view returns (uint256[] memory lengths, uint256 total) {
        lengths = new uint256[](tensors.length);
        for (uint256 j = 0; j < lengths.length; ++j) {
            lengths[j] = tensors[j].byteLength;
            total += lengths[j];
        }
    }
}
