"""What the admin API answers, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from rollup.words import when
from touchstone.cli.inside import inside
from touchstone.cli.tables import amount, facts, pairs, table, text, together

Document = Mapping[str, Any]


def status(found: Document) -> RenderableType:
    l1, last, money = found["l1"], found["last_batch"], found["balances"]
    claims = ", ".join(f"{count} {state}" for state, count in found["claims"].items() if count) or "none"
    posted = last and f"{last['number']} with {last['claims']} claims, {when(last['posted_at'])}, {last['transaction']}"
    head = l1["trouble"] or f"block {l1['head']}, {l1['lag']} s old; known here up to {l1['known']}"
    return together(
        facts(
            [
                ("batcher", "stopped" if found["batcher_stopped"] else "posts"),
                ("intake", "paused" if found["intake_paused"] else "open"),
                ("claims", claims),
                ("oldest pending", when(found["oldest_pending"])),
                ("last batch", posted),
                ("open disputes", found["open_disputes"]),
                (
                    "requests",
                    ", ".join(f"{count} {name}" for name, count in found["requests"].items() if count) or "none",
                ),
                ("spent on them in a day", amount(found["requests_spent"])),
                ("challenge clock", _clock(found["clock_stopped"])),
                ("L1", head),
                ("chain, contract", f"{l1['chain_id']}, {l1['contract']}"),
                ("account", money and money["account"]),
                ("free", money and amount(money["free"])),
                ("earned", money and amount(money["earned"])),
                ("locked", money and amount(money["locked"])),
                ("on the chain", money and amount(money["wei"])),
                ("log level", found["log_level"]),
            ]
        ),
        table(
            ("loop", "runs", "last success", "trouble"),
            (
                (
                    name,
                    loop["running"],
                    "never" if loop["seconds_since_success"] is None else f"{loop['seconds_since_success']} s ago",
                    loop["trouble"],
                )
                for name, loop in found["loops"].items()
            ),
            "no loops",
        ),
        table(("problem", "what to do"), found["problems"].items(), "no problems"),
    )


def _clock(stopped: int) -> str:
    return f"stands still for {stopped} s more" if stopped else "runs"


def settings(found: Document) -> RenderableType:
    return facts(pairs(found["settings"]))


def audit(found: Document) -> RenderableType:
    rows = (
        (
            one["id"],
            when(one["at"]),
            one["actor"],
            one["action"],
            one["outcome"],
            ", ".join(f"{k}={v}" for k, v in one["detail"].items()),
        )
        for one in found["entries"]
    )
    return together(table(("id", "at", "actor", "action", "outcome", "detail"), rows), _next(found))


def _next(found: Document) -> RenderableType | None:
    return text(f"more: --cursor {found['next']}") if found["next"] else None


def controls(found: Document) -> RenderableType:
    posted = [("posted now", f"{found['batches']} batches")] if "batches" in found else []
    return facts(
        [
            *posted,
            ("batcher", "stopped" if found["batcher_stopped"] else "posts"),
            ("intake", "paused" if found["intake_paused"] else "open"),
            ("pending", found["pending"]),
        ]
    )


def level(found: Document) -> RenderableType:
    return facts([("log level", found["level"])])


def balances(found: Document) -> RenderableType:
    money = found.get("balances", found)
    mined = [("transaction", found["transaction"]), ("gas", found["gas"])] if "transaction" in found else []
    return facts(
        [
            *mined,
            ("account", money["account"]),
            ("free", amount(money["free"])),
            ("announced to leave", _announced(money)),
            ("earned", amount(money["earned"])),
            ("locked", amount(money["locked"])),
            ("on the chain", amount(money["wei"])),
        ]
    )


def _announced(money: Document) -> str | None:
    return f"{amount(money['announced'])}, from {when(money['leaves_at'])} on" if money["leaves_at"] else None


def models(found: Document) -> RenderableType:
    rows = found["models"] if "models" in found else [found.get("model", found)]
    registered = found.get("registration")
    shown = table(
        ("name", "id", "retired", "held", "registered", "added"),
        (
            (one["name"], one["id"], one["retired"], one["held"], one["registered"], when(one["added_at"]))
            for one in rows
        ),
    )
    return together(shown, sent(registered) if registered else None)


def sent(found: Document) -> RenderableType:
    return facts([("transaction", found["transaction"]), ("block", found["block"]), ("gas", found["gas"])])


def _games(games: list[Document]) -> RenderableType:
    return table(
        ("game", "challenger", "stands on", "opened", "turn", "clocks", "ended"),
        (
            (
                game["counter"],
                game["challenger"],
                _where(game),
                when(game["opened_at"]),
                f"{game['turn']}{' (out of time)' if game['expired'] else ''}" if game["turn"] else None,
                game["clocks"] and f"{game['clocks']['defender']} s : {game['clocks']['challenger']} s",
                game["ended"],
            )
            for game in games
        ),
        "no games",
    )


def _where(found: Document) -> str | None:
    """Where a game stands or a move leads: a node, and inside an element a node of the tree over its parts."""
    if found["position"] is None:
        return None
    asked = found["question"]
    return f"{found['position']}" + (f", {inside(asked)}" if asked else "")


def disputes(found: Document) -> RenderableType:
    rows = (
        (
            one["claim_id"],
            one["state"],
            len(one["games"]),
            sum(game["ended"] is None for game in one["games"]),
        )
        for one in found["disputes"]
    )
    return together(table(("claim", "state", "games", "open"), rows, "no disputes"), _next(found))


def dispute(found: Document) -> RenderableType:
    return together(
        facts([("claim", found["claim_id"]), ("state", found["state"])]),
        _games(found["games"]),
        table(
            ("move", "at", "block", "position", "gas", "sender", "transaction"),
            (
                (m["kind"], when(m["at"]), m["block"], _where(m), m["gas"], m["sender"], m["transaction"])
                for m in found["moves"]
            ),
            "no moves",
        ),
    )
