"""How far a request is, printed, at once or once it is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from touchstone.cli.user import hex_of, patience_flag

if TYPE_CHECKING:
    from rollup.l1.client import L1Client
    from rollup.l1.requests.lookup import FoundRequest

F = TypeVar("F", bound=Callable[..., Any])


def patience_flags(command: F) -> F:
    """``wait``: the level that is waited for, None: none; ``patience``: seconds."""

    def level(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
        waits = context.params.pop("waits", False)
        return value or ("agreed" if waits else None)

    flag = click.option(
        "--wait",
        "waits",
        is_flag=True,
        is_eager=True,
        help="Return only when it is answered: with a quorum when it agrees, else when the answer is final; exit code 1 if the fee "
        "goes back instead.",
    )
    named = click.option(
        "--wait-for",
        "wait",
        type=click.Choice(["agreed", "final"]),
        callback=level,
        help="As --wait, and with final also a quorum's answer is waited for until it is final.",
    )
    return flag(named(patience_flag(command)))


def finish(client: L1Client, request_id: bytes, wait: str | None, patience: float, as_json: bool) -> None:
    """Print how far a request is, at the end of the wait for that level if there is one; exit code 1 if it ended with a refund."""
    from rollup.l1.requests.lookup import find_request
    from touchstone.asking import outputs, paid_to, wait_answer

    found = (
        find_request(client, request_id) if wait is None else wait_answer(client, request_id, patience, wait == "final")
    )
    paid = paid_to(client, found)
    answer = outputs(client, found)
    if as_json:
        click.echo(json.dumps(_fields(found) | {"paid_to": paid, "outputs": answer}, indent=2))
    else:
        for name, value in _lines(found, paid):
            click.echo(f"{name:<8} {value}")
        for number, output in enumerate(answer or []):
            click.echo(f"output   {number}: {output}")
    if wait is not None and found.standing.level == "none":
        click.get_current_context().exit(1)


def _fields(found: FoundRequest) -> dict[str, Any]:
    from rollup.l1.requests.asked import ANYBODY

    request, standing = found.request, found.standing
    return {
        "request_id": hex_of(found.request_id),
        "state": found.state,
        "level": found.standing.level,
        "quorum": request.quorum or None,
        "model": hex_of(request.model_id),
        "fee": str(request.fee),
        "until": standing.until,
        "answer": None if standing.answer is None else hex_of(standing.answer),
        "paid": standing.claimant,
        "told": None if request.callback == ANYBODY else standing.told,
    }


def _lines(found: FoundRequest, paid: Sequence[str]) -> list[tuple[str, Any]]:
    """What a person is told: amounts and times in words, nothing that is not known yet."""
    from rollup.words import show_wei, when

    said = _fields(found)
    told = {None: None, True: "yes", False: "no"}[said["told"]]
    shown = {
        "state": said["state"],
        "level": said["level"],
        "quorum": said["quorum"],
        "model": said["model"],
        "fee": show_wei(found.request.fee),
        "until": when(said["until"]),
        "answer": said["answer"],
        "paid": ", ".join(paid) or None,
        "told": told,
    }
    return [(name, value) for name, value in shown.items() if value is not None]
