"""What an operator wants to be told, and where it goes: the log, a metric, a webhook. No sink can stop a watcher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rollup.claim import ClaimId
from rollup.service.logs import Logger
from rollup.service.metrics import counter


class Severity(Enum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Kind(Enum):
    """What happened; the value is the kind's name in messages and metrics."""

    FALSE_CLAIM = "false-claim"
    DISPUTE_OPENED = "dispute-opened"
    MOVE_MADE = "move-made"
    WON = "won"
    LOST = "lost"
    UNPROVABLE = "unprovable"
    TROUBLE = "trouble"
    NODE_LAG = "node-lag"
    BALANCE_LOW = "balance-low"
    UNKNOWN_MODEL = "unknown-model"
    CLAIM_UNCHECKED_DEADLINE = "claim-unchecked-deadline"


SEVERITIES = {
    Kind.FALSE_CLAIM: Severity.WARNING,
    Kind.DISPUTE_OPENED: Severity.WARNING,
    Kind.MOVE_MADE: Severity.INFO,
    Kind.WON: Severity.INFO,
    Kind.LOST: Severity.CRITICAL,
    Kind.UNPROVABLE: Severity.CRITICAL,
    Kind.TROUBLE: Severity.WARNING,
    Kind.NODE_LAG: Severity.CRITICAL,
    Kind.BALANCE_LOW: Severity.CRITICAL,
    Kind.UNKNOWN_MODEL: Severity.WARNING,
    Kind.CLAIM_UNCHECKED_DEADLINE: Severity.CRITICAL,
}


@dataclass(frozen=True)
class Alert:
    """``sentence``: what happened, for a person. ``claim_id``: None if it is about no single claim."""

    kind: Kind
    sentence: str
    claim_id: ClaimId | None = None
    raised: Severity | None = None

    @property
    def severity(self) -> Severity:
        """As it was raised; else what the kind usually is."""
        return self.raised or SEVERITIES[self.kind]

    def as_json(self) -> dict[str, str | None]:
        """What a webhook gets."""
        claim_id = None if self.claim_id is None else "0x" + self.claim_id.hex()
        return {
            "kind": self.kind.value,
            "severity": self.severity.value,
            "claim_id": claim_id,
            "sentence": self.sentence,
        }


class Sink(Protocol):
    """Where alerts go. It returns at once."""

    def __call__(self, alert: Alert) -> None: ...


def to_all(sinks: Sequence[Sink]) -> Sink:
    """One sink of many; one that fails keeps no other, and no watcher, from going on."""

    def tell(alert: Alert) -> None:
        for sink in sinks:
            with suppress(Exception):
                sink(alert)

    return tell


def to_log(logger: Logger) -> Sink:
    """Into the structured log, at the alert's severity."""
    at: dict[Severity, Callable[..., object]] = {
        Severity.INFO: logger.info,
        Severity.WARNING: logger.warning,
        Severity.CRITICAL: logger.error,
    }

    def tell(alert: Alert) -> None:
        fields = alert.as_json()
        sentence = fields.pop("sentence")
        at[alert.severity](sentence, **{name: text for name, text in fields.items() if text is not None})

    return tell


ALERTS = counter("watcher", "alerts", "Alerts raised, by kind and severity", ["kind", "severity"])
# From the start at 0: Prometheus sees no increase in a series that begins with 1.
for _kind, _severity in SEVERITIES.items():
    ALERTS.labels(_kind.value, _severity.value)


def to_metric(alert: Alert) -> None:
    """Count it."""
    ALERTS.labels(alert.kind.value, alert.severity.value).inc()
