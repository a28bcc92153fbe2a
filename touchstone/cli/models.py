"""``touchstone models``: what a network's sequencer serves."""

from __future__ import annotations

import json

import click

from touchstone.cli.user import as_json_flag, client_of, hex_of
from touchstone.settings.options import options
from touchstone.settings.settings import UserSettings


@click.command()
@as_json_flag
@options(UserSettings)
def models(settings: UserSettings, as_json: bool) -> None:
    """List the models that a sequencer serves: their names, ids, inputs and outputs."""
    from touchstone.cli.tables import show, table

    with client_of(settings) as client:
        found = client.models()
    if as_json:
        click.echo(
            json.dumps(
                [{"name": one.name, "model_id": hex_of(one.id), "retired": one.retired} for one in found], indent=2
            )
        )
        return
    rows = (
        (
            one.name + " (retired)" * one.retired,
            hex_of(one.id),
            *(
                ", ".join(f"{port.name} {port.dtype}{list(port.shape)}" for port in ports)
                for ports in (one.inputs, one.outputs)
            ),
        )
        for one in found
    )
    show(table(("model", "id", "inputs", "outputs"), rows, "no models; touchstone admin models add offers one"))
