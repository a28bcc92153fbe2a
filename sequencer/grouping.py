"""Who signs for several claims at once: then they are posted as a group, at a fraction of what each costs alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from rollup.claim import Address, PostedClaim
from rollup.client.answers import content
from rollup.documents.claims import MAX_GROUP, GroupRequest, SignedGroup
from rollup.documents.fields import read
from rollup.errors import BadAnswer, ClaimError, ClientError
from rollup.group import Group, runs
from rollup.http import Bounds, Request, ask, bearer
from rollup.l1.account.signing import group_digest, recover
from rollup.l1.client import L1Client
from rollup.service.logs import logger
from rollup.service.metrics import counter

GROUPS = counter("sequencer", "groups", "Groups that a prover was asked to sign", ["outcome"])

PAUSE_SECONDS = 60.0
"""For how long a claimant's claims are posted one by one after nobody signed for it."""

BATCH_SECONDS = 5.0
"""For how long signatures are asked for on the way to one transaction; what is left then is posted one by one."""

ANSWER_BYTES = 64 << 10

ROUTE = "/v1/groups"

_log = logger("touchstone.grouping")


class GroupSigner(Protocol):
    """Whoever holds a claimant's key."""

    def sign(self, claims: Sequence[PostedClaim]) -> bytes:
        """65 bytes over the digest of these claims' group; raises ClientError or ClaimError if it does not sign."""
        raise NotImplementedError


class ProverSigner:
    """The prover behind a URL. ``seconds``: how long it may take: nothing else is posted meanwhile."""

    def __init__(self, url: str, token: str | None, seconds: float = 5.0) -> None:
        self._url, self._headers = url.rstrip("/"), {"accept": "application/json", **bearer(token)}
        self._bounds = Bounds(ANSWER_BYTES, seconds)

    def sign(self, claims: Sequence[PostedClaim]) -> bytes:
        body = GroupRequest.of(claims).model_dump()
        answer = ask(Request("POST", f"{self._url}{ROUTE}", json=body, headers=self._headers), self._bounds)
        return read(SignedGroup, content(Request("POST", ROUTE), answer)).signature


class Grouping:
    """``signer`` None: only claims of the account that posts become groups, which need no signature."""

    def __init__(self, client: L1Client, signer: GroupSigner | None = None) -> None:
        self._client, self._signer = client, signer
        self._refused: dict[Address, float] = {}

    def joins(self, claimant: Address) -> bool:
        """Whether the claimant's claims are posted in groups now, as far as is known."""
        if claimant == self._client.account:
            return True
        return self._signer is not None and time.monotonic() >= self._refused.get(claimant, 0.0)

    def groups(self, claims: Sequence[PostedClaim]) -> list[Group]:
        """The claims as they are posted: in groups as far as somebody signs for them in time, the others alone."""
        found: list[Group] = []
        until = time.monotonic() + BATCH_SECONDS
        for run in runs(claims):
            claimant = run[0].claim.claimant
            if claimant == self._client.account:
                found.append(Group(run, b""))
                continue
            for start in range(0, len(run), MAX_GROUP):
                found += self._joined(run[start : start + MAX_GROUP], until)
        return found

    def _joined(self, run: tuple[PostedClaim, ...], until: float) -> list[Group]:
        claimant = run[0].claim.claimant
        if len(run) > 1 and self.joins(claimant):
            if time.monotonic() < until:
                return self._signed(run)
            self._pause(claimant)
        return [Group.alone(one) for one in run]

    def _pause(self, claimant: Address) -> None:
        self._refused = {one: until for one, until in self._refused.items() if until > time.monotonic()}
        self._refused[claimant] = time.monotonic() + PAUSE_SECONDS

    def _signed(self, run: tuple[PostedClaim, ...]) -> list[Group]:
        assert self._signer is not None
        claimant = run[0].claim.claimant
        try:
            signature = self._signer.sign(run)
            ids = [self._client.claim_id(one.claim) for one in run]
            if recover(group_digest(ids, self._client.domain), signature) != claimant:
                raise BadAnswer(f"it signed, but not with the key of {claimant}")
        except (ClientError, ClaimError) as error:
            GROUPS.labels("refused").inc()
            self._pause(claimant)
            _log.warning("claims are posted one by one", claimant=claimant, claims=len(run), error=str(error))
            return [Group.alone(one) for one in run]
        GROUPS.labels("signed").inc()
        return [Group(run, signature)]
