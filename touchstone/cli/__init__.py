"""The command ``touchstone``. An expected failure is one sentence on stderr and exit code 1, never a traceback.

One file per family of commands; a file defines commands and this one names them. What a command needs is imported when it
runs, so that ``touchstone --help`` does not wait for JAX.
"""

from __future__ import annotations

import click

from touchstone.cli.admin import admin
from touchstone.cli.claims import claims
from touchstone.cli.demo import demo
from touchstone.cli.deploy import deploy
from touchstone.cli.devnet import chain, devnet, seed
from touchstone.cli.disputes import disputes
from touchstone.cli.economics import economics
from touchstone.cli.explain import explain
from touchstone.cli.generate import generate
from touchstone.cli.group import Group
from touchstone.cli.keys import keys
from touchstone.cli.ledger import ledger
from touchstone.cli.lie import lie
from touchstone.cli.model import model
from touchstone.cli.models import models
from touchstone.cli.receipt import receipt
from touchstone.cli.request import request
from touchstone.cli.services import prover, sequencer, watch
from touchstone.cli.stake import stake
from touchstone.cli.user import claim, infer


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="touchstone-rollup", prog_name="touchstone")
def main() -> None:
    """Claims about machine learning models that anyone can check, settled on an EVM."""


main.add_command(demo)
main.add_command(model)
main.add_command(generate)
main.add_command(chain)
main.add_command(deploy)
main.add_command(economics)
main.add_command(models)
main.add_command(infer)
main.add_command(claim)
main.add_command(claims)
main.add_command(receipt)
main.add_command(request)
main.add_command(explain)
main.add_command(devnet)
main.add_command(seed)
main.add_command(sequencer)
main.add_command(prover)
main.add_command(ledger)
main.add_command(stake)
main.add_command(lie)
main.add_command(disputes)
main.add_command(keys)
main.add_command(admin)
main.add_command(watch)
