"""``touchstone admin ...``: every route of the admin API as a command."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from touchstone.cli.group import Group
from touchstone.options import options
from touchstone.settings import AdminSettings
from touchstone.units import wei

UPLOAD_SECONDS = 900.0
"""How long adding a model may take at least: the server audits it and registers it on L1."""

Document = Mapping[str, Any]
Ask = Callable[..., Any]

ROUTES: dict[tuple[str, str], click.Command] = {}
"""Which command asks for which (method, route)."""


def command(
    group: click.Group, name: str, method: str, route: str, show: Callable[[Any], Any], patience: float = 0.0
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function ``(ask, **parameters)`` that returns the answer; ``show`` makes it readable."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(settings: AdminSettings, as_json: bool, **given: Any) -> None:
            from touchstone.cli import tables
            from touchstone.cli.remote import Api

            token = None if settings.token is None else settings.token.get_secret_value()
            api = Api(settings.url, max(settings.timeout, patience), token)
            document = function(functools.partial(api.ask, method, route), **given)
            tables.answer(document, as_json, show)

        flag = click.option("--json", "as_json", is_flag=True, help="Print the server's answer as it is.")
        made = group.command(name)(options(AdminSettings)(flag(run)))
        ROUTES[method, route] = made
        return made

    return decorate


class Amount(click.ParamType[int]):
    """ "0.1 ether", "30 gwei" or a number of wei."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return wei(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(cls=Group)
def admin() -> None:
    """Run a sequencer: look at it, turn its switches, move its money.

    The token of your role comes from TOUCHSTONE_ADMIN_TOKEN or --token-file; it is no flag, because others can read those.
    """


@admin.group()
def batcher() -> None:
    """Start, stop and flush what posts claims to L1."""


@admin.group()
def intake() -> None:
    """Pause and resume the taking of claims."""


@admin.group()
def balances() -> None:
    """The money of the sequencer's account."""


@admin.group()
def models() -> None:
    """The models that claims may be about."""


@admin.group("disputes")
def disputes_() -> None:
    """Disputes, and moves by hand."""


def _status(found: Document) -> Any:
    from touchstone.cli.tables import amount, facts, table, together, when

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
                ("L1", head),
                ("chain, contract", f"{l1['chain_id']}, {l1['contract']}"),
                ("account", money and money["account"]),
                ("free", money and amount(money["free"])),
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


@command(admin, "status", "GET", "/admin/status", _status)
def status(ask: Ask) -> Any:
    """Everything at a glance."""
    return ask()


def _settings(found: Document) -> Any:
    from touchstone.cli.tables import facts, pairs

    return facts(pairs(found["settings"]))


@command(admin, "config", "GET", "/admin/config", _settings)
def config(ask: Ask) -> Any:
    """The settings in force, without secrets."""
    return ask()


def _audit(found: Document) -> Any:
    from touchstone.cli.tables import table, together, when

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


def _next(found: Document) -> Any:
    from touchstone.cli.tables import text

    return text(f"more: --cursor {found['next']}") if found["next"] else None


def _page(function: Callable[..., Any]) -> Callable[..., Any]:
    cursor = click.option("--cursor", metavar="TEXT", help="Go on where the page before ended.")
    limit = click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
    return cursor(limit(function))


@command(admin, "audit", "GET", "/admin/audit", _audit)
@_page
def audit(ask: Ask, cursor: str | None, limit: int) -> Any:
    """What operators did and were refused, newest first."""
    return ask(query={"cursor": cursor, "limit": limit})


def _controls(found: Document) -> Any:
    from touchstone.cli.tables import facts

    posted = [("posted now", f"{found['batches']} batches")] if "batches" in found else []
    return facts(
        [
            *posted,
            ("batcher", "stopped" if found["batcher_stopped"] else "posts"),
            ("intake", "paused" if found["intake_paused"] else "open"),
            ("pending", found["pending"]),
        ]
    )


@command(batcher, "start", "POST", "/admin/batcher/start", _controls)
def start(ask: Ask) -> Any:
    """Post what waits, from now on."""
    return ask()


@command(batcher, "stop", "POST", "/admin/batcher/stop", _controls)
def stop(ask: Ask) -> Any:
    """Post nothing more; claims are still taken. Holds until it is started again."""
    return ask()


@command(batcher, "flush", "POST", "/admin/batcher/flush", _controls, patience=UPLOAD_SECONDS)
def flush(ask: Ask) -> Any:
    """Post everything that waits, now."""
    return ask()


@command(intake, "pause", "POST", "/admin/intake/pause", _controls)
def pause(ask: Ask) -> Any:
    """Take no new claims. Holds until it is resumed."""
    return ask()


@command(intake, "resume", "POST", "/admin/intake/resume", _controls)
def resume(ask: Ask) -> Any:
    """Take claims again."""
    return ask()


def _level(found: Document) -> Any:
    from touchstone.cli.tables import facts

    return facts([("log level", found["level"])])


@command(admin, "log-level", "PUT", "/admin/log-level", _level)
@click.argument("level", type=click.Choice(["debug", "info", "warning", "error"]))
def log_level(ask: Ask, level: str) -> Any:
    """Log from LEVEL on, until the server's restart."""
    return ask(body={"level": level})


