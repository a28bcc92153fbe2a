"""Tokens and roles."""

from __future__ import annotations

from hashlib import sha256

import pytest

from sequencer.admin.tokens import Role, RoleTokens, TokenError

READ, OPERATE, OWN = ("read " * 8).replace(" ", "-"), "operate-" * 4, "own-" * 8


def test_a_token_is_its_role_and_the_first_digits_of_its_hash() -> None:
    tokens = RoleTokens.of({"read": READ, "operate": OPERATE, "own": [OWN, OWN + "2"]})
    for secret, role in ((READ, Role.READ), (OPERATE, Role.OPERATE), (OWN, Role.OWN), (OWN + "2", Role.OWN)):
        actor = tokens.actor(secret)
        assert actor is not None and actor.role is role
        assert str(actor) == f"{role.word}:{sha256(secret.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize("secret", ["", READ[:-1], READ + " ", READ.upper(), "\udcff" * 20, "é" * 20])
def test_any_other_token_is_nobodys(secret: str) -> None:
    assert RoleTokens.of({"read": READ}).actor(secret) is None


def test_every_token_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing tells neither whether nor which token fits."""
    compared: list[bytes] = []

    def counting(known: bytes, given: bytes) -> bool:
        compared.append(known)
        return known == given

    monkeypatch.setattr("sequencer.admin.tokens.compare_digest", counting)
    tokens = RoleTokens.of({"read": READ, "operate": OPERATE, "own": OWN})
    for secret in (READ, OWN, "nobody's"):
        compared.clear()
        tokens.actor(secret)
        assert len(compared) == 3


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({}, "has no token"),
        ({"own": []}, "has no token"),
        ({"own": "short"}, "16 or more"),
        ({"own": "with a space in it, long"}, "without spaces"),
        ({"own": "ünprintable-and-long"}, "printable"),
        ({"root": OWN}, "no role"),
        ({"own": OWN, "read": OWN}, "roles own and read"),
    ],
)
def test_tokens_that_cannot_be_used_are_refused_without_being_shown(secrets: dict[str, str], words: str) -> None:
    with pytest.raises(TokenError, match=words) as raised:
        RoleTokens.of(secrets)
    for secret in secrets.values():
        assert not secret or secret not in str(raised.value)


def test_tokens_show_nothing() -> None:
    tokens = RoleTokens.of({"own": OWN})
    assert OWN not in repr(tokens) and sha256(OWN.encode()).hexdigest() not in repr(tokens)
