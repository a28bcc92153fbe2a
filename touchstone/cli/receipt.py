"""``touchstone receipt``: receipts of the OpenAI-compatible endpoint, fetched, and checked against L1."""

from __future__ import annotations

from pathlib import Path

import click

from touchstone.cli.group import Group
from touchstone.cli.params import HexParam
from touchstone.cli.user import FILE, chain_client
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings


@click.group(cls=Group)
def receipt() -> None:
    """Fetch and check receipts: what a prover signed about an answer of its OpenAI-compatible endpoint."""


@receipt.command("get")
@click.argument("receipt_id", type=HexParam(32), metavar="ID")
@click.option(
    "--url",
    envvar="TOUCHSTONE_KEYS_URL",
    default="http://127.0.0.1:8082",
    show_default=True,
    metavar="URL",
    help="The prover that signed it.  [env TOUCHSTONE_KEYS_URL]",
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Where the receipt is kept, with the bytes of request and answer.",
)
def get(receipt_id: bytes, url: str, save: Path) -> None:
    """Keep the receipt ID with the bytes that it is about: all that has to be known besides L1."""
    from rollup.client import Client
    from rollup.files import require_writable, write_file
    from rollup.types import hex_of

    require_writable(save)
    with Client(url) as client:
        found = client.receipt_file(hex_of(receipt_id))
    write_file(save, found.model_dump_json())
    click.echo(f"receipt  {hex_of(receipt_id)}, kept in {save}")


@receipt.command("verify")
@click.argument("file", type=FILE, metavar="FILE")
@click.option(
    "--texts",
    "model_file",
    type=FILE,
    metavar="FILE.gguf",
    help="The model's file: without it nothing ties the words to the claim.",
)
@click.option("--request", "request_file", type=FILE, metavar="FILE", help="The request's body, as you sent it.")
@click.option("--model", "model_id", type=HexParam(32), metavar="ID", help="Id of the model that you audited.")
@click.option("--nonce", metavar="TEXT", help="What you put into the header touchstone-nonce.")
@options(ChainSettings)
def verify(
    settings: ChainSettings,
    file: Path,
    model_file: Path | None,
    request_file: Path | None,
    model_id: bytes | None,
    nonce: str | None,
) -> None:
    """Check FILE (a receipt that was kept, or an answer's bytes) against L1 alone, and say what is proven so far."""
    from rollup.client.answered import answered
    from rollup.client.receipts import check_answer
    from rollup.types import ModelId, Root

    texts = None
    if model_file is not None:
        from prover.openai.texts import Texts

        texts = Texts.load(model_file)
    request = None if request_file is None else request_file.read_bytes()
    given = answered(file)
    model = None if model_id is None else ModelId(Root(model_id))
    found = check_answer(given, chain_client(settings, signs=False), texts, request, model, nonce)
    click.echo(f"receipt  0x{given.receipt.id.hex()}")
    for text in found.text:
        click.echo(f"answer   {text!r}")
    click.echo(str(found))
