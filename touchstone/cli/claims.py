"""``touchstone claims``: claims as a sequencer tells of them, and what of it L1 bears out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from touchstone.cli.group import Group
from touchstone.cli.user import (
    as_json_flag,
    chain_client,
    client_of,
    deployment_flag,
    hex_of,
    sequencer_flag,
    status_of,
    wait_flags,
)
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings, UserSettings

if TYPE_CHECKING:
    from rollup.claim import ClaimId, PostedClaim
    from rollup.client import ClaimView, Client, Verified

STATES = ("pending", "posted", "challenged", "final", "invalid")


@click.group(cls=Group)
def claims() -> None:
    """Look at claims, and check what a sequencer says about them."""


@claims.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only claims in this state.")
@click.option("--model", metavar="MODEL", help="Only claims about this model (its name or id).")
@click.option("--claimant", metavar="ADDRESS", help="Only claims of this account.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@as_json_flag
@options(UserSettings)
def list_(
    settings: UserSettings, state: Any, model: str | None, claimant: str | None, limit: int, as_json: bool
) -> None:
    """List claims, newest first."""
    from itertools import islice

    from rollup.wire import address_of
    from rollup.words import when
    from touchstone.cli.tables import show, table

    with client_of(settings) as client:
        about = None if model is None else client.model(model).id
        who = None if claimant is None else address_of(claimant, "--claimant")
        pages = client.claims(state=state, model=about, claimant=who, page=min(limit, 100))
        found = list(islice(pages, limit))
    if as_json:
        click.echo(json.dumps([_fields(view) for view in found], indent=2))
        return
    rows = (
        (
            hex_of(view.claim_id),
            view.state,
            hex_of(view.claim.model_id)[:18],
            view.claim.claimant,
            "-" if view.batch is None else view.batch.number,
            when(view.taken_at),
        )
        for view in found
    )
    show(table(("claim", "state", "model", "claimant", "batch", "taken"), rows, "no claims"))


@claims.command()
@click.argument("claim", metavar="ID")
@as_json_flag
@options(UserSettings)
def show(settings: UserSettings, claim: str, as_json: bool) -> None:
    """Show all that the sequencer says about a claim."""
    from touchstone.cli.tables import facts, pairs
    from touchstone.cli.tables import show as printed

    with client_of(settings) as client:
        view = client.get(_claim_id(claim))
    found = _fields(view)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        if not view.saturated:
            found.pop("saturated", None)
        printed(facts(_for_people(dict(pairs(found)))))
        click.echo(outlook(view))


@claims.command()
@click.argument("claim", metavar="ID")
@click.option(
    "--l1",
    metavar="RPC",
    envvar="TOUCHSTONE_RPC",
    default="http://127.0.0.1:8545",
    show_default=True,
    help="URL of an L1 endpoint that you trust.  [env TOUCHSTONE_RPC]",
)
@deployment_flag
@wait_flags
@as_json_flag
@options(UserSettings)
def verify(
    settings: UserSettings, claim: str, l1: str, deployment: Path | None, wait: bool, patience: float, as_json: bool
) -> None:
    """Check what the sequencer says about a claim against L1; exit code 1 if it does not hold, or is not final.

    The claim's id is computed from its fields, its bytes are hashed, its proof is folded, and L1 is asked for its state.
    """
    if deployment is None:
        raise click.UsageError("--deployment is needed: the contract whose word counts")
    with client_of(settings, (l1, deployment)) as client:
        if wait:
            client.wait_final(_claim_id(claim), patience)
        verified = client.verify_inclusion(_claim_id(claim))
        names = [] if as_json or verified.outputs is None else _names(client, verified)
    outputs = None if verified.outputs is None else [one.tolist() for one in verified.outputs]
    if as_json:
        found = {
            "claim_id": hex_of(verified.claim_id),
            "state": status_of(verified),
            "block": verified.block,
            "outputs": outputs,
        }
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("checked  id, input and output bytes" + ", proof" * (verified.status.value > 0))
        for name, output in zip(names, outputs or [], strict=True):
            click.echo(f"output   {name}: {output}")
        click.echo(f"state    {status_of(verified)}, by L1's word at block {verified.block}")
    if not verified.final:
        click.get_current_context().exit(1)


@claims.command()
@click.argument("claim", metavar="[ID]", required=False)
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Signed claim that touchstone infer --save kept: no sequencer is asked.",
)
@sequencer_flag("Sequencer that shows the signed claim, if no file has it.")
@options(ChainSettings)
def enforce(settings: ChainSettings, url: str, file: Path | None, claim: str | None) -> None:
    """Post a signed claim yourself, or burn a bond of the claimant that had another one posted in its place.

    A signed claim is a promise until it expires. The account pays the gas; nothing is paid to it.
    """
    from rollup.l1.events import PromiseBroken
    from rollup.words import show_wei
    from touchstone.promises import enforce as enforced
    from touchstone.promises import load

    if (file is None) == (claim is None):
        raise click.UsageError("name the claim's ID, or the file that has it by --from")
    promised = load(file) if file is not None else _signed(url, str(claim))
    receipt = enforced(chain_client(settings), promised)
    broken = [] if receipt is None else [one for one in receipt.events if isinstance(one, PromiseBroken)]
    if receipt is None:
        click.echo("kept     the claim is on L1")
    elif broken:
        click.echo(
            f"broken   {broken[0].claimant} had claim {hex_of(broken[0].posted)} posted; {show_wei(broken[0].burnt)} of it are burned"
        )
    else:
        click.echo(f"posted   in block {receipt.block}, for {receipt.gas} gas")


def _signed(url: str, claim: str) -> PostedClaim:
    """A signed claim that a sequencer shows."""
    from rollup.client import Client
    from rollup.errors import ClaimError

    with Client(url) as sequencer:
        promised = sequencer.get(_claim_id(claim)).posted
    if promised is None or not promised.signature:
        raise ClaimError(
            f"the sequencer has no signature of claim {claim}, which somebody else posted; nothing is to be enforced"
        )
    return promised


def _names(client: Client, verified: Verified) -> list[str]:
    """Of the outputs, as the model's id commits to them; their numbers if the sequencer can't show them."""
    from rollup.errors import ClientError

    try:
        return [tensor.name for tensor in client.model(verified.claim.model_id).outputs]
    except ClientError:
        return [str(number) for number in range(len(verified.outputs or ()))]


def outlook(view: ClaimView) -> str:
    """How far the claim is, in a sentence: 'posted: final in 14 s; 3 disputes are being played, and each new one delays it'."""
    import time

    from rollup.client.outlook import outlook as said

    return said(view, time.time())


def _claim_id(text: str) -> ClaimId:
    from rollup.wire import claim_id_of

    return claim_id_of(text, "the claim's id")


def _fields(view: ClaimView) -> dict[str, Any]:
    from rollup.documents.claims import ClaimFields, InclusionProof

    found: dict[str, Any] = {
        "claim_id": hex_of(view.claim_id),
        "state": view.state,
        "reason": view.reason,
        "claim": ClaimFields.of(view.claim).model_dump(),
        "taken_at": view.taken_at,
        "final_after": view.final_after,
        "open_disputes": view.open_disputes,
        "batch": None if view.batch is None else _batch(view),
    }
    if view.posted is not None:
        found |= {
            "disputed": view.disputed,
            "signature": hex_of(view.posted.signature),
            "inputs": hex_of(view.posted.inputs),
            "outputs": hex_of(view.posted.outputs),
            "saturated": view.saturated,
            "inclusion": None if view.inclusion is None else InclusionProof.of(view.inclusion).model_dump(),
        }
    return found


def _for_people(found: dict[str, Any]) -> list[tuple[str, Any]]:
    """The same with times as people read them; a batch's ``closes_at`` is one of the clock that stops."""
    from rollup.words import when

    times = {"taken_at", "final_after", "claim.valid_until", "batch.posted_at", "batch.closes_at"}
    return [(name, when(value) if name in times and value else value) for name, value in found.items()]


def _batch(view: ClaimView) -> dict[str, Any]:
    batch = view.batch
    assert batch is not None
    return {
        "number": batch.number,
        "root": hex_of(batch.root),
        "posted_at": batch.posted_at,
        "closes_at": batch.closes_at,
        "transaction": hex_of(batch.transaction),
    }
