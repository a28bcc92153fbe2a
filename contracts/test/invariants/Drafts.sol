// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claims} from "../../src/libraries/Claims.sol";
import {Claim, Group, Section} from "../../src/types/Claim.sol";
import {ClaimId, ModelId} from "../../src/types/Ids.sol";
import {Books} from "./Books.sol";

/// @dev Groups of every form, most of them in order, and what the chain must make of them by rules that are written here again.
abstract contract Drafts is Books {
    uint256 internal constant BIG = 300;

    /// @dev What can be wrong with a group.
    enum Flaw {
        None,
        SurplusByte,
        OtherLength,
        UnknownModel,
        CountTooHigh,
        NoTraceRoot,
        NotAssembled,
        OtherSigner,
        OtherDigest,
        NoSignature,
        Expired,
        NoSections
    }

    /// @dev A group, its claims in order, and whether the chain can take it but for money, nonces and who sends it.
    struct Draft {
        Group group;
        Filed[] claims;
        uint256 size;
        bool isInOrder;
        bool isSigned;
    }

    /// @dev One past a claimant's highest nonce, those at the end of all nonces left out.
    mapping(address claimant => uint256 nonce) internal tops;

    function draft(uint256 seed, bool isBig) internal view returns (Draft memory made) {
        Flaw flaw = oneIn(seed, 1, 8) ? Flaw(1 + pick(seed, 2, uint256(type(Flaw).max))) : Flaw.None;
        made.isInOrder = flaw == Flaw.None || (flaw >= Flaw.OtherSigner && flaw <= Flaw.NoSignature);
        Group memory group = made.group;
        group.claimant = oneIn(seed, 3, 12) ? claimant : prover(pick(seed, 3, PROVERS_COUNT));
        uint256[] memory counts = new uint256[](flaw == Flaw.NoSections ? 0 : 1 + pick(seed, 4, 3));
        for (uint256 j = 0; j < counts.length; ++j) {
            counts[j] = isBig ? 1 + pick(seed, 5 + j, BIG / 3) : oneIn(seed, 5 + j, 24) ? 0 : 1 + pick(seed, 5 + j, 4);
            made.size += counts[j];
        }
        group.firstNonce = _firstNonce(seed, group.claimant);
        group.validUntil = uint64(flaw == Flaw.Expired ? time - 1 : time + pick(seed, 9, 3) * 10);
        made.claims = new Filed[](made.size);
        group.sections = new Section[](counts.length);
        uint256 done = 0;
        for (uint256 j = 0; j < counts.length; ++j) {
            group.sections[j] = _section(made, mixedWith(seed, j), done, counts[j]);
            done += counts[j];
        }
        if (made.isInOrder || flaw == Flaw.Expired) _sign(made, flaw, seed);
        else made.isInOrder = !_spoil(made, flaw, seed);
    }

    function mixedWith(uint256 seed, uint256 salt) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, "part", salt)));
    }

    /// @dev A request that waits for an answer and its model, if there is one.
    function wanted(uint256 seed) internal view virtual returns (bytes32 requestId, uint8 modelIndex);

    /// @dev Mostly the next; else those that were used or cancelled, gaps, the ends of words, the end of all nonces.
    function _firstNonce(uint256 seed, address account) private view returns (uint256 nonce) {
        nonce = tops[account];
        uint256 kind = pick(seed, 10, 20);
        if (kind < 4) return nonce < 6 ? 0 : nonce - pick(seed, 11, 6);
        if (kind == 4) return nonce + pick(seed, 11, 4);
        if (kind == 5) return (nonce | 255) - pick(seed, 11, 3);
        if (kind == 6) return nonce == 0 ? 0 : pick(seed, 11, nonce);
        if (kind == 7 && oneIn(seed, 12, 3)) return type(uint256).max - pick(seed, 11, 12);
    }

    /// @dev A section of `count` records, whose claims stand behind `from`.
    function _section(Draft memory made, uint256 seed, uint256 from, uint256 count)
        private
        view
        returns (Section memory section)
    {
        uint8 modelIndex = uint8(pick(seed, 1, MODELS));
        bytes32 requestId;
        if (oneIn(seed, 2, 2)) {
            section.named = true;
            (requestId, modelIndex) = wanted(seed);
        }
        (section.modelId, section.count) = (models[modelIndex], uint32(count));
        (section.inputUploaded, section.outputUploaded) = (oneIn(seed, 3, 3), oneIn(seed, 4, 3));
        section.inputBytes = section.inputUploaded ? 32 : 4;
        section.outputBytes = section.outputUploaded ? 32 : 4;
        bytes[] memory records = new bytes[](count);
        for (uint256 j = 0; j < count; ++j) {
            Filed memory one_ = made.claims[from + j];
            (one_.claimant, one_.validUntil, one_.model) = (made.group.claimant, made.group.validUntil, modelIndex);
            one_.lies = oneIn(seed, 100 + j, 4);
            one_.requestId = requestId;
            unchecked {
                one_.nonce = made.group.firstNonce + from + j;
            }
            records[j] = _record(section, one_);
        }
        section.records = joined(records);
    }

    function _record(Section memory section, Filed memory one_) private view returns (bytes memory) {
        return abi.encodePacked(
            section.named ? abi.encode(one_.requestId) : bytes(""),
            one_.model == 1 ? bytes("") : abi.encode(traceRootOf(one_.lies)),
            section.inputUploaded ? abi.encode(inputRoot) : BYTES,
            section.outputUploaded ? abi.encode(outputRoots[one_.lies]) : one_.lies ? LIE : BYTES
        );
    }

    function joined(bytes[] memory parts) internal pure returns (bytes memory all_) {
        for (uint256 j = 0; j < parts.length; ++j) {
            all_ = bytes.concat(all_, parts[j]);
        }
    }

    /// @dev Makes the group one that the chain can't take; whether there was anything to spoil.
    function _spoil(Draft memory made, Flaw flaw, uint256 seed) private view returns (bool) {
        Section[] memory sections = made.group.sections;
        if (sections.length == 0) return true;
        Section memory section = sections[pick(seed, 13, sections.length)];
        if (flaw == Flaw.SurplusByte) section.records = bytes.concat(section.records, hex"00");
        if (flaw == Flaw.OtherLength) section.inputBytes += 1;
        if (flaw == Flaw.UnknownModel) section.modelId = ModelId.wrap(bytes32(seed));
        if (flaw == Flaw.CountTooHigh) (section.count, made.size) = (section.count + 1, made.size + 1);
        if (flaw == Flaw.NoTraceRoot || flaw == Flaw.NotAssembled) {
            section.modelId = models[0];
            section.count = 1;
            (section.named, section.inputUploaded, section.outputUploaded) = (false, true, false);
            (section.inputBytes, section.outputBytes) = (32, 4);
            bool lacksTrace = flaw == Flaw.NoTraceRoot;
            section.records =
                abi.encodePacked(bytes32(lacksTrace ? 0 : seed), lacksTrace ? inputRoot : bytes32(seed), LIE);
            made.size = 0;
            for (uint256 j = 0; j < sections.length; ++j) {
                made.size += sections[j].count;
            }
        }
        return true;
    }

    function _sign(Draft memory made, Flaw flaw, uint256 seed) private view {
        bytes32[] memory ids = new bytes32[](made.size);
        for (uint256 j = 0; j < ids.length; ++j) {
            ids[j] = ClaimId.unwrap(chain.claimIdOf(claimAt(made.claims[j])));
        }
        bool isOne = ids.length == 1;
        if (flaw == Flaw.OtherDigest) isOne = !isOne && ids.length != 0;
        bytes32 digest = isOne ? ids[0] : Claims.groupDigest(ids, chain.domainSeparator());
        uint256 key = made.group.claimant == claimant ? CLAIMANT_KEY : keyOf(made.group.claimant);
        if (flaw == Flaw.OtherSigner) key = key == keys[0] ? keys[1] : keys[0];
        if (flaw == Flaw.NoSignature) made.group.signature = new bytes(pick(seed, 14, 3) * 33);
        else made.group.signature = signed(key, digest);
        made.isSigned = flaw == Flaw.None;
        if (flaw == Flaw.Expired) made.isInOrder = false;
    }

    /// @dev Which claims of a group are posted if this account sends it now; writes the books.
    function taken(Draft memory made, address sender) internal returns (bool[] memory posted, uint256 total) {
        Group memory group = made.group;
        posted = new bool[](made.size);
        bool isFitting = made.size != 0 && group.firstNonce <= type(uint256).max - (made.size - 1);
        if (!made.isInOrder || !isFitting || !(made.isSigned || sender == group.claimant)) return (posted, 0);
        for (uint256 j = 0; j < made.size; ++j) {
            posted[j] = isUsable(group.claimant, group.firstNonce + j);
            if (posted[j]) ++total;
        }
        if (freeOf[group.claimant] < total * CLAIM_BOND) return (new bool[](made.size), 0);
        for (uint256 j = 0; j < made.size; ++j) {
            if (posted[j]) use(group.claimant, group.firstNonce + j);
        }
    }

    function isUsable(address account, uint256 nonce) internal view returns (bool) {
        uint256 state = nonces[account][nonce];
        return state == 0 || (state != USED && state > time);
    }

    /// @dev Books a posted claim's nonce and bond.
    function use(address account, uint256 nonce) internal {
        nonces[account][nonce] = USED;
        freeOf[account] -= CLAIM_BOND;
        lockedOf[account] += CLAIM_BOND;
        if (nonce >= tops[account] && nonce < 2 ** 128) tops[account] = nonce + 1;
    }

    function idOf(Filed memory one_) internal view returns (ClaimId) {
        Claim memory claim = claimAt(one_);
        return chain.claimIdOf(claim);
    }
}
