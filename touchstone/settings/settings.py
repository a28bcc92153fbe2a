"""What every process can be told, typed, in one place. ``touchstone.settings.sources`` fills these in from flags, environment and TOML.

A service's settings are its own fields and, as sections, what it shares with the others: ``chain`` and ``log``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from sequencer.intake.limits import DEFAULT_LIMITS
from touchstone.settings.endpoint import EndpointSettings, KeyringSettings
from touchstone.settings.section import Section, TextKind, setting
from touchstone.settings.units import Seconds, Size, Wei

Port = Annotated[int, Field(ge=0, le=65535)]


def _finality(text: str) -> str:
    if not re.fullmatch("latest|safe|finalized|[0-9]{1,6}", text):
        raise ValueError("write latest, safe, finalized, or a number of confirmations")
    return text


def _explorer(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s\"'<>]+", text) or "{kind}" not in text or "{id}" not in text:
        raise ValueError("write a URL with {kind} and {id} in it, such as https://etherscan.io/{kind}/{id}")
    return text


def _path(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", text) or ".." in text:
        raise ValueError("write a path below the page's own, such as openai/v1")
    return text


ExplorerTemplate = Annotated[str, AfterValidator(_explorer)]
PathBelow = Annotated[str, AfterValidator(_path)]
FinalityName = Annotated[str, AfterValidator(_finality)]


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogStyle(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class ModeName(StrEnum):
    """What a watcher does about what it sees; each does what the one before it does, too."""

    WATCH = "watch"
    DEFEND = "defend"
    CHALLENGE = "challenge"


class LogSettings(Section):
    """How a process writes its log, to stderr."""

    table: ClassVar[str] = "log"
    flag: ClassVar[str] = "log-"
    env: ClassVar[str] = "LOG_"

    level: LogLevel = setting(LogLevel.INFO, "Least severe messages that are written.")
    style: LogStyle = setting(LogStyle.CONSOLE, "Lines for people, or one JSON object a line.")


class KeySettings(Section):
    """The account that signs: its private key by environment or file, or an encrypted keystore with its password."""

    table: ClassVar[str] = "chain"

    key: SecretStr | None = setting(None, "Private key of the account, 32 bytes in hex.")
    keystore: Path | None = setting(None, "Encrypted keystore (JSON) of the account, instead of a key.")
    keystore_password: SecretStr | None = setting(None, "Password of the keystore.")

    @model_validator(mode="after")
    def _one_account(self) -> KeySettings:
        if self.key is not None and self.keystore is not None:
            raise ValueError("a key and a keystore are given; give one of them")
        if self.keystore is not None and self.keystore_password is None:
            raise ValueError(
                "a keystore needs its password; name a file with --keystore-password-file or set TOUCHSTONE_KEYSTORE_PASSWORD"
            )
        return self


class ChainSettings(KeySettings):
    """Which L1, which deployment, which account, and what a transaction may cost."""

    rpc: str = setting("http://127.0.0.1:8545", "JSON-RPC endpoint of the chain.", kind=TextKind.URL)
    deployment: Path = setting(Path("deployment.json"), "File that `touchstone deploy` wrote.")
    finality: FinalityName = setting(
        "finalized",
        "From when on a claim on L1 counts as seen: latest, safe, finalized, or a number of confirmations.",
    )
    fee_cap: Wei = setting("500 gwei", "Highest fee per gas that is ever paid.", gt=0)
    priority_fee: Wei = setting("1 gwei", "Priority fee per gas of a first try.", gt=0)
    fee_bump: int = setting(
        25, "Percent by which a transaction that is not mined is replaced with higher fees.", ge=13, le=1000
    )
    fee_patience: Seconds = setting(30.0, "How long a transaction may stay unmined before it is replaced.", ge=2)
    fee_give_up: Seconds = setting(
        600.0,
        "How long a transaction is retried before the service reads L1 and decides again; a tenth of the deployment's "
        "clock at most, if that is more than 8 blocks.",
        ge=2,
    )
    max_lag: Seconds = setting(
        120.0, "Age of the newest block from which on the node counts as lagging, and the service as not ready.", gt=0
    )
    timeout: Seconds = setting(20.0, "How long one request to the endpoint may take.", gt=0)


class WebSettings(Section):
    """What every HTTP server of ours can be told."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: Port = setting(8080, "Port to listen on; 0 takes any free one.")
    rate: float = setting(50.0, "Requests a second that one caller may send on average.", gt=0)
    burst: int = setting(200, "Requests that one caller may send at once.", gt=0)
    max_body: Size = setting(1 << 20, "Largest request body.", gt=0)
    proxies: tuple[str, ...] = setting(
        (), "Addresses or networks of reverse proxies: what they say in X-Forwarded-For is the caller."
    )
    poll: Seconds = setting(1.0, "How often L1 is looked at.", gt=0)

    @field_validator("proxies")
    @classmethod
    def _proxies_are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for one in proxies:
            try:
                network = ip_network(one, strict=False)
            except ValueError:
                raise ValueError(
                    f"{one[:60]!r} is no address and no network; write it like 10.0.0.7 or 10.0.0.0/24"
                ) from None
            if network.prefixlen == 0:
                raise ValueError(
                    "that trusts everybody to say who they are, so no caller is limited; name your proxies"
                )
        return tuple(str(ip_network(one, strict=False)) for one in proxies)


