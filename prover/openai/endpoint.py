"""The endpoint, put together beside a prover: which models it serves, its store, and the loop that keeps its promises."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from prover.claims import MadeClaim
from prover.language.generation import OUTPUTS
from prover.language.language import EMBEDDING_OUTPUTS, LanguageModel, load_gguf
from prover.model import Model
from prover.openai.admin import key_routes
from prover.openai.errors import OpenAiErrors
from prover.openai.keys import ApiKeys
from prover.openai.promises import PromiseKeeper, PromiseTerms, ReceiptSigner
from prover.openai.routes import EndpointParts, openai_routes, receipt_routes
from prover.openai.serving import Serving
from prover.openai.speakers import Embeds, ProgramSpeaking, Seats, ServedLanguage
from prover.openai.store import MEMORY, EndpointStore
from prover.openai.texts import Texts
from prover.service.worker import InferenceWorker
from rollup.claim import ClaimId
from rollup.client import Client
from rollup.errors import ClientError, SettingsError
from rollup.http import Bounds
from rollup.l1.account.signing import Domain, Signer
from rollup.service.health import Health
from rollup.service.loop import Loop
from rollup.types import Timestamp

STANDING = Bounds(seconds=5.0, attempts=1, busy_attempts=1)
"""Of asking the sequencer how far a claim is."""

ROUND_SECONDS = 0.5


@dataclass(frozen=True)
class EndpointOptions:
    """``models``: GGUF files of language models whose programs the prover holds; ``store``: the file with keys and receipts;
    ``sequencer``: URL that claims are handed to; ``admin_token``: of whoever makes keys; ``open_to_all``: no key is needed; ``most``,
    ``waiting``: answers that are generated at once, and that wait for that.
    """

    models: Sequence[Path]
    sequencer: str
    store: str | Path = MEMORY
    admin_token: str | None = None
    open_to_all: bool = False
    most: int = 8
    waiting: int = 24
    terms: PromiseTerms = field(default_factory=PromiseTerms)


class OpenAiEndpoint:
    """Serves language models whose programs ``worker`` holds. ``now``, ``block``: L1's time and newest block, as far as they are known;
    ``made``: what is told of each claim that was made.
    """

    def __init__(
        self,
        worker: InferenceWorker,
        signer: Signer,
        domain: Domain,
        options: EndpointOptions,
        now: Callable[[], Timestamp],
        block: Callable[[], int],
        made: Callable[[MadeClaim], None],
    ) -> None:
        self._worker, self._options, self._now, self._account = worker, options, now, signer.address
        self._client = Client(options.sequencer, bounds=STANDING)
        self.store = EndpointStore(options.store)
        self.keys = ApiKeys(self.store, options.open_to_all)
        self.seats = Seats(options.most, options.waiting)
        self.languages: list[ServedLanguage] = []
        self._stopping: Callable[[], bool] = lambda: False
        signs = ReceiptSigner(worker, self.store, signer, domain, options.terms, now, block)
        threads = options.most + options.waiting + 2
        self._serving = Serving(self.seats, signs, threads, lambda: self._stopping())
        self.keeper = PromiseKeeper(
            worker, self.store, self.seats, options.terms, now, lambda posted: self._client.claim(posted), made
        )
        self.loop = Loop("promises", self.keeper.step, ROUND_SECONDS)
        signs.signed = self.loop.wake

    def load(self) -> None:
        """Serve what the files and the held programs say. Raises LoweringError for a file that is not sound, SettingsError for one
        whose program is not held.
        """
        held = [one.model for one in self._worker.models]
        self.languages[:] = [language_of(load_gguf(path), held, self._embeds) for path in self._options.models]

    def _embeds(self, model: Model) -> Embeds:
        return lambda inputs: self._worker.run(model.program.id, inputs)

    def attach(self, app: FastAPI, health: Health) -> None:
        """Give the prover's app the endpoint's routes."""
        self._stopping = app.state.stopping.is_set
        parts = EndpointParts(
            self.languages,
            self.keys,
            self.store,
            self._serving,
            self._standing,
            self._account,
            self._now,
            int(time.time()),
        )
        app.include_router(openai_routes(parts))
        app.include_router(receipt_routes(parts))
        app.include_router(receipt_routes(parts), prefix="/openai", include_in_schema=False)
        app.include_router(key_routes(self.keys, self.store, self._options.admin_token))
        app.add_middleware(OpenAiErrors)
        health.add("promises", lambda: self.keeper.trouble)

    def start(self) -> None:
        """Begin to keep promises, also those of an earlier life."""
        self.loop.start()

    def stop(self) -> None:
        self.loop.stop()
        self._serving.close()
        self._client.close()
        self.store.close()

    def _standing(self, claim: ClaimId) -> dict[str, Any] | None:
        try:
            view = self._client.get(claim)
        except ClientError:
            return None
        return {"state": view.state, "final_after": view.final_after}


def language_of(language: LanguageModel, held: Sequence[Model], embeds: Callable[[Model], Embeds]) -> ServedLanguage:
    """A language model with its programs among those that are held; raises SettingsError if there is none.

    ``embeds``: who runs a program that embeds texts.
    """

    def lowered(fn: Callable[..., Any], outputs: set[str]) -> list[Model]:
        return [
            model
            for model in held
            if model.program.meta.get("name") == fn.__name__
            and {port.name for port in model.program.interface.outputs} == outputs
        ]

    speaking = [(model, ProgramSpeaking(model)) for model in lowered(language.fn, OUTPUTS)]
    embedding = [(model, embeds(model)) for model in lowered(language.embedding, EMBEDDING_OUTPUTS)]
    if not speaking and not embedding:
        raise SettingsError(
            f"no program of {language.name} is held; lower it with `touchstone model build {language.file.path.name}` (with --embedding "
            "for embeddings) and name its folder with --models"
        )
    return ServedLanguage(Texts(language), speaking, embedding)
