"""Which processes a network has, and the commands that start them: the same for ``touchstone devnet`` and for Docker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rollup.l1.node.development import KEYS

FUNDED: Mapping[str, str] = MappingProxyType(
    dict(zip(("deploy", "sequencer", "prover", "watcher", "guard", "requests"), KEYS, strict=False))
)
"""By process: a private key that everybody knows, funded on development chains only; ``requests``: the sequencer's second one."""

MODELS = ("digits", "iris")
"""What `seed` offers."""


@dataclass(frozen=True)
class Places:
    """Where the processes of one network find each other. ``host``: what they listen on; ``programs``, ``cache``: folders of
    the sequencer and the prover.
    """

    rpc: str
    parameters: str
    deployment: str
    database: str
    programs: str
    cache: str
    models: str
    sequencer: str
    admin: str
    prover: str
    host: str = "127.0.0.1"
    ports: tuple[int, int, int, int, int] = (8080, 8081, 8082, 8083, 8084)
    """Of the sequencer's public and admin API, the prover, the two watchers."""
    traces: tuple[str, ...] = ()
    """Where the watchers look for traces besides the prover."""


def commands(places: Places) -> dict[str, list[str]]:
    """By process, in the order of their start: what comes after ``touchstone``. ``deploy`` and ``seed`` end by themselves."""
    chain = ["--rpc", places.rpc, "--deployment", places.deployment, "--finality", "latest"]
    public, admin, prover, watcher, guard = (str(port) for port in places.ports)
    listen = ["--host", places.host, "--port"]
    traces = [word for url in (places.prover, *places.traces) for word in ("--traces", url)]
    watching = ["--all-models", "--models-from", places.sequencer, *traces]
    return {
        "deploy": ["deploy", places.parameters, "--rpc", places.rpc, "--output", places.deployment],
        "seed": ["seed", places.models, "--url", places.admin],
        "sequencer": [
            *("sequencer", *chain, *listen, public, "--admin-host", places.host, "--admin-port", admin),
            *("--database", places.database, "--models", places.programs, "--prover", places.prover),
            *("--batch-age", "2s"),
        ],
        "prover": [
            *("prover", *chain, *listen, prover, "--models-from", places.sequencer, "--cache", places.cache),
            *("--deposit", "10 ether"),
        ],
        "watcher": [
            *("watch", *chain, *listen, watcher, "--mode", "challenge", *watching, "--deposit", "2 ether"),
        ],
        "guard": [
            *("watch", *chain, *listen, guard, "--mode", "defend", *watching),
        ],
    }


def anvil(host: str, port: int, state: str | None = None) -> list[str]:
    """A node's command: a block a second, Prague's rules, final after two blocks. ``state``: a file that it survives in."""
    kept = [] if state is None else ["--state", state, "--state-interval", "5"]
    return [
        *("anvil", "--host", host, "--port", str(port), "--block-time", "1", "--hardfork", "prague"),
        *("--enable-tx-gas-limit", "--slots-in-an-epoch", "1", "--quiet", *kept),
    ]


def secrets(process: str, tokens: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process: its account's key, and those tokens that it needs."""
    needed = {
        "seed": ("TOUCHSTONE_ADMIN_TOKEN",),
        "prover": ("TOUCHSTONE_PROVER_TOKEN",),
        "sequencer": (
            *("TOUCHSTONE_PROVER_TOKEN", "TOUCHSTONE_ADMIN_READ_TOKEN"),
            *("TOUCHSTONE_ADMIN_OPERATE_TOKEN", "TOUCHSTONE_ADMIN_OWN_TOKEN"),
        ),
    }
    given = {name: tokens[name] for name in needed.get(process, ())}
    if process == "sequencer":
        given["TOUCHSTONE_SEQUENCER_REQUESTS_KEY"] = FUNDED["requests"]
    return given | ({"TOUCHSTONE_KEY": FUNDED[process]} if process in FUNDED else {})


COMPOSE = Places(
    rpc="http://anvil:8545",
    parameters="/etc/touchstone/params.toml",
    deployment="/var/lib/touchstone/network/deployment.json",
    database="postgresql+psycopg://touchstone@postgres/touchstone",
    programs="/var/lib/touchstone/programs",
    cache="/var/lib/touchstone/programs",
    models="/var/lib/touchstone/models",
    sequencer="http://sequencer:8080",
    admin="http://sequencer:8081",
    prover="http://prover:8082",
    host="0.0.0.0",
)
"""Where they find each other in docker-compose.yml."""
