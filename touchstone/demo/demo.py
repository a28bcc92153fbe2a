"""The demo: a trained network, a batch of claims of which some lie, and the disputes that find them, on an embedded chain."""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from challenger.defender import Behaviour
from prover import Model, lower
from prover.executor import Executor
from prover.trace import ExecutionTrace
from rollup.files import write_file
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.settings import Parameters
from rollup.types import Duration
from touchstone.demo.digits import CALIBRATION, Digits, classify, digits, load_params
from touchstone.demo.network import ClaimedTrace, Network
from touchstone.demo.story import DemoFailed, step
from touchstone.lying.lies import About, lie

Array = np.ndarray

HONEST = 5
ETHER = 10**18
TERMS = Parameters(window=Duration(600), clock=Duration(300))

LIES = {
    "output": Behaviour.PUBLISHES,
    "intermediate": Behaviour.WITHHOLDS,
    "input": Behaviour.SILENT,
}
"""What the liars lie about, and how they behave when they are challenged."""

WIDTH = 76
GLUE = "\0"

TERMS_IN_WORDS = """\
A claim carries a bond. A watcher that finds it false puts up one, too
(challenge). The claimant opens nodes of its trace's Merkle tree (reveal),
the watcher goes down to the first difference (select), until one kilobyte
of one op's output is left (revealLeaf): the contract computes one element
of it again (prove)."""

NEXT = """\
Next:
  touchstone devnet               a whole network on this machine, with a page
  touchstone demo --model smollm2 the same with a language model
  touchstone model build ...      a model of your own: JAX, ONNX or GGUF"""

LIE_WORDS = {
    None: "honest",
    "output": "lies in an output logit",
    "intermediate": "lies in one element",
    "input": "lies about its input",
}


def _claimed(
    program: Program,
    executor: Executor,
    inputs: list[Array],
    about: str | None,
    other: list[Array],
    rng: np.random.Generator,
) -> tuple[ClaimedTrace, list[Array]]:
    """(trace, outputs) of a claim about ``inputs``, lying as asked."""
    if about is None:
        execution = ExecutionTrace.of(executor, inputs)
        return execution.tree, execution.outputs
    told = lie(program, executor, inputs, About(about), rng, other)
    return told.trace.tree, told.outputs


def lowered(data: Digits) -> Model:
    """The digits network as a program, calibrated on training digits."""
    params = load_params()

    def digit(image: Any) -> Any:
        return classify(params, image)

    return lower(digit, data.images[0], calibration=[(image,) for image in data.train_images[:CALIBRATION]])


def run(seed: int = 0, json_path: Path | None = None, console: Console | None = None) -> dict[str, Any]:
    """Play the demo and print it; also write the report to ``json_path``. Raises DemoFailed if the story ends wrongly."""
    started = time.perf_counter()
    console = console or Console()
    rng = np.random.default_rng(seed)
    console.rule("[bold]Touchstone: inference that you need not take on trust")
    data = digits()
    with step(console, "lower the digits network into an integer program"):
        model = lowered(data)
    with step(console, f"compare it with the float network on all {len(data.images)} held-out digits"):
        fidelity = model.fidelity([(image,) for image in data.images])
    program = model.program
    console.print(f"  model id [cyan]{program.id.hex()}[/cyan]")
    console.print(f"  {len(program.ops)} ops; the trace of an execution has {program.header.values} values")
    output = fidelity.outputs[0]
    assert output.agreement is not None
    console.print(
        f"  same class as float on [bold]{100 * output.agreement:.2f} %[/bold], logits within {100 * output.relative:.4f} % of their range"
    )
    with step(console, "start a chain, deploy the contracts, register the model"):
        network = Network(program, TERMS)
    with step(console, f"claim {HONEST + len(LIES)} digits, {len(LIES)} falsely, in one batch"):
        _claims(network, model, data, rng)
        batch = network.sequencer.flush()
    per_claim = sum(receipt.gas for receipt in batch) // len(network.stories)
    console.print(
        f"  [dim]{sum(receipt.data_bytes for receipt in batch):,} bytes of calldata, {per_claim:,} gas a claim[/dim]"
    )
    console.rule("the watcher re-executes every claim")
    for line in TERMS_IN_WORDS.splitlines():
        console.print(f"  [dim]{line}[/dim]")
    for sentence in network.play():
        console.print(f"  {sentence}")
    console.rule("verdicts")
    for number, words in sorted(_verdicts(network)):
        for line in paragraph(f"claim {number}: {words}"):
            console.print(f"  {line}", highlight=False)
    disputes = network.disputes()
    _print_tables(console, network, disputes)
    bonds = network.bonds()
    console.print(f"bonds: in {_ether(bonds['in'])}, out {_ether(bonds['out'])}, burned {_ether(bonds['burned'])}")
    with step(console, "play the lie in one element again by classical bisection"):
        classical = _classical(program, model, network)
    console.print(
        f"  {classical['challenger_moves']} + {classical['defender_moves']} moves, {classical['gas']:,} gas; "
        f"with {1 << TERMS.arity} children a node: {next(d['gas'] for d in disputes if d['how'] == 'interactive'):,} gas"
    )
    report = {
        "seed": seed,
        "model_id": program.id.hex(),
        "claims": [
            {"id": s.number, "lie": s.lie, "state": s.state.name.lower(), "digit": s.label, "answer": s.answer}
            for s in network.stories
        ],
        "disputes": disputes,
        "classical_bisection": classical,
        "fidelity": {"agreement": output.agreement, "relative": output.relative, "samples": fidelity.samples},
        "bonds": bonds,
        "batch_gas_per_claim": per_claim,
        "seconds": round(time.perf_counter() - started, 2),
    }
    _check(report)
    if json_path is not None:
        write_file(json_path, json.dumps(report, indent=1) + "\n")
    console.print(
        f"[bold green]every lie is struck out, every honest claim is final[/bold green] ({report['seconds']} s)"
    )
    for line in NEXT.splitlines():
        console.print(line, highlight=False)
    return report


