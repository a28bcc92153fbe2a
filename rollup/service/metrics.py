"""Prometheus metrics: one registry per process, names ``touchstone_<room>_<thing>_<unit>``.

Made twice, a metric is the same one: services are built several times in one process by tests and by the local network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.metrics import MetricWrapperBase

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

M = TypeVar("M", bound=MetricWrapperBase)

disable_created_metrics()  # type: ignore[no-untyped-call]

_made: dict[str, MetricWrapperBase] = {}


def _once(kind: type[M], room: str, name: str, help: str, labels: Sequence[str], **options: Any) -> M:
    full = f"touchstone_{room}_{name}"
    if full not in _made:
        _made[full] = kind(full, help, tuple(labels), **options)
    return cast(M, _made[full])


def counter(room: str, name: str, help: str, labels: Sequence[str] = ()) -> Counter:
    """Only ever grows; ``name`` without the suffix ``_total``, which is added."""
    return _once(Counter, room, name, help, labels)


def gauge(room: str, name: str, help: str, labels: Sequence[str] = ()) -> Gauge:
    """Goes up and down."""
    return _once(Gauge, room, name, help, labels)


def histogram(
    room: str, name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
) -> Histogram:
    """A distribution, of seconds unless the buckets say otherwise."""
    return _once(Histogram, room, name, help, labels, buckets=tuple(buckets))


def exposition() -> bytes:
    """All metrics of this process in Prometheus' text format (``CONTENT_TYPE``)."""
    return generate_latest(REGISTRY)
