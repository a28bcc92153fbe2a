"""Structured logs: one event and its fields a line, as JSON or for people, on stderr. Libraries' logs take the same way."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, cast

import structlog

from rollup.errors import ServiceError
from rollup.redact import redacted, without_endpoints

Style = Literal["console", "json"]
Logger = structlog.stdlib.BoundLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

CHATTY = ("httpx", "httpcore", "urllib3", "web3", "asyncio", "alembic", "sqlalchemy", "jax")
"""Libraries that tell every request, statement, or accelerator that this machine lacks: they speak from warnings on."""

SILENT = ("uvicorn.error", "uvicorn.access")
"""Whatever a stranger sends makes it warn; the web app counts and answers that."""


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    hidden = cast(dict[str, Any], redacted(dict(event)))
    for name in ("exception", "error", "detail"):
        if isinstance(hidden.get(name), str):
            hidden[name] = without_endpoints(hidden[name])
    return hidden


def _plain(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Only what uvicorn adds for its own colours, and what the formatter needs no more."""
    event.pop("color_message", None)
    return event


class _Stderr(logging.Handler):
    """Writes to what stderr is at the moment, which whoever embeds us may change."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def configure(level: str = "info", style: Style = "console") -> None:
    """Set the process's logs up; may be called again. Raises ServiceError for an unknown level."""
    number = _number(level)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _plain,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Any
    if style == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        # Tracebacks are text before secrets are looked for; frames' variables are never shown.
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            renderer,
        ],
    )
    handler = _Stderr()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)


def logger(name: str) -> Logger:
    """A logger; fields go in as keywords: ``log.info("batch posted", batch=7)``."""
    return structlog.stdlib.get_logger(name)


def set_level(level: str) -> None:
    """Change what is logged while the process runs; raises ServiceError for an unknown level."""
    logging.getLogger().setLevel(_number(level))


def level() -> str:
    """The level in force."""
    return logging.getLevelName(logging.getLogger().level).lower()


def _number(level: str) -> int:
    try:
        return LEVELS[level.lower()]
    except KeyError:
        raise ServiceError(f"there is no log level {level!r}; choose one of {', '.join(LEVELS)}") from None