def _verdicts(network: Network) -> Iterator[tuple[int, str]]:
    """Of every claim that was struck out its number, and what was wrong with it in words."""
    proven = {story.number: words for story, words in network.verdicts()}
    yield from proven.items()
    for story in network.stories:
        if story.state is ClaimStatus.INVALID and story.number not in proven:
            yield story.number, "its claimant never answered the challenge; whoever lets its clock run out has lost"


def paragraph(words: str) -> list[str]:
    """Lines that fit a narrow terminal, a clause after a semicolon on one of its own; no coordinates and no word is torn apart."""
    lines: list[str] = []
    for number, clause in enumerate(words.split("; ")):
        glued = re.sub(r"\[[^\]]*\]", lambda found: found[0].replace(" ", GLUE), clause)
        indent = "" if number == 0 else "    "
        lines += textwrap.wrap(
            glued,
            WIDTH,
            initial_indent=indent,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [line.replace(GLUE, " ") for line in lines]


def _claims(network: Network, model: Model, data: Digits, rng: np.random.Generator) -> None:
    """Honest claims and one of each lie, in random order, about random held-out digits."""
    lies: list[str | None] = [None] * HONEST + list(LIES)
    order = [lies[j] for j in rng.permutation(len(lies))]
    rows = rng.choice(len(data.images), size=(len(order), 2), replace=False)
    for about, (row, other) in zip(order, rows, strict=True):
        inputs = model.quantize(data.images[row])
        trace, outputs = _claimed(
            network.program, model.executor, inputs, about, model.quantize(data.images[other]), rng
        )
        behaviour = LIES[about] if about else Behaviour.PUBLISHES
        network.claim(inputs, trace, outputs, about, behaviour, int(data.labels[row]))


def _classical(program: Program, model: Model, first: Network) -> dict[str, Any]:
    """The dispute about the lie in one element on a deployment with arity 2^1."""
    story = next(story for story in first.stories if story.lie == "intermediate")
    network = Network(program, replace(TERMS, arity=1))
    inputs, _ = first.watcher.l1.data_of(story.claim_id)
    tensors = [
        np.frombuffer(inputs, dtype=program.header.inputs[0].dtype.numpy).reshape(program.header.inputs[0].shape)
    ]
    rng = np.random.default_rng(story.number)
    trace, outputs = _claimed(program, model.executor, tensors, "intermediate", tensors, rng)
    network.claim(tensors, trace, outputs, "intermediate", Behaviour.WITHHOLDS, story.label)
    network.sequencer.flush()
    for _ in network.play():
        pass
    (dispute,) = network.disputes()
    return dispute


def _ether(wei: int) -> str:
    return f"{wei / ETHER:.3f} ETH"


def _print_tables(console: Console, network: Network, disputes: list[dict[str, Any]]) -> None:
    claims = Table(title="claims", title_justify="left")
    for heading in ("claim", "digit", "claimed class", "the claimant", "state"):
        claims.add_column(heading)
    for story in network.stories:
        colour = "green" if story.state is ClaimStatus.FINAL else "red"
        claims.add_row(
            str(story.number),
            str(story.label),
            str(story.answer),
            LIE_WORDS[story.lie],
            f"[{colour}]{story.state.name}[/{colour}]",
        )
    console.print(claims)
    table = Table(title="disputes", title_justify="left")
    for heading in ("claim", "how", "rule", "moves", "gas", "calldata", "watcher"):
        table.add_column(heading, justify="right" if heading in ("gas", "calldata", "watcher") else "left")
    for d in disputes:
        table.add_row(
            str(d["claim"]), d["how"], d["rule"], f"{d['challenger_moves']} + {d['defender_moves']}", f"{d['gas']:,}",
            f"{d['bytes']:,} B", f"{d['seconds']:.2f} s",
        )  # fmt: skip
    console.print(table)
    moves = Table(title="gas by move", title_justify="left")
    moves.add_column("claim")
    calls = list(dict.fromkeys(call for d in disputes for call in d["gas_by_move"]))
    for call in calls:
        moves.add_column(call, justify="right")
    for d in disputes:
        moves.add_row(
            str(d["claim"]), *(f"{d['gas_by_move'][call]:,}" if call in d["gas_by_move"] else "" for call in calls)
        )
    console.print(moves)


def _check(report: dict[str, Any]) -> None:
    """The story must have ended as it should: a demo that shows anything else has failed."""
    for claim in report["claims"]:
        expected = "invalid" if claim["lie"] else "final"
        if claim["state"] != expected:
            raise DemoFailed(f"claim {claim['id']} ended {claim['state']}, not {expected}")
    lies = {claim["id"] for claim in report["claims"] if claim["lie"]}
    disputed, ways = {d["claim"] for d in report["disputes"]}, {d["how"] for d in report["disputes"]}
    if disputed != lies:
        raise DemoFailed(f"the watcher disputed claims {sorted(disputed)}, the false ones are {sorted(lies)}")
    if ways != {"direct", "interactive", "timeout"}:
        raise DemoFailed(
            f"the disputes went {sorted(ways)}; one each of direct, interactive and timeout was to be shown"
        )
    bonds = report["bonds"]
    if bonds["in"] != bonds["out"] + bonds["burned"]:
        raise DemoFailed(f"money was lost or made: {bonds}")
