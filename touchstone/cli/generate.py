"""``touchstone generate``."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.gguf")
@click.argument("prompt")
@click.option("--limit", type=click.IntRange(1), default=64, show_default=True, help="Most tokens of the answer.")
@click.option(
    "--length",
    type=click.IntRange(2),
    default=128,
    show_default=True,
    help="Positions of the program, for prompt and answer together; a program that is loaded has its own.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the lowered program is kept: loaded from there, or lowered and saved there the first time.",
)
@click.option(
    "--samples",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE.txt",
    help="Text that chooses the number formats when the model is lowered; by default a page of English.",
)
@click.option("--plain", is_flag=True, help="Continue PROMPT as it stands, without the model's form of a conversation.")
@click.option(
    "--temperature", type=float, default=0.0, show_default=True, help="0: the most likely tokens; 0.01 to 2: sampled."
)
@click.option(
    "--top-p", type=float, default=1.0, show_default=True, help="Keep the fewest tokens that hold this share."
)
@click.option(
    "--top-k", type=int, default=0, show_default=True, help="Keep so many tokens, the most likely; 0 keeps all."
)
@click.option("--seed", metavar="HEX", help="8 bytes that decide what is drawn; by default fresh ones.")
def generate(
    model: Path,
    prompt: str,
    limit: int,
    length: int,
    folder: Path | None,
    samples: str | None,
    plain: bool,
    temperature: float,
    top_p: float,
    top_k: int,
    seed: str | None,
) -> None:
    """Let a language model answer PROMPT, claim the answer, and have a watcher check it.

    The text comes token by token from the integer program that the claim is about. The claim is posted to an embedded chain; it is one
    pass over prompt and answer, in which every answer token must be the one that the program draws. Two answers with the same
    --temperature, --top-p, --top-k and --seed are the same.
    """
    from prover.language.sampling import Sampling
    from prover.saturation import inside_told
    from rollup.receipt import SEED_BYTES
    from touchstone.models.generation import claimed, language_program
    from touchstone.progress import told

    if temperature == 0 and (top_p != 1 or top_k or seed is not None):
        raise click.UsageError("--top-p, --top-k and --seed need a --temperature above 0")
    try:
        fixed = os.urandom(SEED_BYTES) if seed is None else bytes.fromhex(seed.removeprefix("0x"))
    except ValueError:
        raise click.BadParameter(f"{seed!r} is not hexadecimal", param_hint="--seed") from None
    sampling = Sampling(temperature, top_p, top_k, fixed if temperature else bytes(SEED_BYTES))
    with told():
        speaker = language_program(model, length, folder, samples)
    asked = speaker.language.tokenizer.encode(prompt) if plain else speaker.language.question(prompt)
    answer: list[int] = []
    said = ""
    for token in speaker.generate(asked, limit, sampling):
        answer.append(token)
        text = speaker.text(answer)
        # A character may take several tokens: its first bytes are no text yet.
        if not text.endswith("\ufffd"):
            click.echo(text[len(said) :], nl=False)
            said = text
    click.echo()
    click.echo(f"model     0x{speaker.model.program.id.hex()}, {speaker.length} positions")
    click.echo(
        f"answer    {len(answer)} tokens to a prompt of {len(asked)}; one pass over both accepts every one of them"
    )
    if temperature:
        click.echo(f"sampled   temperature {temperature}, top-p {top_p}, top-k {top_k}, seed 0x{sampling.seed.hex()}")
    settled = claimed(speaker, asked, answer, sampling)
    if settled.inside:
        click.echo(f"ends      {inside_told(settled.inside)}")
    click.echo(f"claim     0x{settled.claim_id.hex()}, posted for {settled.gas:,} gas")
    click.echo(f"watcher   {settled.watcher}")
    click.echo(f"state     {settled.state.name.lower()}")
