"""When a claim will be final, in a sentence for people."""

from __future__ import annotations

from math import ceil

from rollup.client.views import ClaimView


def outlook(view: ClaimView, now: float) -> str:
    """``now``: seconds since the epoch, by L1's clock or the machine's."""
    if view.state in ("final", "invalid") or view.final_after is None:
        return view.state if view.reason is None else f"{view.state}: {view.reason}"
    left = ceil(view.final_after - now)
    if view.state == "challenged":
        when = "final when its games are won, and not " + (f"before {left} s from now" if left > 0 else "before that")
    else:
        when = f"final in {left} s" if left > 0 else "final any moment now"
    return f"{view.state}: {when}; {_disputes(view.open_disputes or 0)}"


def _disputes(count: int) -> str:
    if not count:
        return "no dispute is being played; one that is opened stops the clock for a while"
    played = "1 dispute is being played" if count == 1 else f"{count} disputes are being played"
    return f"{played}, and each new one stops the clock for a while"
