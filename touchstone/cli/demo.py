"""``touchstone demo``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--model",
    type=click.Choice(["digits", "smollm2"]),
    default="digits",
    show_default=True,
    help="A small network for handwritten digits, or a language model with 135 million parameters.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Chooses the digits and the lies."
)
@click.option(
    "--json",
    "report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also write what happened to FILE.",
)
@click.option("--question", help="What the language model is asked.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the language model's lowered program is kept for the next time.",
)
def demo(model: str, seed: int, report: Path | None, question: str | None, folder: Path | None) -> None:
    """Play one story on an embedded chain: honest claims, lies, and the disputes that find them.

    With smollm2 it is a question, a generated answer, a claim about it, and another that puts words into the model's mouth.
    """
    from rollup.files import require_writable

    if report is not None:
        require_writable(report)
    if model == "digits":
        if question is not None or folder is not None:
            raise click.UsageError("--question and --folder go with --model smollm2")
        from touchstone.demo.demo import run

        run(seed=seed, json_path=report)
        return
    from touchstone.demo.conversation import QUESTION
    from touchstone.demo.conversation import run as converse

    converse(seed, report, question or QUESTION, folder)
