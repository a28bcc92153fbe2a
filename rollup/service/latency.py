"""A process that answers people while it also computes: answers come first."""

from __future__ import annotations

import gc
import sys

SWITCH_SECONDS = 0.0005
"""How long a computing thread keeps the interpreter while another wants it; Python's own 5 ms add up over the threads that one
answer passes through."""


def favour_answers() -> None:
    """To be called when a service is set up: let threads take turns more often, and spare what was imported the collector's
    full rounds, which stop every thread.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
