"""The command ``touchstone``. An expected failure is one sentence on stderr and exit code 1, never a traceback.

What a command needs is imported when it runs, so that ``touchstone --help`` does not wait for JAX.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rollup.errors import TouchstoneError

FAILURE = 1


class _Group(click.Group):
    """Turns the project's expected failures into a sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TouchstoneError as error:
            click.echo(f"touchstone: {error}", err=True)
            ctx.exit(FAILURE)


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="touchstone-rollup", prog_name="touchstone")
def main() -> None:
    """Claims about machine learning models that anyone can check, settled on an EVM."""


@main.command()
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
def demo(seed: int, report: Path | None) -> None:
    """Play one story on an embedded chain: honest claims, three lies, and the disputes that find them."""
    from touchstone.demo import run

    run(seed=seed, json_path=report)


@main.group()
def model() -> None:
    """Look at a lowered model: the folder that a program was saved to."""


@model.command()
@click.argument("path", type=FOLDER)
def show(path: Path) -> None:
    """Print what the program in the folder PATH is: its id, inputs, outputs and ops."""
    from rollup.program import Program
    from touchstone.describe import describe

    click.echo(describe(Program.load(path)))


@model.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--against",
    metavar="MODULE:FUNCTION",
    help="Also compare it with the float model that it claims to be, on --samples.",
)
@click.option(
    "--samples",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.npz",
    help="One array per input, in their order, the samples along the first axis.",
)
@click.option(
    "--within", type=float, default=1e-3, show_default=True, help="Largest difference allowed, over the output's range."
)
@click.pass_context
def audit(context: click.Context, path: Path, against: str | None, samples: Path | None, within: float) -> None:
    """Check that the program in the folder PATH can be trusted and adjudicated; exit code 1 if it can't."""
    from rollup.audit import examine
    from rollup.program import Program

    if (against is None) != (samples is None):
        raise click.UsageError("--against and --samples go together: a comparison needs a function and inputs for it")
    program = Program.load(path)
    report = examine(program)
    click.echo(report)
    if not report.ok:
        context.exit(FAILURE)
    if against is not None and samples is not None:
        from touchstone.compare import compare

        fidelity = compare(program, against, samples)
        click.echo(fidelity)
        if fidelity.relative > within:
            click.echo(
                f"touchstone: the program differs from {against} by more than {within:g} of an output's range", err=True
            )
            context.exit(FAILURE)


if __name__ == "__main__":
    main()
