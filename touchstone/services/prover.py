"""``touchstone prover``: runs models, signs, publishes traces, upholds every claim of its account that L1 knows, answers for quorums."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

from challenger.defender import Upholder
from challenger.watch.guard import LagGuard
from prover.openai.endpoint import EndpointOptions, OpenAiEndpoint
from prover.openai.promises import PromiseTerms
from prover.openai.store import require_place
from prover.service.app import prover_app
from prover.service.archive import Archive, TraceSource
from prover.service.clock import ChainClock
from prover.service.quorum import Answerer, QuorumPlayer, QuorumPolicy
from prover.service.shelf import Shelf
from prover.service.treasury import Treasury
from prover.service.worker import InferenceWorker
from prover.start import Starts
from rollup.claim import ClaimId
from rollup.errors import ClaimError, SettingsError
from rollup.files import made
from rollup.l1.account.signing import Signer
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.service import logs
from rollup.service.fetch import FetchLimits
from rollup.service.health import Health
from rollup.service.loop import Loop
from rollup.service.metrics import counter, gauge
from rollup.service.web import WebLimits, serve
from rollup.types import Duration, ModelId, Root
from touchstone.services.l1 import client_of, log_as, signer_of, web_limits
from touchstone.services.starts import starts_of
from touchstone.settings.settings import ProverSettings

CLAIMS = gauge("prover", "claims", "Claims of this account on L1, as far as they are remembered", ["state"])
MOVES = counter("prover", "moves", "Transactions sent for claims", ["call"])
GAS = counter("prover", "gas", "Gas of those transactions", ["call"])

SHELF_SECONDS = 2.0
REMEMBER = Duration(3600)
"""Seconds for which a claim that is final or invalid is remembered, and its trace published."""

STATES = ("posted", "challenged", "convicted", "released")

_log = logs.logger("touchstone.prover")


@dataclass(frozen=True)
class ProverOptions:
    """What a prover does, besides the chain that it is on. ``folders``: of local programs; ``programs``: where fetched
    ones are kept; ``deposit``: wei of free balance to keep; ``max_lag``: seconds that the newest block may be old; ``quorum``: which
    quorums it answers for, None: for none; ``starts``: what earlier starts found out; ``openai``: which language models are served.
    """

    token: str | None = None
    folders: Sequence[Path] = ()
    models_from: str | None = None
    programs: Path | None = None
    deposit: int = 0
    trace_bytes: int = 256 << 20
    valid_for: int = 3600
    poll: float = 1.0
    max_lag: float = 120.0
    quorum: QuorumPolicy | None = None
    limits: WebLimits = field(default_factory=WebLimits)
    fetching: FetchLimits = field(default_factory=FetchLimits)
    starts: Starts = field(default_factory=Starts)
    openai: EndpointOptions | None = None


class ProverService:
    """All parts of one prover, and the loops that move them. ``app`` is its HTTP."""

    def __init__(
        self, client: L1Client, signer: Signer, options: ProverOptions, wall: Callable[[], float] = time.time
    ) -> None:
        if not options.folders and options.models_from is None:
            raise SettingsError(
                "the prover has no models; name folders with --models, or a sequencer with --models-from"
            )
        if options.quorum is not None and client.asking is None:
            raise SettingsError(
                "nobody can ask for a quorum here: the deployment's file names no Requests contract; leave --quorum-spend out"
            )
        self._client, self._options, self._wall = client, options, wall
        self._scratch = None if options.programs else Path(tempfile.mkdtemp(prefix="touchstone-programs-"))
        self.clock = ChainClock(client.chain.now)
        self.worker = InferenceWorker(signer, client.domain, self.clock.now, options.valid_for, starts=options.starts)
        self.archive = Archive(self.worker.trace, self._find, options.trace_bytes)
        self.upholder = Upholder(
            client,
            lambda model_id: None if (model := self.worker.model(model_id)) is None else model.program,
            lambda program, inputs: self.archive.of(program.id, inputs).tree,
            client.first,
            remember=REMEMBER,
            guard=LagGuard(options.max_lag, wall),
        )
        self.treasury = Treasury(client, options.deposit)
        folder = options.programs or self._scratch
        assert folder is not None
        self.shelf = Shelf(
            self.worker, folder, options.models_from, self._needed, options.fetching, starts=options.starts
        )
        self.uphold = Loop("uphold", self.round, options.poll)
        self.programs = Loop("programs", self.shelf.step, SHELF_SECONDS)
        self.batches = Loop("batches", self.worker.prepare_batches, SHELF_SECONDS)
        self.player = QuorumPlayer(
            client,
            Answerer.of(self.worker, self.upholder.l1.uploaded_inputs, options.valid_for),
            options.quorum or QuorumPolicy(spend_wei=0),
        )
        self.quorums = Loop("quorums", self.quorum_round, options.poll)
        self.health = Health()
        self.health.add("models", self._no_models)
        self.health.add("chain", lambda: self._lags() or self.uphold.stale(max(30.0, 10 * options.poll)))
        self.health.add("programs", self._undefended)
        self.health.add("bonds", lambda: self.treasury.problem)
        if options.quorum is not None:
            self.health.add("quorums", lambda: self.player.trouble)
        self.block = client.first
        """L1's newest block, as of the last round."""
        self.openai: OpenAiEndpoint | None = None
        if options.openai is not None:
            self.openai = OpenAiEndpoint(
                self.worker,
                signer,
                client.domain,
                options.openai,
                self.clock.now,
                lambda: self.block,
                self.archive.keep,
            )
        self._told: set[tuple[str, ClaimId]] = set()

    @property
    def app(self) -> FastAPI:
        app = prover_app(self.worker, self.archive, self.health, self._options.token, self._options.limits)
        if self.openai is not None:
            self.openai.attach(app, self.health)
        return app

    def start(self) -> None:
        """Hold the local programs (each is tested on this machine), then begin to uphold and to look for others."""
        for folder in self._options.folders:
            self.shelf.load(folder)
        if self.openai is not None:
            self.openai.load()
            self.openai.start()
        self.uphold.start()
        self.batches.start()
        if self._options.models_from is not None:
            self.programs.start()
        if self._options.quorum is not None:
            self.quorums.start()

    def stop(self) -> None:
        if self.openai is not None:
            self.openai.stop()
        self.quorums.stop()
        self.worker.closing = True
        self.batches.stop()
        self.programs.stop()
        self.uphold.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def round(self) -> list[Receipt]:
        """Answer the games about one's claims, free bonds, keep the balance up; returns what was sent. Nothing is while the
        node lags.
        """
        self.clock.refresh()
        self.block = self._client.chain.height()
        sent = self.upholder.poll()
        for receipt in sent:
            _log.info("sent", call=receipt.call, gas=receipt.gas, transaction=f"0x{receipt.transaction.hex()}")
        self._report()
        deposit = self.treasury.step() if self.upholder.lag is None else None
        sent += [deposit] if deposit is not None else []
        if sent:
            self.uphold.wake()
        _count(sent)
        return sent

    def quorum_round(self) -> list[Receipt]:
        """Make the moves that are due in quorums; returns what was sent. Nothing is while the node lags."""
        if self._lags() is not None:
            return []
        sent = self.player.step()
        if sent:
            self.quorums.wake()
        _count(sent)
        return sent

    def _report(self) -> None:
        """Count the claims, and say what happens to one for the first time."""
        l1, mine = self.upholder.l1, set(self.upholder.mine())
        found = {
            "posted": mine,
            "challenged": {claim for claim in mine if l1.games_of(claim)},
            "convicted": mine & l1.convicted.keys(),
            "released": mine & l1.released,
        }
        for state in STATES:
            CLAIMS.labels(state).set(len(found[state]))
        self._told &= {(state, claim) for state in STATES for claim in mine}
        for claim in found["challenged"] - found["convicted"]:
            self._tell("challenged", claim, "a claim of this account was challenged")
        for claim in found["convicted"]:
            self._tell("convicted", claim, "a claim of this account is invalid: its bond is lost")
        for claim, trouble in self.upholder.troubles.items():
            _log.warning("a claim can't be upheld just now", claim_id=f"0x{claim.hex()}", error=str(trouble))

    def _tell(self, state: str, claim: ClaimId, sentence: str) -> None:
        if (state, claim) not in self._told:
            self._told.add((state, claim))
            (_log.error if state == "convicted" else _log.warning)(sentence, claim_id=f"0x{claim.hex()}")

    def _needed(self) -> set[ModelId]:
        """Models of this account's claims whose bonds are not settled."""
        l1 = self.upholder.l1
        return {
            posted.claim.model_id
            for claim, posted in list(l1.claims.items())
            if posted.claim.claimant == self._client.account and claim not in l1.convicted and claim not in l1.released
        }

    def _find(self, root: Root) -> list[TraceSource]:
        """This account's claims on L1 that commit to a trace root."""
        l1, account = self.upholder.l1, self._client.account
        found = []
        for claim_id, known in list(l1.board.roots.items()):
            posted = l1.claims.get(claim_id)
            if known == root and posted is not None and posted.claim.claimant == account:
                try:
                    found.append(TraceSource(claim_id, posted.claim.model_id, l1.data_of(claim_id)[0]))
                except (ClaimError, KeyError):
                    # The loop may just have forgotten it; and nobody can derive a trace without its input.
                    continue
        return found

    def _no_models(self) -> str | None:
        if self.worker.models:
            return None
        trouble = self.programs.trouble or "; ".join(why for why, _ in list(self.shelf.refused.values())[:3])
        return f"no model is held yet{f' ({trouble})' if trouble else ''}; check --models-from"

    def _undefended(self) -> str | None:
        missing = sorted(model_id.hex() for model_id in self._needed() if model_id not in self.worker)
        if not missing:
            return None
        return (
            f"claims about model 0x{missing[0]} can't be defended, because its program is not held; "
            "name its folder with --models, or a sequencer that has it with --models-from"
        )

    def _lags(self) -> str | None:
        behind = self._wall() - self.clock.now()
        if behind > self._options.max_lag:
            return f"the node's newest block is {behind:.0f} s old; the node lags, or the chain stands still"
        return self.upholder.lag


