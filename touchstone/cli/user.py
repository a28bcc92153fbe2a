"""``touchstone infer`` and ``touchstone claim``: what an application does, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from touchstone.cli.params import HexParam
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings, ClaimSettings, UserSettings

if TYPE_CHECKING:
    import numpy as np

    from rollup.claim import Address, ClaimId
    from rollup.client import Client, Inference, Tensor, Verified
    from rollup.l1.client import L1Client

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
VALID_SECONDS = 3600

as_json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
deployment_flag = click.option(
    "--deployment",
    type=FILE,
    envvar="TOUCHSTONE_DEPLOYMENT",
    metavar="FILE",
    help="File that 'touchstone deploy' wrote.  [env TOUCHSTONE_DEPLOYMENT]",
)


account_flag = click.option(
    "--account", type=HexParam(20), metavar="ADDRESS", help="Whose; by default the key's. No key is needed for this."
)


def reader_of(settings: ChainSettings, account: bytes | None) -> tuple[L1Client, Address]:
    """A client to read with, and the account that is meant: the key's, unless another one is named."""
    from rollup.l1.account.signing import checksummed

    client = chain_client(settings, signs=account is None)
    return client, client.account if account is None else checksummed(hex_of(account))


def chain_client(settings: ChainSettings, signs: bool = True) -> L1Client:
    """A client of the deployment that the settings name, under their account if it ``signs``."""
    from touchstone.services.l1 import client_of as connected
    from touchstone.services.l1 import signer_of

    return connected(settings, signer_of(settings) if signs else None)


patience_flag = click.option(
    "--patience", type=click.FloatRange(min=0), default=3600.0, show_default=True, help="Seconds to wait at most."
)


def wait_flags(command: F) -> F:
    wait = click.option("--wait", is_flag=True, help="Return only when the claim is final; fail if it is invalid.")
    return wait(patience_flag(command))


def sequencer_flag(words: str) -> Callable[[F], F]:
    """``url`` of a sequencer, of commands whose settings don't name one. ``words``: what it is asked."""
    return click.option(
        "--url",
        envvar="TOUCHSTONE_URL",
        default="http://127.0.0.1:8080",
        show_default=True,
        metavar="URL",
        help=f"{words}  [env TOUCHSTONE_URL]",
    )


def input_flag(command: F) -> F:
    return click.option(
        "--input",
        "source",
        type=FILE,
        required=True,
        metavar="FILE.npz|FILE.json",
        help="One array, or nested list, per input of the model.",
    )(command)


clamp_flag = click.option(
    "--clamp",
    is_flag=True,
    help="Cut numbers that the model can't take to the ends of what it takes, instead of refusing them.",
)


@click.command()
@click.argument("model")
@input_flag
@clamp_flag
@wait_flags
@click.option(
    "--l1",
    metavar="RPC",
    help="URL of an L1 endpoint that you trust: then nothing of the service is believed. Needs --deployment.",
)
@deployment_flag
@click.option(
    "--resume",
    "key",
    metavar="KEY",
    help="Get the answer to an inference that was not answered before, by the key that its failure named.",
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also keep the signed claim, for touchstone claims enforce --from FILE. Needs --deployment.",
)
@as_json_flag
@options(UserSettings)
def infer(
    settings: UserSettings,
    model: str,
    source: Path,
    clamp: bool,
    wait: bool,
    patience: float,
    l1: str | None,
    deployment: Path | None,
    key: str | None,
    save: Path | None,
    as_json: bool,
) -> None:
    """Have MODEL (its name or id) run on an input, and the output claimed.

    An inference that is not answered in time is asked for again, with --wait until --patience is over, and never run twice.
    """
    import time

    from touchstone.models.arrays import read_inputs

    if l1 is not None and deployment is None:
        raise click.UsageError("--l1 needs --deployment: the contract whose word counts")
    if save is not None:
        from rollup.files import require_writable

        if deployment is None:
            raise click.UsageError("--save needs --deployment: the contract for which a signature counts")
        require_writable(save)
    trusted = None if l1 is None or deployment is None else (l1, deployment)
    with client_of(settings, trusted) as client:
        answer = _answered(client, model, read_inputs(source), clamp, key, time.monotonic() + (patience if wait else 0))
        if not as_json:
            _say_answer(answer)
        if save is not None and deployment is not None:
            _keep(client, answer, deployment, save)
            if not as_json:
                click.echo(f"promise  {save}: touchstone claims enforce --from {save}")
        verified = client.verify_inclusion(answer) if trusted else None
        state: str = answer.state
        if wait:
            if not as_json:
                click.echo("waiting  until the claim is final ...")
            state = client.wait_final(answer, patience).state
            if trusted:
                verified = client.verify_inclusion(answer)
                state = status_of(verified)
    if as_json:
        found = {
            "claim_id": hex_of(answer.claim_id),
            "state": state,
            "outputs": [one.tolist() for one in answer.outputs],
            "clamped": answer.clamped,
            "saturated": answer.saturated,
            "saturated_inside": answer.saturated_inside,
        }
        click.echo(json.dumps(found if verified is None else {**found, "verified": True}))
        return
    click.echo(f"state    {state}" + (", by L1's word: these outputs of this input" if verified is not None else ""))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@input_flag
