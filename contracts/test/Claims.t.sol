// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claims} from "../src/libraries/Claims.sol";
import {Claim} from "../src/types/Claim.sol";
import {ClaimId} from "../src/types/Ids.sol";
import {Base} from "./Base.sol";

contract ClaimsTest is Base {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function id(Claim calldata claim, bytes32 domain) external pure returns (ClaimId) {
        return Claims.id(claim, domain);
    }

    function signedBy(bytes32 digest, bytes calldata signature, address signer) external pure returns (bool) {
        return Claims.signedBy(digest, signature, signer);
    }

    function testFuzz_id_everyFieldCounts_succeeds(Claim memory claim, uint8 field) public view {
        bytes32 first = ClaimId.unwrap(this.id(claim, bytes32(0)));
        bytes memory encoded = abi.encode(claim);
        // The last byte of a word belongs to the field whatever its type is.
        encoded[32 * (field % 8) + 31] ^= 0x01;
        Claim memory other = abi.decode(encoded, (Claim));
        yes("another id", ClaimId.unwrap(this.id(other, bytes32(0))) != first);
        yes("another domain", ClaimId.unwrap(this.id(claim, bytes32(uint256(1)))) != first);
    }

    function test_domain_otherChain_differs() public {
        bytes32 here = Claims.domain(address(this));
        bytes32 typeHash =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 expected =
            keccak256(abi.encode(typeHash, keccak256("Touchstone"), keccak256("1"), block.chainid, address(this)));
        same("domain", here, expected);
        VM.chainId(block.chainid + 1);
        yes("another domain", Claims.domain(address(this)) != here);
    }

    function testFuzz_signedBy_signer_succeeds(uint256 key, bytes32 digest) public view {
        key = 1 + key % (ORDER - 1);
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        yes("signed", this.signedBy(digest, abi.encodePacked(r, s, v), VM.addr(key)));
        yes("not by another", !this.signedBy(digest, abi.encodePacked(r, s, v), VM.addr(1 + key % 1000)));
        yes("not with a high s", !this.signedBy(digest, abi.encodePacked(r, ORDER - uint256(s), v ^ 7), VM.addr(key)));
        yes("not with more bytes", !this.signedBy(digest, abi.encodePacked(r, s, v, v), VM.addr(key)));
    }

    function testFuzz_signedBy_zeroSigner_never(bytes32 digest, bytes memory signature) public view {
        yes("nobody", !this.signedBy(digest, signature, address(0)));
        yes("nobody", !this.signedBy(digest, new bytes(65), address(0)));
    }
}
