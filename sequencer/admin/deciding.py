"""A transaction that an operator asked for, decided on what L1 says now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rollup.errors import StaleView
from rollup.l1.client import L1Client

T = TypeVar("T")

LOOKS = 5
"""How often L1 is looked at again because the batcher, which has the same account, was faster."""


def decide(client: L1Client, make: Callable[[], T]) -> T:
    """Let ``make`` read, decide and send, once more whenever another transaction of the account came between: what it
    decided on may no longer be so, and nothing was sent. Raises StaleView if that goes on.
    """
    try:
        for _ in range(LOOKS - 1):
            client.anchor()
            try:
                return make()
            except StaleView:
                continue
        client.anchor()
        return make()
    finally:
        client.release_anchor()
