"""``touchstone admin ...``: every route of the admin API as a command."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from rollup.errors import SettingsError
from touchstone.cli.group import Group
from touchstone.cli.params import AmountParam, ClaimParam
from touchstone.settings.options import options
from touchstone.settings.settings import AdminSettings

UPLOAD_SECONDS = 900.0
"""How long adding a model may take at least: the server audits it and registers it on L1."""

Document = Mapping[str, Any]
Ask = Callable[..., Any]

ROUTES: dict[tuple[str, str], click.Command] = {}
"""Which command asks for which (method, route)."""


def command(
    group: click.Group, name: str, method: str, route: str, view: str, patience: float = 0.0
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function ``(ask, **parameters)`` that returns the answer; ``view`` names what of
    ``views`` makes it readable."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(settings: AdminSettings, as_json: bool, **given: Any) -> None:
            from touchstone.cli import tables
            from touchstone.cli.admin import views
            from touchstone.cli.remote import Api

            if settings.token is None:
                raise SettingsError(
                    "the admin API asks for the token of a role; name its file with --token-file, or set TOUCHSTONE_ADMIN_TOKEN"
                )
            api = Api(settings.url, max(settings.timeout, patience), settings.token.get_secret_value())
            document = function(functools.partial(api.ask, method, route), **given)
            tables.answer(document, as_json, getattr(views, view))

        flag = click.option("--json", "as_json", is_flag=True, help="Print the server's answer as it is.")
        made = group.command(name)(options(AdminSettings)(flag(run)))
        ROUTES[method, route] = made
        return made

    return decorate


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


@command(admin, "status", "GET", "/admin/status", "status")
def status(ask: Ask) -> Any:
    """Everything at a glance."""
    return ask()


@command(admin, "config", "GET", "/admin/config", "settings")
def config(ask: Ask) -> Any:
    """The settings in force, without secrets."""
    return ask()


def _page(function: Callable[..., Any]) -> Callable[..., Any]:
    cursor = click.option("--cursor", metavar="TEXT", help="Go on where the page before ended.")
    limit = click.option(
        "--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Most entries of one page."
    )
    return cursor(limit(function))


@command(admin, "audit", "GET", "/admin/audit", "audit")
@_page
def audit(ask: Ask, cursor: str | None, limit: int) -> Any:
    """What operators did and were refused, newest first."""
    return ask(query={"cursor": cursor, "limit": limit})


@command(batcher, "start", "POST", "/admin/batcher/start", "controls")
def start(ask: Ask) -> Any:
    """Post what waits, from now on."""
    return ask()


@command(batcher, "stop", "POST", "/admin/batcher/stop", "controls")
def stop(ask: Ask) -> Any:
    """Post nothing more; claims are still taken. Holds until it is started again."""
    return ask()


@command(batcher, "flush", "POST", "/admin/batcher/flush", "controls", patience=UPLOAD_SECONDS)
def flush(ask: Ask) -> Any:
    """Post everything that waits, now."""
    return ask()


@command(intake, "pause", "POST", "/admin/intake/pause", "controls")
def pause(ask: Ask) -> Any:
    """Take no new claims. Holds until it is resumed."""
    return ask()


@command(intake, "resume", "POST", "/admin/intake/resume", "controls")
def resume(ask: Ask) -> Any:
    """Take claims again."""
    return ask()


@command(admin, "log-level", "PUT", "/admin/log-level", "level")
@click.argument("level", type=click.Choice(["debug", "info", "warning", "error"]))
def log_level(ask: Ask, level: str) -> Any:
    """Log from LEVEL on, until the server's restart."""
    return ask(body={"level": level})


@command(balances, "show", "GET", "/admin/balances", "balances")
def balances_show(ask: Ask) -> Any:
    """Free, earned, locked, and on the chain."""
    return ask()


@command(balances, "deposit", "POST", "/admin/balances/deposit", "balances")
@click.argument("amount", type=AmountParam())
def deposit(ask: Ask, amount: int) -> Any:
    """Move AMOUNT ("0.1 ether", "30 gwei", "1 wei") from the account into its free balance."""
    return ask(body={"wei": str(amount)})


@command(balances, "fund", "POST", "/admin/balances/fund", "balances")
@click.argument("amount", type=AmountParam())
def fund(ask: Ask, amount: int) -> Any:
    """Move AMOUNT ("0.1 ether", "30 gwei", "1 wei") from the account into its earnings, which pay for challenges."""
    return ask(body={"wei": str(amount)})


@command(balances, "withdraw", "POST", "/admin/balances/withdraw", "balances")
@click.argument("amount", type=AmountParam())
def withdraw(ask: Ask, amount: int) -> Any:
    """Move AMOUNT ("0.1 ether", "30 gwei", "1 wei") from the earnings to the account."""
    return ask(body={"wei": str(amount)})


@command(balances, "announce", "POST", "/admin/balances/announce", "balances")
@click.argument("amount", type=AmountParam(zero=True))
def announce(ask: Ask, amount: int) -> Any:
    """Say that AMOUNT of the free balance will leave; `complete` takes it out once the delay is over."""
    return ask(body={"wei": str(amount)})


@command(balances, "complete", "POST", "/admin/balances/complete", "balances")
def complete(ask: Ask) -> Any:
    """Move what was announced from the free balance to the account."""
    return ask()


@command(models, "list", "GET", "/admin/models", "models")
def models_list(ask: Ask) -> Any:
    """All models, retired ones included."""
    return ask()


@command(models, "add", "POST", "/admin/models", "models", patience=UPLOAD_SECONDS)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="What people call it.")
@click.option(
    "--replace",
    is_flag=True,
    help="Take the name from the model that has it (that one stays in service under its id), or change the name of this model.",
)
def models_add(ask: Ask, folder: Path, name: str, replace: bool) -> Any:
    """Offer the model that was saved to FOLDER: the server unpacks, audits and registers it."""
    from rollup.archive import pack

    return ask(query={"name": name, "replace": replace}, content=pack(folder))


@command(models, "retire", "POST", "/admin/models/{model}/retire", "models")
@click.argument("model")
@click.confirmation_option(prompt="New claims about the model will be refused. Retire it?", help="Don't ask.")
def models_retire(ask: Ask, model: str) -> Any:
    """Offer MODEL (its name or id) no more; `restore` offers it again."""
    return ask(model=model)


@command(models, "restore", "POST", "/admin/models/{model}/restore", "models")
@click.argument("model")
def models_restore(ask: Ask, model: str) -> Any:
    """Offer MODEL (its name or id) again, which was retired."""
    return ask(model=model)


@command(disputes_, "list", "GET", "/admin/disputes", "disputes")
@click.option("--open/--ended", "open_", default=None, help="Only those that go on, or only those that ended.")
@_page
def disputes_list(ask: Ask, open_: bool | None, cursor: str | None, limit: int) -> Any:
    """All disputes, newest first."""
    return ask(query={"open": open_, "cursor": cursor, "limit": limit})


@command(disputes_, "show", "GET", "/admin/disputes/{claim_id}", "dispute")
@click.argument("claim", type=ClaimParam())
def disputes_show(ask: Ask, claim: str) -> Any:
    """The dispute about CLAIM, with its moves and clocks."""
    return ask(claim_id=claim)


@command(disputes_, "move", "POST", "/admin/disputes/{claim_id}/moves", "sent", patience=120.0)
@click.argument("claim", type=ClaimParam())
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
