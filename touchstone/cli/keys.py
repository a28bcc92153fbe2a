"""``touchstone keys``: API keys of a prover's OpenAI-compatible endpoint."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from touchstone.cli.group import Group
from touchstone.settings.endpoint import KeyringSettings
from touchstone.settings.options import options

if TYPE_CHECKING:
    from touchstone.cli.remote import Api


@click.group(cls=Group)
def keys() -> None:
    """Make, list and revoke API keys of a prover's OpenAI-compatible endpoint."""


def _api(settings: KeyringSettings) -> Api:
    from touchstone.cli.remote import Api

    token = None if settings.token is None else settings.token.get_secret_value()
    return Api(settings.url, settings.timeout, token)


@keys.command("create")
@click.argument("name")
@click.option("--per-minute", type=click.IntRange(1), default=60, show_default=True, help="Requests in the long run.")
@click.option("--burst", type=click.IntRange(1), default=20, show_default=True, help="Requests at once.")
@options(KeyringSettings)
def create(settings: KeyringSettings, name: str, per_minute: int, burst: int) -> None:
    """Make a key for NAME. It is printed once, and nobody can see it again."""
    body = {"name": name, "per_minute": per_minute, "burst": burst}
    made = _api(settings).ask("POST", "/v1/keys", body=body)
    click.echo(f"id    {made['id']}", err=True)
    click.echo(made["key"])


@keys.command("list")
@options(KeyringSettings)
def list_(settings: KeyringSettings) -> None:
    """List all keys, without what they are."""
    from touchstone.cli.remote import plain

    for one in _api(settings).ask("GET", "/v1/keys")["keys"]:
        state = "good" if one["revoked"] is None else f"revoked {_day(one['revoked'])}"
        limits = f"{one['per_minute']} a minute, {one['burst']} at once"
        click.echo(f"{one['id']}  {_day(one['created'])}  {limits}  {state}  {plain(one['name'])}")


def _day(at: Any) -> str:
    return f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%d %H:%M} UTC"


@keys.command("revoke")
@click.argument("key", metavar="ID")
@options(KeyringSettings)
def revoke(settings: KeyringSettings, key: str) -> None:
    """Revoke the key with this ID: from now on it is nobody's, and what it waits for ends."""
    _api(settings).ask("DELETE", "/v1/keys/{key}", key=key)
    click.echo(f"{key} is revoked")