def _count(sent: Sequence[Receipt]) -> None:
    for receipt in sent:
        MOVES.labels(receipt.call).inc()
        GAS.labels(receipt.call).inc(receipt.gas)


def endpoint_of(settings: ProverSettings) -> EndpointOptions | None:
    """Which language models are served; None if none is. Raises SettingsError if claims could not be handed to anybody, FileError if
    nothing could be remembered.
    """
    given = settings.openai
    if not given.models:
        return None
    sequencer = given.sequencer or settings.models_from
    if sequencer is None:
        raise SettingsError(
            "--openai-models needs --openai-sequencer (or --models-from): receipts promise claims, and they are handed to a sequencer"
        )
    require_place(given.store)
    return EndpointOptions(
        models=given.models,
        sequencer=sequencer,
        store=given.store,
        admin_token=None if given.admin_token is None else given.admin_token.get_secret_value(),
        open_to_all=given.open,
        most=given.at_once,
        waiting=given.waiting,
        terms=PromiseTerms(int(given.posted_within), int(given.keep)),
    )


def run(settings: ProverSettings) -> None:
    """Serve until SIGTERM or SIGINT; raises a TouchstoneError if the prover can't start."""
    log_as(settings.log)
    if settings.cache is not None:
        made(settings.cache)
    endpoint = endpoint_of(settings)
    starts = starts_of(settings.start_cache, settings.cache)
    signer = signer_of(settings.chain)
    starts.compile_into()
    prover = ProverService(
        client_of(settings.chain, signer),
        signer,
        ProverOptions(
            token=settings.token.get_secret_value() if settings.token is not None else None,
            folders=settings.models,
            models_from=settings.models_from,
            programs=settings.cache,
            deposit=settings.deposit,
            trace_bytes=settings.cache_bytes,
            valid_for=int(settings.valid_for),
            poll=settings.poll,
            max_lag=settings.chain.max_lag,
            quorum=QuorumPolicy(settings.quorum_percent, settings.quorum_spend) if settings.quorum_spend else None,
            limits=web_limits(settings),
            starts=starts,
            openai=endpoint,
        ),
    )
    server = serve(prover.app, settings.host, settings.port)
    try:
        prover.start()
        server.run()
    finally:
        prover.stop()