def _balances(found: Document) -> Any:
    from touchstone.cli.tables import amount, facts

    money = found.get("balances", found)
    mined = [("transaction", found["transaction"]), ("gas", found["gas"])] if "transaction" in found else []
    return facts(
        [
            *mined,
            ("account", money["account"]),
            ("free", amount(money["free"])),
            ("locked", amount(money["locked"])),
            ("on the chain", amount(money["wei"])),
        ]
    )


@command(balances, "show", "GET", "/admin/balances", _balances)
def balances_show(ask: Ask) -> Any:
    """Free, locked, and on the chain."""
    return ask()


@command(balances, "deposit", "POST", "/admin/balances/deposit", _balances)
@click.argument("amount", type=Amount())
def deposit(ask: Ask, amount: int) -> Any:
    """Move AMOUNT ("0.1 ether", or wei) from the account into its free balance."""
    return ask(body={"wei": str(amount)})


@command(balances, "withdraw", "POST", "/admin/balances/withdraw", _balances)
@click.argument("amount", type=Amount())
def withdraw(ask: Ask, amount: int) -> Any:
    """Move AMOUNT ("0.1 ether", or wei) from the free balance to the account."""
    return ask(body={"wei": str(amount)})


def _models(found: Document) -> Any:
    from touchstone.cli.tables import table, together, when

    rows = found["models"] if "models" in found else [found.get("model", found)]
    registered = found.get("registration")
    shown = table(
        ("name", "id", "retired", "held", "registered", "added"),
        (
            (one["name"], one["id"], one["retired"], one["held"], one["registered"], when(one["added_at"]))
            for one in rows
        ),
    )
    return together(shown, _sent(registered) if registered else None)


def _sent(found: Document) -> Any:
    from touchstone.cli.tables import facts

    return facts([("transaction", found["transaction"]), ("block", found["block"]), ("gas", found["gas"])])


@command(models, "list", "GET", "/admin/models", _models)
def models_list(ask: Ask) -> Any:
    """All models, retired ones included."""
    return ask()


@command(models, "add", "POST", "/admin/models", _models, patience=UPLOAD_SECONDS)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="What people call it.")
def models_add(ask: Ask, folder: Path, name: str) -> Any:
    """Offer the model that was saved to FOLDER: the server unpacks, audits and registers it."""
    from rollup.archive import pack

    return ask(query={"name": name}, content=pack(folder))


@command(models, "retire", "POST", "/admin/models/{model}/retire", _models)
@click.argument("model")
def models_retire(ask: Ask, model: str) -> Any:
    """Offer MODEL (its name or id) no more."""
    return ask(model=model)


def _games(games: list[Document]) -> Any:
    from touchstone.cli.tables import table, when

    return table(
        ("game", "challenger", "stands on", "opened", "turn", "clocks", "ended"),
        (
            (
                game["counter"],
                game["challenger"],
                game["position"],
                when(game["opened_at"]),
                f"{game['turn']}{' (out of time)' if game['expired'] else ''}" if game["turn"] else None,
                game["clocks"] and f"{game['clocks']['defender']} s : {game['clocks']['challenger']} s",
                game["ended"],
            )
            for game in games
        ),
        "no games",
    )


def _disputes(found: Document) -> Any:
    from touchstone.cli.tables import table, together

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


def _dispute(found: Document) -> Any:
    from touchstone.cli.tables import facts, table, together, when

    return together(
        facts([("claim", found["claim_id"]), ("state", found["state"])]),
        _games(found["games"]),
        table(
            ("move", "at", "block", "position", "gas", "sender", "transaction"),
            (
                (m["kind"], when(m["at"]), m["block"], m["position"], m["gas"], m["sender"], m["transaction"])
                for m in found["moves"]
            ),
            "no moves",
        ),
    )


@command(disputes_, "list", "GET", "/admin/disputes", _disputes)
@click.option("--open/--ended", "open_", default=None, help="Only those that go on, or only those that ended.")
@_page
def disputes_list(ask: Ask, open_: bool | None, cursor: str | None, limit: int) -> Any:
    """All disputes, newest first."""
    return ask(query={"open": open_, "cursor": cursor, "limit": limit})


@command(disputes_, "show", "GET", "/admin/disputes/{claim_id}", _dispute)
@click.argument("claim")
def disputes_show(ask: Ask, claim: str) -> Any:
    """The dispute about CLAIM, with its moves and clocks."""
    return ask(claim_id=claim)


@command(disputes_, "move", "POST", "/admin/disputes/{claim_id}/moves", _sent, patience=120.0)
@click.argument("claim")
@click.argument("move", type=click.Choice(["challenge", "reveal", "timeout", "reclaim", "release"]))
@click.option("--child", "children", multiple=True, metavar="HEX", help="For a reveal: a node's descendants, in order.")
@click.option(
    "--leaf",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For a reveal: file with a leaf's 1,024 bytes.",
)
def disputes_move(ask: Ask, claim: str, move: str, children: tuple[str, ...], leaf: Path | None) -> Any:
    """Force MOVE in the dispute about CLAIM, with the sequencer's account."""
    body: dict[str, Any] = {"move": move}
    if children:
        body["children"] = list(children)
    if leaf is not None:
        body["leaf"] = "0x" + leaf.read_bytes()[:4096].hex()
    return ask(body=body, claim_id=claim)
