"""Amounts and times of L1 as people read them; JSON has wei and seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

GWEI, ETHER = 10**9, 10**18
MILLIETHER = 10**15


def show_wei(value: int) -> str:
    """Ether from a thousandth on, gwei from one on, else wei; exact."""
    size = abs(value)
    unit, wei = ("ether", ETHER) if size >= MILLIETHER else ("gwei", GWEI) if size >= GWEI else ("wei", 1)
    return f"{(Decimal(value) / wei).normalize():f} {unit}" if value else "0"


def when(seconds: int | None) -> str:
    """A time of L1 or of a machine, in seconds since the epoch, in UTC; a dash for none."""
    try:
        return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return str(seconds)
