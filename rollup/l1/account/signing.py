"""Keys, EIP-712 digests and signatures; the twin of Claims.sol. A key is never shown, logged or compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from rollup.claim import Address, Claim, ClaimId
from rollup.errors import ClaimError
from rollup.game.question import Question
from rollup.types import Gindex, Root

DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
CLAIM_TYPE = (
    b"Claim(bytes32 modelId,address claimant,uint256 nonce,uint64 validUntil,bytes32 requestId,"
    b"bytes32 inputRoot,bytes32 outputRoot,bytes32 traceRoot)"
)
GROUP_TYPE = b"Group(bytes32[] claims)"
TRACE_ROOT_TYPE = b"TraceRoot(bytes32 claimId,bytes32 traceRoot)"
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def checksummed(account: str) -> Address:
    """The account's one spelling (EIP-55); ``account``: 0x and 40 hex digits in any case."""
    return Address(to_checksum_address(account))


@dataclass(frozen=True)
class Domain:
    """Where a signature counts: one RollupChain on one chain."""

    chain_id: int
    contract: Address

    @property
    def separator(self) -> bytes:
        types = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
        fields = [keccak(DOMAIN_TYPE), keccak(b"Touchstone"), keccak(b"1"), self.chain_id, self.contract]
        return keccak(encode(types, fields))


def typed_digest(domain: Domain, content: bytes) -> bytes:
    """The EIP-712 digest of a struct: of its type's hash and its fields, encoded."""
    return keccak(b"\x19\x01" + domain.separator + keccak(content))


def claim_id(claim: Claim, domain: Domain) -> ClaimId:
    """The claim's EIP-712 digest, which is its id and what the claimant signs."""
    types = ["bytes32", "bytes32", "address", "uint256", "uint64", "bytes32", "bytes32", "bytes32", "bytes32"]
    fields = [
        keccak(CLAIM_TYPE),
        claim.model_id,
        claim.claimant,
        claim.nonce,
        claim.valid_until,
        claim.request_id,
        claim.input_root,
        claim.output_root,
        claim.trace_root,
    ]
    return ClaimId(typed_digest(domain, encode(types, fields)))


def group_digest(claims: Sequence[ClaimId], domain: Domain) -> bytes:
    """What a claimant signs to have several of its claims posted together."""
    return typed_digest(domain, encode(["bytes32"] * 2, [keccak(GROUP_TYPE), keccak(b"".join(claims))]))


def trace_root_digest(claim: ClaimId, trace_root: Root, domain: Domain) -> bytes:
    """What a claimant signs so that somebody else may set the trace root of its claim."""
    return typed_digest(domain, encode(["bytes32"] * 3, [keccak(TRACE_ROOT_TYPE), claim, trace_root]))


def game_id(claim: ClaimId, trace_root: Root, challenger: Address, counter: int) -> bytes:
    """Id of the claim's game number ``counter`` (from 0), if this challenger opened it.

    ``trace_root``: what came with the claim; zero if it was posted without one, also after it is set.
    """
    return keccak(encode(["bytes32", "bytes32", "address", "uint256"], [claim, trace_root, challenger, counter]))


def commitment(
    domain: Domain, game: Address, claim: ClaimId, trace_root: Root, challenger: Address, place: Gindex, salt: bytes
) -> bytes:
    """What a challenger commits to before it proves. ``game``: the DisputeGame's address; ``salt``: 32 bytes."""
    types = ["uint256", "address", "bytes32", "bytes32", "address", "uint128", "bytes32"]
    return keccak(encode(types, [domain.chain_id, game, claim, trace_root, challenger, place, salt]))


def question_fields(question: Question) -> tuple[int, ...]:
    """A question in the ABI's order."""
    return (
        question.place,
        question.element,
        int(question.monoid),
        question.parts,
        question.level,
        question.index,
        question.value,
        question.position,
    )


def question_node(claim: ClaimId, trace_root: Root, question: Question) -> bytes:
    """The node on which a game stands while this question of the claim's trace is in dispute."""
    types = ["bytes32", "bytes32", "uint128", "uint32", "uint8", "uint32", "uint8", "uint32", "int64", "uint64"]
    return keccak(encode(types, [claim, trace_root, *question_fields(question)]))


def recover(digest: bytes, signature: bytes) -> Address:
    """Who signed; raises ClaimError for a signature that L1 would not take either (65 bytes, r, s, v; low s; v 27 or
    28).
    """
    if len(signature) != 65:
        raise ClaimError(f"a signature has 65 bytes (r, s, v), this one has {len(signature)}; sign the claim again")
    if int.from_bytes(signature[32:64], "big") > HALF_ORDER or signature[64] not in (27, 28):
        raise ClaimError(
            "the signature has a high s, or a v other than 27 and 28; sign with a library that follows EIP-2"
        )
    try:
        signed = Signature(signature[:64] + bytes([signature[64] - 27]))
        return Address(signed.recover_public_key_from_msg_hash(digest).to_checksum_address())
    except (BadSignature, ValidationError):
        raise ClaimError("the signature fits no key; sign the claim again") from None


@dataclass(frozen=True, eq=False)
class Signer:
    """An account whose key the caller holds."""

    _account: LocalAccount = field(repr=False)

    @classmethod
    def from_key(cls, key: bytes) -> Signer:
        """``key``: 32 bytes. Raises ClaimError, without showing it, if it is no private key."""
        try:
            return cls(Account.from_key(key))
        except Exception:
            # The library's message may quote what it was given.
            raise ClaimError("that is no private key; give 32 bytes below the curve's order") from None

    @property
    def address(self) -> Address:
        return Address(self._account.address)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def sign(self, digest: bytes) -> bytes:
        """65 bytes: r, s, v."""
        signed = PrivateKey(bytes(self._account.key)).sign_msg_hash(digest).to_bytes()
        return signed[:64] + bytes([signed[64] + 27])

    def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        """The raw signed transaction."""
        return bytes(self._account.sign_transaction(dict(transaction)).raw_transaction)

    def derive(self, purpose: bytes) -> bytes:
        """32 secret bytes for one purpose, the same at every call: what a restarted player needs to go on."""
        return keccak(b"touchstone:" + keccak(bytes(self._account.key)) + purpose)
