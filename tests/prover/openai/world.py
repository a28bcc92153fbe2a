"""What the endpoint's tests stand on: a tiny language model, a chain, a sequencer and a prover that serves it, over HTTP."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from prover.model import Model
from prover.openai.endpoint import EndpointOptions
from prover.openai.texts import Texts
from rollup.archive import Programs
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.service.server import Server, serve
from rollup.service.web import WebLimits
from rollup.types import Duration
from sequencer.api.page import PageOptions
from sequencer.intake.limits import Limits
from sequencer.service import SequencerOptions, SequencerService
from sequencer.store import Store
from tests.models.tiny_llama import write_tiny_llama
from tests.world import ETHER, ToyWorld
from touchstone.models.build import build
from touchstone.models.generation import language_program
from touchstone.services.prover import ProverOptions, ProverService

LENGTH = 128
NAME = "tiny"
ADMIN = "an operator's token of the tests"
LIMITS = WebLimits(per_second=1e6, burst=10**6)
SEQUENCER = SequencerOptions(
    Limits(age=Duration(1)), LIMITS, poll=0.5, max_lag=1e12, page=PageOptions(playground="openai/v1")
)

WORDS = "hello the world and an hello world of the tiny models that say hello to the world " * 24


@cache
def place() -> Path:
    """A folder with a model file and its program; made once in each process."""
    folder = Path(tempfile.mkdtemp(prefix="touchstone-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_tiny_llama(folder / f"{NAME}.gguf", layers=1, width=32)
    (folder / "words.txt").write_text(WORDS)
    return folder


def gguf() -> Path:
    return place() / f"{NAME}.gguf"


@cache
def tiny() -> Model:
    """The program of ``LENGTH`` positions; saved in ``place``, too."""
    return language_program(gguf(), LENGTH, place() / "program", str(place() / "words.txt")).model


@cache
def tiny_embedding() -> Model:
    """The program that embeds texts of up to ``LENGTH`` tokens."""
    return build(str(gguf()), str(place() / "words.txt"), length=LENGTH, embedding=True).model


@cache
def texts() -> Texts:
    return Texts.load(gguf())


@dataclass(kw_only=True)
class EndpointWorld(ToyWorld):
    """``model``: of the file ``file``, as ``embedding`` is, if there is any; ``options``: of the endpoint, beside what follows from the
    world.
    """

    model: Model = field(default_factory=tiny)
    file: Path = field(default_factory=gguf)
    embedding: Model | None = None
    options: dict[str, Any] = field(default_factory=dict)
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        self.program = self.model.program
        super().__post_init__()
        if self.embedding is not None:
            self.deployer.register(self.embedding.program)
        self.account = self.client("prover", deposit=400 * ETHER)

    @contextmanager
    def running(self, folder: Path, **options: Any) -> Iterator[Running]:
        """A sequencer and a prover, each on a free port. ``options``: of the endpoint."""
        store = Store.open(f"sqlite:///{folder}/sequencer.db")
        sequencer = SequencerService(self.client("sequencer"), store, Programs(folder / "models"), SEQUENCER, dict)
        sequencer.start()
        api = serve(sequencer.api(), "127.0.0.1", 0).start()
        given: dict[str, Any] = {"store": folder / "openai.db", "admin_token": ADMIN} | self.options | options
        endpoint = EndpointOptions(models=[self.file], sequencer=api.url, **given)
        prover = ProverService(
            self.client("prover"),
            self.chain.signer("prover"),
            ProverOptions(models_from=api.url, openai=endpoint, max_lag=1e12, limits=LIMITS),
        )
        prover.worker.hold(self.model, self.file.stem)
        if self.embedding is not None:
            prover.worker.hold(self.embedding, self.embedding.program.meta["name"])
        server = serve(prover.app, "127.0.0.1", 0).start()
        try:
            prover.start()
            yield Running(self, prover, server, api, folder)
        finally:
            server.stop()
            prover.stop()
            api.stop()
            sequencer.stop()


@dataclass(frozen=True)
class Running:
    """One life of the services."""

    world: EndpointWorld
    prover: ProverService
    server: Server
    sequencer: Server
    folder: Path

    def database(self) -> bytes:
        """All bytes of the endpoint's store."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("openai.db*")))

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def openai(self) -> str:
        return f"{self.url}/openai/v1"

    def key(self, per_minute: int = 100_000, burst: int = 100_000) -> str:
        assert self.prover.openai is not None
        return self.prover.openai.keys.create("tests", per_minute, burst)[1]

    @property
    def l1(self) -> L1Client:
        return self.world.client("reader")

    def kept(self) -> None:
        """Wait until every promised claim is handed in."""
        assert self.prover.openai is not None
        endpoint = self.prover.openai
        while endpoint.store.waiting():
            endpoint.keeper.step()
