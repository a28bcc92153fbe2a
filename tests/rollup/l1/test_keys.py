"""An account's key from a variable or a keystore, and never in an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from rollup.errors import ClaimError
from rollup.l1.account.keys import load_signer, random_nonce
from rollup.l1.account.signing import Signer

KEY = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
PASSWORD = "correct horse"
SIGNER = Signer.from_key(bytes.fromhex(KEY))


@pytest.fixture(scope="module")
def keystore() -> dict[str, Any]:
    stored: dict[str, Any] = Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=1000)
    return stored


def test_a_key_is_read_with_and_without_its_prefix() -> None:
    for text in (KEY, "0x" + KEY, f" 0x{KEY}\n"):
        assert load_signer(text).address == SIGNER.address


@pytest.mark.parametrize("kdf", [{"kdf": "pbkdf2", "iterations": 1000}, {"kdf": "scrypt", "iterations": 1024}])
def test_a_keystore_opens_with_its_password_or_the_file_that_holds_it(tmp_path: Path, kdf: dict[str, Any]) -> None:
    path, password = tmp_path / "keystore.json", tmp_path / "password"
    path.write_text(json.dumps(Account.encrypt(KEY, PASSWORD, **kdf)))
    password.write_text(PASSWORD + "\n")
    assert load_signer(keystore=path, password=PASSWORD).address == SIGNER.address
    assert load_signer(keystore=path, password=password).address == SIGNER.address


@pytest.mark.parametrize("bad", [KEY[:-2], KEY + "00", KEY[:-1] + "x", "f" * 64, "", "0" * 64])
def test_a_bad_key_is_refused_without_being_shown(bad: str) -> None:
    with pytest.raises(ClaimError, match="give 32 bytes") as refused:
        load_signer(bad)
    assert not bad or bad not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_exactly_one_of_key_and_keystore_is_asked_for(tmp_path: Path) -> None:
    for both in ({}, {"key": KEY, "keystore": tmp_path}):
        with pytest.raises(ClaimError, match="give exactly one of them") as refused:
            load_signer(**both)  # type: ignore[arg-type]
        assert KEY not in str(refused.value)


def test_a_keystore_that_does_not_open_says_what_to_check(tmp_path: Path, keystore: dict[str, Any]) -> None:
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(keystore))
    with pytest.raises(ClaimError, match="check its password") as refused:
        load_signer(keystore=path, password="wrong secret")
    assert "wrong secret" not in str(refused.value)
    with pytest.raises(ClaimError, match="needs its password"):
        load_signer(keystore=path)
    with pytest.raises(ClaimError, match=r"the password .* cannot be read"):
        load_signer(keystore=path, password=tmp_path / "none")
    with pytest.raises(ClaimError, match=r"the keystore .* cannot be read"):
        load_signer(keystore=tmp_path / "none", password=PASSWORD)


def test_a_keystore_that_would_take_forever_to_open_is_refused(tmp_path: Path, keystore: dict[str, Any]) -> None:
    path = tmp_path / "keystore.json"
    crypto = keystore["crypto"]
    slow = [
        crypto | {"kdfparams": crypto["kdfparams"] | {"c": 1 << 40}},
        crypto | {"kdf": "scrypt", "kdfparams": {"n": 1 << 40, "r": 8, "p": 1, "dklen": 32, "salt": "00"}},
        crypto | {"kdf": "scrypt", "kdfparams": {"n": 1 << 18, "r": 8, "p": 1 << 20, "dklen": 32, "salt": "00"}},
        crypto | {"kdf": "scrypt", "kdfparams": {"n": "many"}},
        {},
        [],
    ]
    for changed in slow:
        path.write_text(json.dumps(keystore | {"crypto": changed}))
        with pytest.raises(ClaimError, match="in reasonable time"):
            load_signer(keystore=path, password=PASSWORD)
    for content in (b"{", b"", b"[" * 50_000, b"\xff\xfe", b" " * 100_000):
        path.write_bytes(content)
        with pytest.raises(ClaimError, match="name"):
            load_signer(keystore=path, password=PASSWORD)


def test_nonces_are_drawn_from_all_that_the_contract_takes() -> None:
    assert random_nonce(lambda size: b"\xff" * size) == (1 << 256) - 1
    assert random_nonce() != random_nonce()
