"""What the prover's OpenAI-compatible endpoint can be told."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import SecretStr

from touchstone.settings.section import Section, TextKind, setting
from touchstone.settings.units import Seconds


class EndpointSettings(Section):
    """The endpoint at ``/openai/v1`` of ``touchstone prover``; there is one if language models are named."""

    table: ClassVar[str] = "openai"
    flag: ClassVar[str] = "openai-"
    env: ClassVar[str] = "OPENAI_"

    models: tuple[Path, ...] = setting(
        (),
        "GGUF files of language models that are served; the programs that were lowered from them are among --models.",
    )
    store: Path = setting(
        Path("openai.db"), "File that holds API keys, receipts, and the claims that they promise (SQLite)."
    )
    sequencer: str | None = setting(
        None, "URL of the sequencer that claims are handed to; by default --models-from.", kind=TextKind.URL
    )
    admin_token: SecretStr | None = setting(None, "Bearer token of whoever makes and revokes API keys.")
    open: bool = setting(False, "Whether who has no API key may ask, too.")
    at_once: int = setting(8, "Answers that are generated at the same time.", ge=1, le=256)
    waiting: int = setting(24, "Requests that may wait for that; further ones are refused with 503.", ge=0, le=1024)
    posted_within: Seconds = setting(
        3600.0, "In what time a receipt promises that its claims stand on L1.", ge=60, le=30 * 86_400
    )
    keep: Seconds = setting(7 * 86_400.0, "How long the bytes of requests and answers are kept.", ge=0)


class KeyringSettings(Section):
    """``touchstone keys``: which prover is asked for API keys, and by whom."""

    table: ClassVar[str] = "keys"
    env: ClassVar[str] = "KEYS_"

    url: str = setting("http://127.0.0.1:8082", "URL of the prover.", kind=TextKind.URL)
    token: SecretStr | None = setting(None, "Bearer token of whoever makes and revokes API keys.")
    timeout: Seconds = setting(30.0, "How long one request may take.", gt=0)
