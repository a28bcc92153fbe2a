"""The campaign: rounds of claims and requests while services die, until enough did; what L1 says then."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rollup.claim import Address, ClaimId
from rollup.l1.answers import ClaimStatus
from rollup.settings import Parameters
from rollup.types import Duration
from tests.anvil import Anvil
from tests.campaigns.crash.asking import Question, Requester
from tests.campaigns.crash.killer import Killer, Observer
from tests.campaigns.crash.outcome import verify
from tests.campaigns.crash.scenario import MODEL, Accepted, Programs, Scenario
from tests.campaigns.network import ProcessNetwork
from tests.e2e import long_reductions
from tests.e2e.toy_program import toy_program
from tests.world import ETHER

TERMS = Parameters(window=Duration(150), clock=Duration(150), withdrawal_delay=Duration(90), arity=5)
"""Long enough for a watcher that is killed again and again on a busy machine: one that never runs can't be timely."""

PATIENCE = 900
"""Seconds in which a round settles."""

OVER = (ClaimStatus.FINAL, ClaimStatus.INVALID)

Say = Callable[[str], None]


class Campaign:
    """Its rounds, one after the other. ``scenarios``: all of them, because their claimants free bonds until the end."""

    def __init__(self, net: ProcessNetwork, programs: Programs, killer: Killer) -> None:
        self.net, self.programs, self.killer = net, programs, killer
        self.accepted = Accepted()
        self.observer = Observer(net, killer)
        self.requester = Requester(net.node, net.paid_client("requester", 100 * ETHER), programs.toy, killer)
        self.scenarios: list[Scenario] = []

    def round(self) -> None:
        """Claim and ask, and wait until all of that has an end."""
        scenario = Scenario(self.net, self.programs, self.killer, len(self.scenarios), self.accepted)
        self.scenarios.append(scenario)
        scenario.begin(self.requester)
        self._until(lambda: [*map(bytes.hex, self._unsettled()), *(one.kind for one in self._unanswered())], "is open")
        scenario.end()

    def finish(self) -> None:
        """Every bond free, every fee paid or given back."""
        self._until(self._locked, "has bonds locked")
        self.requester.take_back()

    def _until(self, left: Callable[[], Sequence[object]], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while found := left():
            assert time.monotonic() < deadline, f"after {PATIENCE} s this {what}: {found[:5]}"
            self.requester.tend()
            for scenario in self.scenarios:
                scenario.play()
            time.sleep(0.3)

    def _unsettled(self) -> list[ClaimId]:
        """Accepted claims that are neither final nor invalid yet."""
        l1, reader, left = self.observer.l1, self.net.reader, []
        for claim_id in self.accepted.all:
            posted = l1.claims.get(claim_id)
            if posted is None or reader.status(posted.claim, l1.inclusion(claim_id)) not in OVER:
                left.append(claim_id)
        return left

    def _unanswered(self) -> list[Question]:
        claimed = {posted.claim.request_id for posted in list(self.observer.l1.claims.values())}
        return self.requester.unsettled(claimed)

    def _locked(self) -> list[Address]:
        claimants = {posted.claim.claimant for posted in list(self.observer.l1.claims.values())}
        players = {self.net.node.signer(name).address for name in ("watcher-1", "watcher-2")}
        return [account for account in claimants | players if self.net.reader.locked(account)]


@contextmanager
def kept_if_it_fails() -> Iterator[Path]:
    """A folder whose logs are needed if a promise was broken, and else not."""
    folder = Path(tempfile.mkdtemp(prefix="touchstone-crash-"))
    try:
        yield folder
    except BaseException as error:
        error.add_note(f"the services' logs are in {folder}")
        raise
    shutil.rmtree(folder, ignore_errors=True)


def run(kills: int, seed: int, say: Say = print, terms: Parameters = TERMS) -> dict[str, object]:
    """Rounds until ``kills`` were made; what was found. Raises AssertionError for a broken promise."""
    with ExitStack() as stack:
        folder = stack.enter_context(kept_if_it_fails())
        node = stack.enter_context(Anvil(interval=1))
        net = stack.enter_context(ProcessNetwork(node, folder, terms))
        programs = Programs(toy_program(), long_reductions.program())
        net.answering_sequencer().start().wait_ready()
        net.add_model(programs.toy, MODEL)
        net.add_model(programs.long, "long")
        for service in (net.prover(), net.watcher("watcher-1"), net.watcher("watcher-2", "defend")):
            service.start()
        for service in net.services.values():
            service.wait_ready()
        say("all services are ready")
        killer = Killer(net, random.Random(seed), kills)
        campaign = Campaign(net, programs, killer)
        campaign.observer.start()
        stack.callback(campaign.observer.over.set)
        begun = time.monotonic()
        while killer.total < kills:
            campaign.round()
            number, seconds = len(campaign.scenarios), time.monotonic() - begun
            say(f"round {number}: {killer.total} kills, {len(campaign.accepted.all)} claims settled, {seconds:.0f} s")
        campaign.finish()
        campaign.observer.over.set()
        killer.settle()
        found = verify(net, campaign.accepted, campaign.requester.asked)
        killed = {"kills": killer.total, "reorganisations": killer.reorganisations}
        return found | killed | {"rounds": len(campaign.scenarios), "by": dict(sorted(killer.kills.items()))}
