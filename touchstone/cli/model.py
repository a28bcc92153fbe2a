"""``touchstone model ...``: programs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from touchstone.cli.group import FAILURE
from touchstone.cli.params import LengthsParam

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def model() -> None:
    """Lowered models: build one from a JAX function, look at one, check somebody else's."""


@model.command()
@click.argument("path", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="As JSON; docs/models.md says what the fields mean.")
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also draw its graph into a file.",
)
def show(path: Path, as_json: bool, svg: Path | None) -> None:
    """Print what the program in the folder PATH is: its id, inputs, outputs, fidelity, and every op with its format, constants,
    bytes of trace and the most that a one-step proof about it can cost.
    """
    import json

    from rollup.form.program import Program
    from touchstone.models.anatomy import anatomy
    from touchstone.models.describe import describe

    found = anatomy(Program.load(path))
    if svg is not None:
        from rollup.files import write_file
        from touchstone.models.drawing import picture

        write_file(svg, picture(found))
    click.echo(json.dumps(found.to_json(), indent=1) if as_json else describe(found))


@model.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--against",
    metavar="MODULE:FUNCTION|FILE.onnx|FILE.gguf",
    help="Also compare it with the float model that it claims to be, on --samples.",
)
@click.option(
    "--samples",
    metavar="FILE.npz|MODULE:FUNCTION|FILE.txt",
    help="Inputs to compare on: one array per input, the samples along the first axis; text for a language model.",
)
@click.option(
    "--within", type=float, default=1e-3, show_default=True, help="Largest difference allowed, over the output's range."
)
@click.pass_context
def audit(context: click.Context, path: Path, against: str | None, samples: str | None, within: float) -> None:
    """Check that the program in the folder PATH can be trusted and adjudicated; exit code 1 if it can't.

    What its author says of its fidelity is no part of its id: --against and --samples compute it again.
    """
    from rollup.audit import examine
    from rollup.form.program import Program

    if (against is None) != (samples is None):
        raise click.UsageError("--against and --samples go together: a comparison needs a function and inputs for it")
    program = Program.load(path)
    compared = None
    if against is not None and samples is not None:
        from touchstone.models.compare import fitted
        from touchstone.progress import told

        compared = fitted(program, against, samples)
    report = examine(program)
    click.echo(report)
    if not report.ok:
        context.exit(FAILURE)
    if compared is not None:
        model, rows = compared
        with told():
            fidelity = model.fidelity(rows)
        click.echo(fidelity)
        if fidelity.relative > within:
            verdict = f"the program differs from {against} by more than {within:g} of an output's range"
            if fidelity.saturated_inputs:
                verdict += (
                    f"; {fidelity.saturated_inputs:,} elements of the inputs are beyond what it takes, which is no fault of the rest: "
                    "compare on samples within the ranges that touchstone model show prints, or build it with samples that reach as far"
                )
            click.echo(f"touchstone: {verdict}", err=True)
            context.exit(FAILURE)


@model.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--against",
    metavar="MODULE:FUNCTION|FILE.onnx|FILE.gguf",
    required=True,
    help="The float model that the program was lowered from.",
)
@click.option(
    "--samples",
    metavar="FILE.npz|MODULE:FUNCTION|FILE.txt",
    required=True,
    help="Inputs to compare on, of which the first four count: one array per input, the samples along the first axis; text for a "
    "language model.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON; docs/models.md says what the fields mean.")
def compare(path: Path, against: str, samples: str, as_json: bool) -> None:
    """Print the error of every value of the program in the folder PATH, from input to output, beside the float array that it stands
    for: its format, the float range, root mean square and largest difference over that range, and how many elements saturate.

    The first value in which precision is lost is marked: its error is more than four times that of what it is computed from, and
    more than a thousandth of its range.
    """
    import json

    from rollup.form.program import Program
    from touchstone.models.compare import by_value, table

    found = by_value(Program.load(path), against, samples)
    if as_json:
        click.echo(json.dumps({"values": [one.to_json() for one in found]}, indent=1))
        return
    for line in table(found):
        click.echo(line)


@model.command()
@click.argument("source", metavar="MODULE:FUNCTION|FILE.onnx|FILE.gguf")
@click.option(
    "--samples",
    metavar="FILE.npz|MODULE:FUNCTION|FILE.txt",
    help="Inputs that choose the number formats: one array per input, the samples along the first axis; text for a language model.",
)
@click.option(
    "--held-out",
    metavar="FILE.npz|MODULE:FUNCTION|FILE.txt",
    help="More of them, which choose nothing and measure the result; without it, every fifth sample is held out.",
)
@click.option(
    "--fix",
    multiple=True,
    metavar="INPUT=VALUE",
    help="An input of an ONNX file that becomes a constant, as JSON: what decides shapes or branches. Several times for several.",
)
@click.option(
    "--length",
    "lengths",
    type=LengthsParam(),
    default=(),
    help="Tokens of a pass of a language model (prompt and answer, or the text to embed). Several lengths, like 128,512, give a program "
    "each, in a folder named after its length; they share the files of equal constants. [128]",
)
@click.option(
    "--embedding",
    is_flag=True,
    help="Of a language model, the program that embeds texts (the normalised mean of the hidden states), not the one that writes them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Where the program is written.",
)
@click.option(
    "--formats",
    metavar="NAME",
    help="Bits of weights and values, w16a16, w15a16 or w8a16, and from which factor between largest and typical magnitude on a value is "
    "widened or scaled by row: w16a16/8, w16a16/8/1000. [w16a16; of a language model w15a16]",
)
@click.option(
    "--target",
    metavar="MEASURE=BOUND",
    help="How close it must come on the samples: top1=99.9 (percent), rel=1e-3 (of an output's range), kl=1e-4 (nats) or "
    "cos=0.9999; the cheapest formats that do are chosen.",
)
def build(
    source: str,
    samples: str | None,
    held_out: str | None,
    fix: tuple[str, ...],
    lengths: tuple[int, ...],
    embedding: bool,
    output: Path,
    formats: str | None,
    target: str | None,
) -> None:
    """Lower a float model to a program, write it to a folder, and say how close it comes to the float model.

    The model is a JAX function (the working directory is searched for its module), an ONNX file, or a language model
    as GGUF file.
    """
    from rollup.files import require_writable
    from rollup.links import link_constants
    from touchstone.models.build import build as lowered
    from touchstone.models.build import summary
    from touchstone.progress import told

    wanted: tuple[int | None, ...] = lengths or (None,)
    folders = {length: output / str(length) if len(wanted) > 1 else output for length in wanted}
    for folder in folders.values():
        require_writable(folder)
    for length, folder in folders.items():
        with told():
            built = lowered(source, samples, formats, held_out, target, length, dict(map(_fixed, fix)), embedding)
        built.model.save(folder)
        shared = link_constants(folder, [other for other in folders.values() if other != folder])
        for line in [*summary(built), f"folder    {folder}", *([f"shared    {shared:,} bytes"] if shared else [])]:
            click.echo(line)


def _fixed(text: str) -> tuple[str, Any]:
    """(name, value) of ``name=json``."""
    from rollup.form.program import parse_json

    name, _, value = text.partition("=")
    try:
        return name, parse_json(value)
    except ValueError as error:
        raise click.UsageError(f"--fix {text}: {error}; write INPUT=VALUE with a JSON value, like rate=16000") from None
