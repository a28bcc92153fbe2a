// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../types/Claim.sol";
import {ClaimId} from "../types/Ids.sol";

/// @title Claims
/// @notice EIP-712: the ids of claims and the signatures of claimants. The domain is always that of the RollupChain.
library Claims {
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant CLAIM_TYPEHASH = keccak256(
        "Claim(bytes32 modelId,address claimant,uint256 nonce,uint64 validUntil,bytes32 requestId,bytes32 inputRoot,bytes32 outputRoot,bytes32 traceRoot)"
    );
    bytes32 internal constant GROUP_TYPEHASH = keccak256("Group(bytes32[] claims)");
    bytes32 internal constant TRACE_ROOT_TYPEHASH = keccak256("TraceRoot(bytes32 claimId,bytes32 traceRoot)");

    /// @dev Half the order of secp256k1: a signature with a larger s has a twin with a smaller one.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice The domain separator of a RollupChain on this chain.
    function domain(address chain) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("Touchstone"), keccak256("1"), block.chainid, chain));
    }

    /// @notice The claim's digest, which is its id.
    function id(Claim calldata claim, bytes32 domainSeparator) internal pure returns (ClaimId) {
        bytes32 content = keccak256(
            abi.encode(
                CLAIM_TYPEHASH,
                claim.modelId,
                claim.claimant,
                claim.nonce,
                claim.validUntil,
                claim.requestId,
                claim.inputRoot,
                claim.outputRoot,
                claim.traceRoot
            )
        );
        return ClaimId.wrap(_digest(domainSeparator, content));
    }

    /// @notice The claim's digest, from memory.
    function idOf(Claim memory claim, bytes32 domainSeparator) internal pure returns (ClaimId) {
        bytes32 typehash = CLAIM_TYPEHASH;
        bytes32 content;
        assembly ("memory-safe") {
            // A claim is eight words; the type's hash stands in front of them for a moment.
            let before := sub(claim, 32)
            let kept := mload(before)
            mstore(before, typehash)
            content := keccak256(before, 288)
            mstore(before, kept)
        }
        return ClaimId.wrap(_digest(domainSeparator, content));
    }

    /// @notice What a claimant signs to have several claims posted, each of them named by its id.
    function groupDigest(bytes32[] memory claimIds, bytes32 domainSeparator) internal pure returns (bytes32) {
        bytes32 content = keccak256(abi.encodePacked(claimIds));
        return _digest(domainSeparator, keccak256(abi.encode(GROUP_TYPEHASH, content)));
    }

    /// @notice What a claimant signs to set the trace root of its claim.
    function traceRootDigest(ClaimId claimId, bytes32 traceRoot, bytes32 domainSeparator)
        internal
        pure
        returns (bytes32)
    {
        return _digest(domainSeparator, keccak256(abi.encode(TRACE_ROOT_TYPEHASH, claimId, traceRoot)));
    }

    /// @notice Whether `signer` signed the digest. Malleable signatures, and the zero signer, never did.
    function signedBy(bytes32 digest, bytes calldata signature, address signer) internal pure returns (bool) {
        if (signature.length != 65 || signer == address(0)) return false;
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > HALF_ORDER) return false;
        return ecrecover(digest, uint8(signature[64]), r, s) == signer;
    }

    function _digest(bytes32 domainSeparator, bytes32 content) private pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, 0x1901000000000000000000000000000000000000000000000000000000000000)
            mstore(add(buffer, 2), domainSeparator)
            mstore(add(buffer, 34), content)
            digest := keccak256(buffer, 66)
        }
    }
}
