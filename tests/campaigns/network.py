"""A network of real processes on a real node, whose services can be killed and started again at any moment."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import httpx

from rollup.archive import pack
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import Chain
from rollup.settings import Parameters
from tests.anvil import Anvil
from tests.campaigns.processes import Service
from tests.machine import free_port
from tests.world import ETHER, deploy

TOKENS = {role: f"{role}-token-of-a-campaign" for role in ("read", "operate", "own")}
PROVER_TOKEN = "prover-token-of-a-campaign"
REQUESTS = "requests"
"""Name of the account that pays for transactions about requests."""


class ProcessNetwork:
    """``node`` mines by itself; the deployment and all data lie in ``folder``. Leaving the context ends every process."""

    def __init__(self, node: Anvil, folder: Path, terms: Parameters) -> None:
        self.node, self.folder, self.terms = node, folder, terms
        self.chain: Chain = node.chain()
        deployer = deploy(self.chain, node.signer("deployer"), parameters=terms)
        self.reader = deployer.using(None)
        self.deployment = folder / "deployment.json"
        Deployment.of(deployer).save(self.deployment)
        self.services: dict[str, Service] = {}
        self._admin_port = free_port()
        self.liar_port = free_port()
        """Where a liar publishes its trace, if it does."""
        self._ports = {name: free_port() for name in ("sequencer", "prover", "watcher-1", "watcher-2")}

    def __enter__(self) -> ProcessNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for service in self.services.values():
            service.kill()

    def client(self, name: str, wei: int = 100 * ETHER) -> L1Client:
        return self.reader.using(self.node.signer(name, wei))

    def paid_client(self, name: str, wei: int = 5 * ETHER) -> L1Client:
        """A new account whose money survives reorganisations."""
        client = self.client(name, 0)
        self.node.give(client.account, wei)
        return client

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _service(self, name: str, command: str, *flags: str, **secrets: str) -> Service:
        self.node.fund(self.node.signer(name).address, 1000 * ETHER)
        common = ["--rpc", self.node.url, "--deployment", str(self.deployment), "--finality", "latest"]
        common += ["--port", str(self._ports[name]), "--poll", "200ms", "--fee-patience", "5s", "--log-style", "json"]
        environment = {"TOUCHSTONE_KEY": self.node.key(name), **secrets}
        environment["JAX_COMPILATION_CACHE_DIR"] = str(self.folder / "compiled")
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        service = Service(name, [command, *common, *flags], self._ports[name], environment, self.folder / f"{name}.log")
        self.services[name] = service
        return service

    def answering_sequencer(self) -> Service:
        """A sequencer that also answers what contracts ask, at the expense of the account ``REQUESTS``."""
        file = self.folder / "requests-key"
        file.touch(mode=0o600)
        file.write_text(self.node.key(REQUESTS))
        self.node.fund(self.node.signer(REQUESTS).address, 1000 * ETHER)
        return self.sequencer(None, "--requests-key-file", str(file), "--batch-age", "3s")

    def sequencer(self, database: str | None = None, *flags: str) -> Service:
        return self._service(
            "sequencer",
            "sequencer",
            *("--admin-port", str(self._admin_port), "--models", str(self.folder / "models")),
            *("--database", database or f"sqlite:///{self.folder}/claims.db", "--prover", self.url("prover")),
            *("--batch-age", "1s", "--rate", "10000", "--burst", "10000"),
            *flags,
            TOUCHSTONE_PROVER_TOKEN=PROVER_TOKEN,
            **{f"TOUCHSTONE_ADMIN_{role.upper()}_TOKEN": token for role, token in TOKENS.items()},
        )

    def prover(self, *flags: str) -> Service:
        deposit = f"{40 * self.terms.claim_bond} wei"
        return self._service(
            "prover",
            "prover",
            *("--models-from", self.url("sequencer"), "--deposit", deposit, "--rate", "10000", "--burst", "10000"),
            *flags,
            TOUCHSTONE_PROVER_TOKEN=PROVER_TOKEN,
        )

    def watcher(self, name: str = "watcher-1", mode: str = "challenge", *flags: str) -> Service:
        return self._service(
            name,
            "watch",
            *("--mode", mode, "--all-models", "--models-from", self.url("sequencer"), "--traces", self.url("prover")),
            *("--traces", f"http://127.0.0.1:{self.liar_port}"),
            *("--cache", str(self.folder / name)),
            *flags,
        )

    def flush(self) -> None:
        """Have the sequencer post all that waits."""
        answer = httpx.post(
            f"http://127.0.0.1:{self._admin_port}/admin/batcher/flush",
            headers={"Authorization": f"Bearer {TOKENS['operate']}"},
            timeout=120,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text

    def add_model(self, program: Program, name: str) -> None:
        """Register a model through the admin API."""
        saved = self.folder / f"saved-{name}"
        program.save(saved)
        answer = httpx.post(
            f"http://127.0.0.1:{self._admin_port}/admin/models",
            params={"name": name},
            content=pack(saved),
            headers={"Authorization": f"Bearer {TOKENS['own']}"},
            timeout=120,
            trust_env=False,
        )
        assert answer.status_code in (200, 201), answer.text
