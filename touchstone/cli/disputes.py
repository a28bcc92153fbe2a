"""``touchstone disputes ...``: who disputes what, and who was right; from a sequencer, or from L1 alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from touchstone.cli.group import Group
from touchstone.cli.user import as_json_flag, deployment_flag
from touchstone.settings.options import options
from touchstone.settings.settings import UserSettings

if TYPE_CHECKING:
    from touchstone.disputes import Chronicle

Document = Mapping[str, Any]


@click.group(cls=Group)
def disputes() -> None:
    """Look at disputes: the games, the moves, the verdict in numbers.

    A sequencer tells them (--url), or L1 alone (--l1 and --deployment), in which case nobody else is believed.
    """


def sources(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where disputes are read from."""
    l1 = click.option("--l1", metavar="RPC", help="Ask this JSON-RPC endpoint of L1 instead. Needs --deployment.")
    return options(UserSettings)(l1(deployment_flag(as_json_flag(function))))


def _chronicle(l1: str, deployment: Path | None) -> Chronicle:
    from prover.executor import Executor
    from rollup.l1.deployment import Deployment
    from rollup.l1.node.chain import Chain
    from touchstone.disputes import Chronicle

    if deployment is None:
        raise click.UsageError("--l1 needs --deployment: the file says which contract is meant")
    client = Deployment.load(deployment).client(Chain.connect(l1))
    return Chronicle.read(client, Executor, client.first)


@disputes.command("list")
@sources
@click.option("--open/--ended", "open_", default=None, help="Only those that go on, or only those that ended.")
@click.option("--cursor", metavar="TEXT", help="Go on where the page before ended.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Most entries of one page.")
def list_(
    settings: UserSettings,
    l1: str | None,
    deployment: Path | None,
    as_json: bool,
    open_: bool | None,
    cursor: str | None,
    limit: int,
) -> None:
    """All disputes, newest first."""
    from touchstone.cli import tables
    from touchstone.cli.remote import Api

    if l1 is not None:
        found = _listed(_chronicle(l1, deployment), open_, cursor, limit)
    else:
        query = {"open": open_, "cursor": cursor, "limit": limit}
        found = Api(settings.url, settings.timeout).ask("GET", "/v1/disputes", query)
    tables.answer(found, as_json, _table)


def _listed(chronicle: Chronicle, open_: bool | None, cursor: str | None, limit: int) -> Document:
    """A page in the public API's form; the cursor counts from the oldest dispute, so that a new one shifts nothing."""
    disputed = list(reversed(chronicle.disputed()))
    at = len(disputed) if cursor is None else int(cursor) if cursor.isdecimal() else -1
    if not 0 <= at <= len(disputed):
        raise click.BadParameter(f"{cursor!r} is no place in the list of {len(disputed)}", param_hint="--cursor")
    found: list[Any] = []
    while at and len(found) < limit:
        at -= 1
        one = chronicle.summary(disputed[at])
        if open_ is None or open_ == (one["state"] == "challenged"):
            found.append(one)
    return {"disputes": found, "next": str(at) if at else None}


@disputes.command()
@sources
@click.argument("claim")
@click.option(
    "--program",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="With --l1: folder of the claim's model. It is run again, for the right value and both states.",
)
def show(
    settings: UserSettings, l1: str | None, deployment: Path | None, as_json: bool, claim: str, program: Path | None
) -> None:
    """The dispute about CLAIM: every move, and what the verdict found."""
    from rollup.form.program import Program
    from rollup.wire import claim_id_of
    from touchstone.cli import tables
    from touchstone.cli.remote import Api

    claim_id = claim_id_of(claim, "CLAIM")
    if l1 is None:
        if program is not None:
            raise click.UsageError("--program goes with --l1: a sequencer's word is not computed again")
        found = Api(settings.url, settings.timeout).ask(
            "GET", "/v1/disputes/{claim_id}", claim_id=f"0x{claim_id.hex()}"
        )
    else:
        held = None if program is None else Program.load(program)
        found = _chronicle(l1, deployment).dispute(claim_id, held)
    tables.answer(found, as_json, _dispute)


def _table(found: Document) -> Any:
    from touchstone.cli.tables import table, text, together

    rows = (
        (
            one["claim_id"],
            one["state"],
            len(one["games"]),
            sum(game["state"] == "open" for game in one["games"]),
            _outcome(one.get("verdict")),
        )
        for one in found["disputes"]
    )
    more = text(f"more: --cursor {found['next']}") if found["next"] else None
    return together(table(("claim", "state", "games", "open", "verdict"), rows, "no disputes"), more)


def _outcome(verdict: Document | None) -> str | None:
    return None if verdict is None else f"{verdict['rule']}: {verdict['sentence']}"


def _dispute(found: Document) -> Any:
    from touchstone.cli.inside import inside
    from touchstone.cli.tables import facts, table, together

    head = [("claim", found["claim_id"]), ("state", found["state"])]
    head += [(name.replace("_id", ""), found[name]) for name in ("model_id", "claimant") if name in found]
    parts = [facts(head)]
    for game in found["games"]:
        clocks = game["clocks"]
        left = f"defender {clocks['defender']} s, challenger {clocks['challenger']} s" if clocks else None
        parts.append(
            together(
                facts(
                    [
                        (f"game {game['counter']}", f"{game['state']}, by {game['challenger']}"),
                        ("turn", game["turn"]),
                        ("inside", inside(game["question"]) if game.get("question") else None),
                        ("time left", left),
                    ]
                ),
                table(
                    ("move", "block", "position", "gas", "transaction"),
                    (
                        (move["kind"], move["block"], _where(move), move.get("gas"), move["transaction"])
                        for move in game["moves"]
                    ),
                    "no moves",
                ),
            )
        )
    return together(*parts, _verdict(found["verdict"]))


def _where(move: Document) -> str | None:
    from touchstone.cli.inside import inside

    asked = move.get("question")
    return f"{move['position']}, {inside(asked)}" if asked else move["position"]


def _verdict(found: Document | None) -> Any:
    from touchstone.cli.tables import facts, text

    if found is None:
        return text("no verdict yet")
    rows = [("verdict", found["sentence"]), ("rule", found["rule"])]
    rows += [(name, found[name]) for name in ("op", "source", "coordinates") if found.get(name)]
    if found.get("part") is not None:
        rows.append(("part", found["part"]))
    for name in ("claimed", "right"):
        if found.get(name) is not None:
            real = found.get(f"{name}_real")
            rows.append((name, f"{found[name]} ({real:.6g})" if real is not None else found[name]))
    index = found.get("trace_index")
    for name, after in (("agreed", 0), ("claimed", 1), ("right", 1)):
        if index is not None and f"{name}_state" in found:
            rows.append((f"state {index + after}, {name}", found[f"{name}_state"] or "never shown on L1"))
    return facts(rows)
