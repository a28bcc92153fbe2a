"""Digests and signatures, against the contracts and against the library's own EIP-712."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from rollup.claim import Address, Claim
from rollup.errors import ClaimError
from rollup.l1.account.signing import Domain, Signer, claim_id, commitment, game_id, recover, trace_root_digest
from rollup.l1.client import L1Client, claim_fields
from rollup.types import Gindex, Root

SIGNER = Signer.from_key(b"\x01" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CLAIM = Claim(
    Root(b"m" * 32),
    SIGNER.address,
    7,
    1 << 40,
    bytes(32),
    Root(b"i" * 32),
    Root(b"o" * 32),
    Root(b"t" * 32),
)


def test_the_claim_id_is_what_the_contract_computes(client: L1Client) -> None:
    for claim in (CLAIM, replace(CLAIM, nonce=(1 << 256) - 1, valid_until=0)):
        assert client._rollup("claimIdOf", claim_fields(claim)) == claim_id(claim, client.domain)
    assert client._rollup("domainSeparator") == client.domain.separator


def test_the_claim_id_is_the_librarys_typed_data_hash() -> None:
    domain = Domain(31337, Address("0x" + "11" * 20))
    names = [
        ("modelId", "bytes32"),
        ("claimant", "address"),
        ("nonce", "uint256"),
        ("validUntil", "uint64"),
        ("requestId", "bytes32"),
        ("inputRoot", "bytes32"),
        ("outputRoot", "bytes32"),
        ("traceRoot", "bytes32"),
    ]
    typed = encode_typed_data(
        {"name": "Touchstone", "version": "1", "chainId": 31337, "verifyingContract": domain.contract},
        {"Claim": [{"name": name, "type": kind} for name, kind in names]},
        {name: value for (name, _), value in zip(names, claim_fields(CLAIM), strict=True)},
    )
    signed = Account.sign_message(typed, b"\x01" * 32)
    assert signed.message_hash == claim_id(CLAIM, domain)
    assert signed.signature == SIGNER.sign(claim_id(CLAIM, domain))


def test_ids_and_commitments_are_what_the_contract_computes(client: L1Client) -> None:
    claim = claim_id(CLAIM, client.domain)
    named = claim, CLAIM.trace_root, SIGNER.address, 3
    assert client._game("gameIdOf", *named) == game_id(*named)
    salt, place = b"s" * 32, Gindex(12345)
    ours = commitment(client.domain, client.game_address, claim, CLAIM.trace_root, SIGNER.address, place, salt)
    assert client._game("commitmentOf", claim, CLAIM.trace_root, SIGNER.address, place, salt) == ours


def test_the_signer_is_recovered_and_nobody_else() -> None:
    digest = claim_id(CLAIM, Domain(1, Address("0x" + "11" * 20)))
    assert recover(digest, SIGNER.sign(digest)) == SIGNER.address
    assert recover(b"x" * 32, SIGNER.sign(digest)) != SIGNER.address
    other = trace_root_digest(claim_id(CLAIM, Domain(1, CLAIM.claimant)), CLAIM.trace_root, Domain(1, CLAIM.claimant))
    assert recover(other, SIGNER.sign(digest)) != SIGNER.address


def test_a_malleable_or_malformed_signature_is_refused() -> None:
    digest = b"d" * 32
    good = SIGNER.sign(digest)
    twin = good[:32] + (ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big") + bytes([55 - good[64]])
    for bad, sentence in ((twin, "high s"), (good[:64], "has 64"), (good[:64] + b"\x00", "27 and 28")):
        with pytest.raises(ClaimError, match=sentence):
            recover(digest, bad)
    with pytest.raises(ClaimError, match="sign the claim again"):
        recover(digest, bytes(64) + b"\x1b")


def test_a_key_is_never_shown() -> None:
    assert repr(SIGNER) == f"Signer({SIGNER.address})"
    secret = b"not a key, but secret"
    with pytest.raises(ClaimError) as refused:
        Signer.from_key(secret)
    assert secret.decode() not in str(refused.value)
    assert refused.value.__suppress_context__
    assert SIGNER.derive(b"a") != SIGNER.derive(b"b")
    assert SIGNER.derive(b"a") == Signer.from_key(b"\x01" * 32).derive(b"a")