class SequencerSettings(WebSettings):
    """``touchstone sequencer``."""

    table: ClassVar[str] = "sequencer"
    env: ClassVar[str] = "SEQUENCER_"

    chain: ChainSettings = Field(default_factory=ChainSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    admin_host: str = setting("127.0.0.1", "Address that the admin API listens on.")
    admin_port: Port = setting(8081, "Port of the admin API; 0 takes any free one.")
    database: str = setting(
        "sqlite:///touchstone.db",
        "SQLAlchemy URL of the database: SQLite, or PostgreSQL as postgresql+psycopg://user@host/name.",
        kind=TextKind.DATABASE,
    )
    database_password: SecretStr | None = setting(None, "Password of the database's user, kept out of the URL.")
    models: Path = setting(
        Path("models"),
        "Folder with a folder for each model that is served; `admin models add` fills it.",
    )
    prover: str | None = setting(
        None, "URL of the prover that answers /v1/infer; without one it is off.", kind=TextKind.URL
    )
    prover_token: SecretStr | None = setting(None, "Bearer token of the prover.", env="PROVER_TOKEN")
    prover_timeout: Seconds = setting(
        50.0, "How long one inference may take; less than callers wait, so that they hear why.", gt=0
    )
    batch_count: int = setting(
        DEFAULT_LIMITS.count, "Claims from which on a batch is posted, and most of one batch.", gt=0
    )
    batch_bytes: Size = setting(DEFAULT_LIMITS.bytes, "Calldata of a batch at most.", gt=0)
    batch_gas: int = setting(DEFAULT_LIMITS.gas, "Gas of a batch at most.", gt=0)
    batch_age: Seconds = setting(10.0, "Age of the oldest pending claim from which on a batch is posted.", ge=0)
    distrust: Seconds = setting(
        3600.0,
        "For how long no claim is taken from a claimant who used a claim's nonce or balance for something else in front of its batch.",
        ge=0,
    )
    pending_limit: int = setting(100_000, "Claims that may wait at most; further ones are refused with 503.", gt=0)
    lease: Seconds = setting(15.0, "How long the one batching process may be silent before another takes over.", gt=0)
    requests_key: SecretStr | None = setting(
        None,
        "Private key of the account that pays for transactions about requests of contracts; without one they are not answered. "
        "It must not be the account of the batches.",
    )
    requests_percent: int = setting(
        150, "What a request must pay at least, in percent of what its answer costs at the present base fee.", ge=0
    )
    requests_spend: Wei = setting(
        "1 ether", "Most that the transactions about requests may cost in a day, by L1's time.", ge=0
    )
    requests_retries: int = setting(3, "How often a callback that failed is made again.", ge=0, le=20)
    requests_confirmations: int = setting(0, "Blocks above a request's own before it is answered.", ge=0)
    explorer: ExplorerTemplate | None = setting(
        None,
        "URL of a block explorer that the page links to, with {kind} (tx, address or block) and {id} in it.",
    )
    playground: PathBelow | None = setting(
        None,
        "Path of an OpenAI-compatible endpoint below the page's own address, such as openai/v1; the page then has a playground. A reverse "
        "proxy brings both together.",
    )
    admin_read_token: SecretStr | None = setting(None, "Bearer token of the role `read`.", env="ADMIN_READ_TOKEN")
    admin_operate_token: SecretStr | None = setting(
        None, "Bearer token of the role `operate`.", env="ADMIN_OPERATE_TOKEN"
    )
    admin_own_token: SecretStr | None = setting(None, "Bearer token of the role `own`.", env="ADMIN_OWN_TOKEN")


class ProverSettings(WebSettings):
    """``touchstone prover``."""

    table: ClassVar[str] = "prover"
    env: ClassVar[str] = "PROVER_"

    chain: ChainSettings = Field(default_factory=ChainSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    openai: EndpointSettings = Field(default_factory=EndpointSettings)

    port: Port = setting(8082, "Port to listen on; 0 takes any free one.")
    token: SecretStr | None = setting(None, "Bearer token that /v1/infer asks for; without one it is refused.")
    models: tuple[Path, ...] = setting(
        (), "Folders of saved programs, one each, as `touchstone model build -o` wrote them."
    )
    models_from: str | None = setting(
        None,
        "URL of a sequencer; models that it serves are fetched, checked against their id and audited.",
        kind=TextKind.URL,
    )
    cache: Path | None = setting(
        None, "Folder for fetched programs, so that claims are defended also while the sequencer is away."
    )
    start_cache: Path | None = setting(
        None,
        "Folder for what is compiled and tested, so that the next start is fast; by default `starts` in --cache. It must be the user's "
        "own, and writable by nobody else.",
    )
    deposit: Wei = setting(
        0, "Free balance to keep on the ledger; it is filled up to this when it falls below half.", ge=0
    )
    cache_bytes: Size = setting(256 << 20, "Memory for traces that were derived; others are derived again.", gt=0)
    valid_for: Seconds = setting(3600.0, "How long a signed claim may wait to be posted.", gt=0)
    quorum_spend: Wei = setting(
        0, "Most that moves in quorums of requests may cost in a day, by L1's time; with 0 it answers for none.", ge=0
    )
    quorum_percent: int = setting(
        150,
        "What this prover's part of a request's fee must be at least, in percent of what its moves cost at the present base fee.",
        ge=0,
    )


class WatchSettings(WebSettings):
    """``touchstone watch``."""

    table: ClassVar[str] = "watch"
    env: ClassVar[str] = "WATCH_"

    chain: ChainSettings = Field(default_factory=ChainSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    port: Port = setting(8083, "Port to listen on (health and metrics); 0 takes any free one.")
    mode: ModeName = setting(
        ModeName.CHALLENGE, "watch: checks and alerts; defend: also answers for right claims; challenge: also disputes."
    )
    models: tuple[Path, ...] = setting(
        (), "Folders of saved programs, one each, as `touchstone model build -o` wrote them."
    )
    model_ids: tuple[str, ...] = setting((), "Ids of models to watch; their programs are fetched from --models-from.")
    all_models: bool = setting(False, "Watch every registered model that --models-from serves.")
    models_from: str | None = setting(
        None,
        "URL of a sequencer to fetch programs from; they are checked against their id and audited.",
        kind=TextKind.URL,
    )
    traces: tuple[str, ...] = setting((), "URLs of provers that publish their traces.", kind=TextKind.URL)
    webhook: str | None = setting(None, "URL that alerts are posted to.", kind=TextKind.URL)
    webhook_token: SecretStr | None = setting(None, "Bearer token for the webhook.")
    cache: Path | None = setting(
        None, "Folder for programs, traces and notes that can be had again; without one, memory and temporary files."
    )
    start_cache: Path | None = setting(
        None,
        "Folder for what is compiled and tested, so that the next start is fast; by default `starts` in --cache. It must be the user's "
        "own, and writable by nobody else.",
    )
    check_processes: int = setting(2, "Checks that run at the same time, each in a process of its own.", ge=1, le=64)
    check_time: Seconds = setting(
        600.0, "How long one check may take; never more than the deployment's challenge period and clock allow.", gt=0
    )
    check_memory: Size | None = setting(
        None, "Memory that one check may take; by default a share of what the machine has.", gt=0
    )
    deposit: Wei = setting(
        0, "Free balance to keep on the ledger; it is filled up to this when it falls below half.", ge=0
    )

    @model_validator(mode="after")
    def _programs_have_a_source(self) -> WatchSettings:
        if (self.all_models or self.model_ids) and self.models_from is None:
            raise ValueError("watching models by id, or all of them, needs --models-from to fetch their programs")
        return self


class DeploySettings(KeySettings):
    """``touchstone deploy``: an endpoint and the account that pays; the parameters are in a file of their own."""

    rpc: str = setting("http://127.0.0.1:8545", "JSON-RPC endpoint of the chain.", kind=TextKind.URL)
    fee_cap: Wei = setting("500 gwei", "Highest fee per gas that is ever paid.", gt=0)
    priority_fee: Wei = setting("1 gwei", "Priority fee per gas of a first try.", gt=0)
    timeout: Seconds = setting(20.0, "How long one request to the endpoint may take.", gt=0)


class AdminSettings(Section):
    """``touchstone admin``: where the admin API is and who asks."""

    table: ClassVar[str] = "admin"
    env: ClassVar[str] = "ADMIN_"

    url: str = setting("http://127.0.0.1:8081", "URL of the admin API.", kind=TextKind.URL)
    token: SecretStr | None = setting(None, "Bearer token of a role.")
    timeout: Seconds = setting(30.0, "How long one request may take.", gt=0)


class UserSettings(Section):
    """``touchstone infer`` and ``touchstone claims``: which sequencer is asked."""

    table: ClassVar[str] = "client"
    env: ClassVar[str] = "CLIENT_"

    url: str = setting("http://127.0.0.1:8080", "URL of the sequencer's public API.", env="URL", kind=TextKind.URL)
    timeout: Seconds = setting(60.0, "How long one request may take.", gt=0)


class ClaimSettings(UserSettings):
    """``touchstone claim``: also which account signs."""

    account: KeySettings = Field(default_factory=KeySettings)


ALL: tuple[type[Section], ...] = (
    ChainSettings,
    LogSettings,
    SequencerSettings,
    ProverSettings,
    EndpointSettings,
    WatchSettings,
    DeploySettings,
    AdminSettings,
    KeyringSettings,
    UserSettings,
)
