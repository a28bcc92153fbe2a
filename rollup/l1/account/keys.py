"""An account's key from where it is kept: hex in a variable, or an encrypted keystore. No error shows any of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_account import Account

from rollup.errors import ClaimError
from rollup.form.program import parse_json
from rollup.l1.account.signing import Signer

MOST_BYTES = 1 << 16
MOST_MEMORY = 1 << 29
"""Bytes that decrypting may take; the usual keystore asks for 256 MiB."""

MOST_ROUNDS = 10_000_000


def load_signer(
    key: str | None = None, keystore: Path | str | None = None, password: str | Path | None = None
) -> Signer:
    """The account of ``key`` (32 bytes in hex, with or without 0x), or of an encrypted ``keystore`` (Web3 Secret Storage,
    version 3). ``password``: the keystore's, or as a Path the file whose first line it is.

    Raises ClaimError, without a secret in it.
    """
    if (key is None) == (keystore is None):
        raise ClaimError("an account is one of two things, a private key or a keystore; give exactly one of them")
    if keystore is not None:
        return _from_keystore(Path(keystore), password)
    assert key is not None
    try:
        raw = bytes.fromhex(key.strip().removeprefix("0x"))
    except ValueError:
        raise ClaimError("the private key is not hexadecimal; give 32 bytes in hex") from None
    if len(raw) != 32:
        raise ClaimError(f"the private key has {len(raw)} bytes; give 32 bytes in hex")
    return Signer.from_key(raw)


def random_nonce(randomness: Callable[[int], bytes] = secrets.token_bytes) -> int:
    """A claim's nonce: they are unordered on L1, so one that was drawn meets no other, and no state needs to be kept."""
    return int.from_bytes(randomness(32), "big")


def _from_keystore(path: Path, password: str | Path | None) -> Signer:
    if password is None:
        raise ClaimError(f"the keystore {path} needs its password; give it, or the file that holds it")
    content = _read(path, "keystore")
    secret = password if isinstance(password, str) else _first_line(password)
    try:
        stored = parse_json(content)
    except ValueError:
        raise ClaimError(f"the keystore {path} is no JSON; name a version 3 keystore") from None
    if not _is_affordable(stored):
        raise ClaimError(
            f"the keystore {path} is none of version 3 that can be opened in reasonable time; write it anew"
        )
    try:
        return Signer.from_key(bytes(Account.decrypt(stored, secret)))
    except ClaimError:
        raise
    except Exception:
        # The library's messages may quote what it was given.
        raise ClaimError(f"the keystore {path} does not open; check its password, and that it is whole") from None


def _is_affordable(stored: Any) -> bool:
    """Whether deriving the keystore's key takes bounded time and memory."""
    crypto = stored.get("crypto", stored.get("Crypto")) if isinstance(stored, dict) else None
    parameters = crypto.get("kdfparams") if isinstance(crypto, dict) else None
    if not isinstance(crypto, dict) or not isinstance(parameters, dict):
        return False
    if crypto.get("kdf") == "pbkdf2":
        return _within(parameters.get("c"), MOST_ROUNDS)
    n, r, p = (parameters.get(name) for name in ("n", "r", "p"))
    if not all(_within(one, MOST_MEMORY) for one in (n, r, p)):
        return False
    return 128 * int(n) * int(r) <= MOST_MEMORY and int(p) <= 16  # type: ignore[arg-type]


def _within(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _first_line(path: Path) -> str:
    return _read(path, "password").split("\n", 1)[0].rstrip("\r")


def _read(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ClaimError(
            f"the {what} {path} cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > MOST_BYTES:
        raise ClaimError(f"the {what} {path} is empty, too large or no text; name the right file")
    return text
