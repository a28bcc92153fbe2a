"""Who may do what: bearer tokens by role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from hmac import compare_digest

from rollup.errors import ServiceError

SHORTEST = 16
"""Fewest characters of a token. `openssl rand -hex 32` gives 64."""

FINGERPRINT = 8
"""Hex digits of a token's hash by which the audit log names it."""


class TokenError(ServiceError):
    """The admin API has no token, or one that can't be used."""


class Role(IntEnum):
    """What a token allows; each role may do all that those below it may."""

    READ = 1
    OPERATE = 2
    OWN = 3

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Role:
        """The role of that name; raises TokenError for any other."""
        try:
            return cls[word.upper()]
        except KeyError:
            known = ", ".join(role.word for role in cls)
            raise TokenError(f"{word!r} is no role of the admin API; the roles are {known}") from None


@dataclass(frozen=True)
class Actor:
    """Who acts, as the audit log names it: never the token."""

    role: Role
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.role.word}:{self.fingerprint}"


@dataclass(frozen=True, repr=False)
class RoleTokens:
    """The hashes of all tokens; the tokens themselves are not kept."""

    known: tuple[tuple[bytes, Role], ...]

    @classmethod
    def of(cls, secrets: Mapping[str, str | Iterable[str]]) -> RoleTokens:
        """``secrets``: one token, or several (while they are rotated), by role. A role without one can't be used.

        Raises TokenError if there is none at all, or one that is short, unprintable or given to two roles.
        """
        known: dict[bytes, Role] = {}
        for word, given in secrets.items():
            role = Role.of(word)
            for secret in [given] if isinstance(given, str) else given:
                digest = _digest(secret)
                if len(secret) < SHORTEST or not secret.isascii() or not secret.isprintable() or " " in secret:
                    raise TokenError(
                        f"a token of role {role.word} is not {SHORTEST} or more printable characters without spaces; "
                        "make one with `openssl rand -hex 32`"
                    )
                if known.get(digest, role) is not role:
                    raise TokenError(
                        f"one token is given to the roles {known[digest].word} and {role.word}; make one for each"
                    )
                known[digest] = role
        if not known:
            raise TokenError(
                "the admin API has no token, so nobody could use it; set TOUCHSTONE_ADMIN_OWN_TOKEN "
                "(and ..._OPERATE_TOKEN, ..._READ_TOKEN) to what `openssl rand -hex 32` prints"
            )
        return cls(tuple(known.items()))

    def __repr__(self) -> str:
        return f"Tokens({len(self.known)})"

    def actor(self, secret: str) -> Actor | None:
        """Whose token this is; None if it is nobody's. Takes the same time for every answer: every token is compared."""
        digest, found = _digest(secret), None
        for known, role in self.known:
            if compare_digest(known, digest):
                found = role
        return None if found is None else Actor(found, digest.hex()[:FINGERPRINT])


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