@clamp_flag
@click.option(
    "--valid-for",
    type=click.IntRange(min=1),
    default=VALID_SECONDS,
    show_default=True,
    help="Seconds for which it may be posted, by this machine's clock.",
)
@wait_flags
@deployment_flag
@as_json_flag
@options(ClaimSettings)
def claim(
    settings: ClaimSettings,
    folder: Path,
    source: Path,
    clamp: bool,
    valid_for: int,
    wait: bool,
    patience: float,
    deployment: Path | None,
    as_json: bool,
) -> None:
    """Run the model in FOLDER on this machine, sign a claim with an own key, and hand it in.

    The account needs a bond in the contract (`touchstone ledger deposit`), and answers for the claim: `touchstone prover --models
    FOLDER` with the same key defends it if somebody disputes it.
    """
    import time

    from prover.claims import make_claim
    from prover.model import load
    from rollup.l1.account.signing import Domain
    from rollup.l1.deployment import Deployment
    from rollup.types import Timestamp
    from touchstone.models.arrays import read_inputs

    if deployment is None:
        raise click.UsageError("--deployment is needed: a signature counts for one contract")
    signer = _signer(settings)
    place = Deployment.load(deployment)
    until = Timestamp(int(time.time()) + valid_for)
    model = load(folder)
    domain = Domain(place.chain_id, place.contract)
    made = make_claim(model, read_inputs(source), signer, domain, until, clamp=clamp)
    outputs = [one.tolist() for one in made.outputs(model)]
    with client_of(settings) as client:
        named = client.claim(made.posted)
        if named != made.claim_id:
            raise _another(made.claim_id, named)
        state: str = client.wait_final(named, patience).state if wait else "pending"
    if as_json:
        said = {"claim_id": hex_of(named), "state": state, "outputs": outputs, "clamped": made.clamped}
        click.echo(json.dumps({**said, "saturated": made.saturated, "saturated_inside": made.saturated_inside}))
        return
    click.echo(f"claim    {hex_of(named)}, signed by {signer.address}")
    _say_clamped(made.clamped)
    for port, output in zip(model.program.interface.outputs, outputs, strict=True):
        click.echo(f"output   {port.name}: {output}")
    _say_saturated(made.saturated, made.saturated_inside)
    click.echo(f"state    {state}")
    click.echo("bond     locked until the claim is final; then: touchstone ledger release")


def _keep(client: Client, answer: Inference, deployment: Path, file: Path) -> None:
    """Write the signed claim behind an answer into a file, if it is one."""
    from rollup.client.verify import promised
    from rollup.l1.account.signing import Domain
    from rollup.l1.deployment import Deployment
    from touchstone.promises import save

    place = Deployment.load(deployment)
    save(file, promised(answer, client.get(answer.claim_id), Domain(place.chain_id, place.contract)))


def _answered(client: Client, model: str, inputs: list[Any], clamp: bool, key: str | None, until: float) -> Inference:
    """The answer, asked for again by its key until the monotonic clock says ``until``."""
    import time

    from rollup.errors import ClientError, Unanswered

    while True:
        try:
            return client.infer(model, *inputs, clamp=clamp, key=key)
        except Unanswered as error:
            key = error.key
            if time.monotonic() >= until:
                raise ClientError(
                    f"{error} (touchstone infer ... --resume {key})", error.status, error.problem
                ) from None
            click.echo(f"waiting  {error.brief}", err=True)
            time.sleep(1)


def client_of(settings: UserSettings, l1: tuple[str, Path] | None = None) -> Client:
    """The client that the settings describe."""
    from rollup.client import Bounds, Client

    return Client(settings.url, l1=l1, bounds=Bounds(seconds=settings.timeout))


def _signer(settings: ClaimSettings) -> Any:
    from rollup.errors import ClaimError
    from rollup.l1.account.keys import load_signer

    account = settings.account
    if account.key is None and account.keystore is None:
        raise ClaimError("a claim needs a key to sign with; set TOUCHSTONE_KEY, or give --key-file or --keystore")
    key, password = account.key, account.keystore_password
    return load_signer(
        None if key is None else key.get_secret_value(),
        account.keystore,
        None if password is None else password.get_secret_value(),
    )


def _another(signed: ClaimId, named: ClaimId) -> Exception:
    from rollup.errors import BadAnswer

    return BadAnswer(
        f"claim {hex_of(signed)} was handed in, the answer names {hex_of(named)}; the sequencer serves another deployment"
    )


def status_of(verified: Verified) -> str:
    """L1's word about a claim."""
    return "not on L1 yet" if verified.status.value == 0 else verified.status.name.lower()


def _say_answer(answer: Inference) -> None:
    click.echo(f"model    {answer.model.name} ({hex_of(answer.model.id)})")
    click.echo(f"claim    {hex_of(answer.claim_id)}")
    _say_clamped(answer.clamped)
    for tensor, output in zip(answer.model.outputs, answer.outputs, strict=True):
        click.echo(f"output   {tensor.name}: {_shown(output, tensor)}")
    _say_saturated(answer.saturated, answer.saturated_inside)


def _say_clamped(count: int) -> None:
    if count:
        click.echo(f"clamped  {count:,} numbers of the input, to the ends of what the model takes")


def _say_saturated(count: int, inside: int) -> None:
    for elements, place in ((count, "of the output"), (inside, "inside the program")):
        if elements:
            click.echo(
                f"ends     {elements:,} elements {place} lie at an end of their format: the real values may lie beyond"
            )


def _shown(array: np.ndarray, tensor: Tensor) -> str:
    """A few numbers, or the whole of a small array."""
    import numpy as np

    text = np.array2string(array, precision=6, threshold=20, edgeitems=3, suppress_small=True, separator=", ")
    return " ".join(text.split()) + (f" {tensor.dtype}{list(tensor.shape)}" if array.size > 20 else "")


def hex_of(data: bytes) -> str:
    return "0x" + data.hex()
