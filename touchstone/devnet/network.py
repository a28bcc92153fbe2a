"""``touchstone devnet``: the whole network as processes of this machine, by the very commands that Docker runs."""

from __future__ import annotations

import json
import os
import re
import secrets as randomness
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from rollup.errors import ServiceError, SettingsError
from rollup.files import write_file, writing
from rollup.native.load import SWITCH
from touchstone.devnet import PUBLISHED_PORT
from touchstone.devnet.plan import MODELS, Places, anvil, commands, secrets
from touchstone.devnet.processes import Child, Processes, Stopped

PARAMETERS = Path(__file__).with_name("params.toml")
PATIENCE = 300.0
"""Seconds that a step of the start may take on a very busy machine."""

TOKENS = (
    *("TOUCHSTONE_ADMIN_READ_TOKEN", "TOUCHSTONE_ADMIN_OPERATE_TOKEN", "TOUCHSTONE_ADMIN_OWN_TOKEN"),
    "TOUCHSTONE_PROVER_TOKEN",
)
LOCAL = "127.0.0.1"

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Ports:
    """0: any that is free."""

    chain: int = 8545
    public: int = 8080
    admin: int = 8081
    prover: int = 8082
    watcher: int = 8083
    guard: int = 8084


class Devnet:
    """``data``: keeps the lowered models and what was compiled; everything else in it begins anew with every start, as the chain
    does, unless ``keep``: then anvil writes its chain into it, and the next start goes on from there. Raises SettingsError for
    ``keep`` without anvil.
    """

    def __init__(self, data: Path, ports: Ports, use_anvil: bool, liar: bool, say: Say, keep: bool = False) -> None:
        if keep and not use_anvil:
            raise SettingsError(
                "the chain that comes along lives in memory alone and forgets everything when it ends; --keep needs --anvil"
            )
        self._data, self._anvil, self._liar, self._say = data, use_anvil, liar, say
        self._ports = _resolved(ports)
        self._state = data / "state"
        self._kept = self._state / "chain.json" if keep else None
        self._processes = Processes(say)
        self._environ = {
            name: value for name, value in os.environ.items() if not name.startswith("TOUCHSTONE_") or name == SWITCH
        }
        # Lines come as they are written, not when a buffer is full.
        self._environ["PYTHONUNBUFFERED"] = "1"
        # Nothing is won by looking for accelerators, and each process would report that it found none.
        self._environ.setdefault("JAX_PLATFORMS", "cpu")
        # What one process compiled, no other has to, nor the next start.
        self._environ.setdefault("JAX_COMPILATION_CACHE_DIR", str((data / "compiled").resolve()))
        self._environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

    @property
    def _places(self) -> Places:
        ports, state = self._ports, self._state
        return Places(
            rpc=f"http://{LOCAL}:{ports.chain}",
            parameters=str(PARAMETERS),
            deployment=str(state / "deployment.json"),
            database=f"sqlite:///{state / 'touchstone.db'}",
            programs=str(state / "programs"),
            cache=str(state / "fetched"),
            models=str(self._data / "models"),
            sequencer=f"http://{LOCAL}:{ports.public}",
            admin=f"http://{LOCAL}:{ports.admin}",
            prover=f"http://{LOCAL}:{ports.prover}",
            host=LOCAL,
            ports=(ports.public, ports.admin, ports.prover, ports.watcher, ports.guard),
            traces=(f"http://{LOCAL}:{PUBLISHED_PORT}",),
        )

    def run(self) -> None:
        """Start all, say where they are, and wait for a signal. Raises ServiceError if a process dies or does not start."""
        begun = time.monotonic()
        tokens = self._prepare()
        self._processes.stop_on_signals()
        try:
            self._start(tokens)
            self._announce(tokens, time.monotonic() - begun)
            self._processes.watch()
        except Stopped:
            pass
        finally:
            self._say("devnet", "stopping ...")
            self._processes.stop()

    def _prepare(self) -> dict[str, str]:
        """An empty state folder, with new tokens, which nobody but the owner of the folder can read; or the last time's."""
        tokens_file = self._state / "tokens.env"
        if self._kept is not None and self._kept.exists() and tokens_file.exists():
            self._say("devnet", "goes on with the chain, the claims, the deployment and the tokens of the last time")
            (self._state / "network.json").unlink(missing_ok=True)
            return _with_admin(dict(line.split("=", 1) for line in tokens_file.read_text().split()))
        if self._state.exists():
            self._say(
                "devnet", "begins anew: the chain, the claims, the deployment and the tokens of the last time are gone"
            )
        shutil.rmtree(self._state, ignore_errors=True)
        tokens = {name: randomness.token_urlsafe(24) for name in TOKENS}
        with writing(self._state):
            self._state.mkdir(parents=True)
            tokens_file.touch(mode=0o600)
            tokens_file.write_text("".join(f"{name}={value}\n" for name, value in tokens.items()))
            # By itself, for --token-file.
            own = self._state / "admin-token"
            own.touch(mode=0o600)
            own.write_text(tokens["TOUCHSTONE_ADMIN_OWN_TOKEN"] + "\n")
        return _with_admin(tokens)

    def _start(self, tokens: Mapping[str, str]) -> None:
        places = self._places
        argv = commands(places)

        def start(name: str, once: bool = False) -> Child:
            return self._touchstone(name, argv[name], secrets(name, tokens), once)

        self._chain()
        # Lowering takes longest; it goes on while the contracts are deployed.
        seed = start("seed", once=True)
        self._processes.wait_until(lambda: _answers(places.rpc, chain=True), "an answer of the chain", PATIENCE)
        self._processes.wait_for(start("deploy", once=True), PATIENCE)
        for name in ("sequencer", "prover", "watcher", "guard"):
            start(name)
        self._processes.wait_for(seed, PATIENCE)
        ports = self._ports
        for name, port in zip(
            ("sequencer", "admin API", "prover", "watcher", "guard"),
            (ports.public, ports.admin, ports.prover, ports.watcher, ports.guard),
            strict=True,
        ):
            url = f"http://{LOCAL}:{port}"
            self._processes.wait_until(lambda url=url: _answers(url), f"readiness of the {name}", PATIENCE)  # type: ignore[misc]
        self._processes.wait_until(lambda: _holds(places.prover, len(MODELS)), "the prover's models", PATIENCE)
        if self._liar:
            self._python("liar", ["-m", "touchstone.devnet.liar", places.rpc, places.sequencer], {})

    def _chain(self) -> None:
        port = self._ports.chain
        if not self._anvil:
            self._touchstone("chain", ["chain", "--port", str(port)], {})
            return
        found = shutil.which("anvil", path=os.pathsep.join([os.environ.get("PATH", ""), str(_node_binaries())]))
        if found is None:
            raise SettingsError(
                "there is no anvil on PATH nor in contracts/node_modules; run npm ci there, or leave out --anvil"
            )
        kept = None if self._kept is None else str(self._kept)
        self._processes.start("anvil", [found, *anvil(LOCAL, port, kept)[1:]], self._environ)

    def _touchstone(self, name: str, arguments: list[str], secret: Mapping[str, str], once: bool = False) -> Child:
        return self._python(name, ["-m", "touchstone.cli", *arguments], secret, once)

    def _python(self, name: str, arguments: list[str], secret: Mapping[str, str], once: bool = False) -> Child:
        return self._processes.start(name, [sys.executable, *arguments], self._environ | dict(secret), once)

    def _announce(self, tokens: Mapping[str, str], seconds: float) -> None:
        places, tokens_file = self._places, self._state / "tokens.env"
        network = {
            "page": places.sequencer,
            "api": f"{places.sequencer}/openapi.json",
            "admin": places.admin,
            "prover": places.prover,
            "rpc": places.rpc,
            "watchers": [f"http://{LOCAL}:{port}" for port in (self._ports.watcher, self._ports.guard)],
            "deployment": places.deployment,
            "tokens": str(tokens_file),
            "processes": self._processes.ids,
        }
        # Last, and whole: whoever waits for the network waits for this file.
        write_file(self._state / "network.json", json.dumps(network, indent=2) + "\n")
        for line in (
            f"the network is up after {seconds:.0f} s",
            f"page            {network['page']}",
            f"API             {network['api']}",
            f"admin API       {network['admin']}   (tokens: {tokens_file})",
            f"prover          {network['prover']}",
            f"chain           {network['rpc']}",
            f"watchers        {'   '.join(network['watchers'])}",
            f"deployment      {network['deployment']}",
            "Ctrl-C stops it",
        ):
            self._say("devnet", line)


def _with_admin(tokens: Mapping[str, str]) -> dict[str, str]:
    """The tokens, and the one by which `seed` offers its models."""
    return {**tokens, "TOUCHSTONE_ADMIN_TOKEN": tokens["TOUCHSTONE_ADMIN_OWN_TOKEN"]}


def _resolved(ports: Ports) -> Ports:
    """Zeros replaced by ports that are free now, all different."""
    listeners = []
    try:
        chosen = {}
        for name, port in vars(ports).items():
            listener = socket.socket()
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((LOCAL, port))
            except OSError as error:
                raise ServiceError(
                    f"port {port} ({name}) is taken ({error.strerror}); free it, or choose another by --{name}-port"
                ) from None
            chosen[name] = listener.getsockname()[1]
        return Ports(**chosen)
    finally:
        for listener in listeners:
            listener.close()


def _answers(url: str, chain: bool = False) -> bool:
    """Whether a service is ready, or a node answers."""
    try:
        if chain:
            asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
            return httpx.post(url, json=asked, timeout=5, trust_env=False).status_code == 200
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _holds(prover: str, models: int) -> bool:
    """Whether the prover can run that many models; it is ready with the first."""
    try:
        text = httpx.get(f"{prover}/metrics", timeout=5, trust_env=False).text
    except httpx.HTTPError:
        return False
    found = re.search(r"^touchstone_prover_models_held (\S+)$", text, re.MULTILINE)
    return found is not None and float(found.group(1)) >= models


def _node_binaries() -> Path:
    return Path(__file__).resolve().parents[2] / "contracts" / "node_modules" / ".bin"
