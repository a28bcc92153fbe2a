"""The demo: a trained network, a batch of claims of which some lie, and the disputes that find them, on an embedded chain."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from challenger.defender import Behaviour, Defender
from challenger.player import theirs
from challenger.trace import SharedTraces, ValueTrace
from challenger.verdict import verdict
from challenger.watcher import Watcher
from prover import Model, lower
from prover.executor import Executor
from rollup.claim import NO_ROOT, Claim, ClaimId, input_root, join, output_root, output_types
from rollup.encoding import TensorType, TracePolicy
from rollup.errors import TouchstoneError
from rollup.game.moves import Rule
from rollup.l1.chain import EmbeddedChain
from rollup.l1.client import ClaimStatus, L1Client, Receipt
from rollup.l1.events import Convicted
from rollup.program import Program
from rollup.settings import Parameters
from rollup.types import Duration
from sequencer.sequencer import Sequencer
from touchstone.digits import Digits, classify, digits, load_params

Array = np.ndarray

HONEST = 5
CALIBRATION = 200
ETHER = 10**18
ROUND_SECONDS = 30
TERMS = Parameters(window=Duration(600), clock=Duration(300))

LIES = {
    "output": Behaviour.PUBLISHES,
    "intermediate": Behaviour.WITHHOLDS,
    "input": Behaviour.SILENT,
}
"""What the liars lie about, and how they behave when they are challenged."""

LIE_WORDS = {None: "honest", "output": "lies in an output logit", "intermediate": "lies in one element", "input": "lies about its input"}


@dataclass
class Story:
    """One claim of the demo."""

    number: int
    digit: int
    answer: int
    lie: str | None
    defender: Defender
    client: L1Client
    claim: Claim
    claim_id: ClaimId
    state: ClaimStatus = ClaimStatus.POSTED


@dataclass
class Act:
    """A network in this process, with what it did."""

    program: Program
    parameters: Parameters
    chain: EmbeddedChain = field(default_factory=EmbeddedChain)
    traces: SharedTraces = field(default_factory=SharedTraces)
    stories: list[Story] = field(default_factory=list)
    seconds: dict[ClaimId, float] = field(default_factory=dict)
    deposited: int = 0

    def __post_init__(self) -> None:
        self.operator = L1Client.deploy(self.chain, self.chain.signer("deployer"), self.parameters)
        self.operator.register(self.program)
        self.sequencer = Sequencer(self.client("sequencer"))
        self.watcher_client = self.client("watcher")
        self.watcher = Watcher(self.watcher_client, self.traces)
        self.watcher.hold(self.program)
        self.deposit(self.watcher_client, 3 * self.parameters.challenge_bond)

    def client(self, name: str) -> L1Client:
        return self.operator.using(self.chain.signer(name))

    def deposit(self, client: L1Client, wei: int) -> None:
        client.deposit(wei)
        self.deposited += wei

    def claim(self, inputs: Sequence[Array], values: Sequence[Array], outputs: Sequence[Array], lie: str | None, digit: int) -> Story:
        """Sign a claim about ``inputs`` with the given trace and outputs, and hand it to the sequencer."""
        header, number = self.program.header, len(self.stories) + 1
        client = self.client(f"claimant {number}")
        self.deposit(client, self.parameters.claim_bond)
        trace = ValueTrace(self.program, list(values))
        input_bytes, output_bytes = join(list(inputs), header.inputs), join(list(outputs), output_types(header))
        claim = Claim(
            self.program.id,
            client.account,
            number,
            self.chain.now() + 3600,
            bytes(32),
            input_root(header, input_bytes),
            output_root(header, output_bytes),
            trace.root if header.policy is TracePolicy.WITH_CLAIM else NO_ROOT,
        )
        claim_id = self.sequencer.submit(client.sign(claim, input_bytes, output_bytes))
        behaviour = LIES[lie] if lie else Behaviour.PUBLISHES
        defender = Defender(client, behaviour, self.traces)
        defender.uphold(claim_id, self.program, trace)
        story = Story(number, digit, int(np.argmax(outputs[0])), lie, defender, client, claim, claim_id)
        self.stories.append(story)
        return story

    def status(self, story: Story) -> ClaimStatus:
        return self.operator.status(story.claim, self.watcher.book.inclusion(story.claim_id))

    def play(self) -> Iterator[str]:
        """Rounds until every claim is final or invalid; yields what happens, as sentences."""
        while True:
            moved = False
            for story, receipt in self._round():
                moved = True
                if receipt.call != "release":
                    yield self._sentence(story, receipt)
            for story in self.stories:
                story.state = self.status(story)
            if not moved and all(story.state in (ClaimStatus.FINAL, ClaimStatus.INVALID) for story in self.stories):
                return
            self.chain.advance(ROUND_SECONDS if moved else self.parameters.clock // 2)

    def _round(self) -> Iterator[tuple[Story | None, Receipt]]:
        """The watcher moves as long as it can, then every claimant."""
        while True:
            started = time.perf_counter()
            receipts = self.watcher.poll()
            spent = (time.perf_counter() - started) / max(len(receipts), 1)
            for receipt in receipts:
                story = self._story(receipt)
                if story is not None:
                    self.seconds[story.claim_id] = self.seconds.get(story.claim_id, 0.0) + spent
                yield story, receipt
            if not receipts:
                break
        for story in self.stories:
            for receipt in story.defender.poll():
                yield story, receipt

    def _story(self, receipt: Receipt) -> Story | None:
        """The claim that a watcher's transaction was about."""
        about = (story for story in self.stories if receipt in self.watcher.costs.of(story.claim_id))
        return next(about, None)

    def _sentence(self, story: Story | None, receipt: Receipt) -> str:
        who = "watcher" if receipt.sender == self.watcher_client.account else "claimant"
        subject = f"claim {story.number}" if story else "several claims"
        convicted = any(isinstance(event, Convicted) for event in receipt.events)
        ended = f"  [red]{subject} is INVALID[/red]" if convicted else ""
        return f"{subject}: {who:8} {receipt.call:10} {receipt.gas:>9,} gas{ended}"

    def disputes(self) -> list[dict[str, Any]]:
        """Every dispute, as the report holds it."""
        found = []
        for story in self.stories:
            challenger = self.watcher.costs.of(story.claim_id)
            if not challenger:
                continue
            defender = [receipt for receipt in story.defender.costs.of(story.claim_id) if receipt.call != "release"]
            convicted = [event for receipt in challenger for event in receipt.events if isinstance(event, Convicted)]
            gas_by_move: dict[str, int] = {}
            for receipt in [*challenger, *defender]:
                gas_by_move[receipt.call] = gas_by_move.get(receipt.call, 0) + receipt.gas
            rule = convicted[0].rule if convicted else None
            direct = {receipt.call for receipt in challenger} == {"challenge", "prove"} and not defender
            found.append(
                {
                    "claim": story.number,
                    "how": "timeout" if rule is Rule.TIMEOUT else "direct" if direct else "interactive",
                    "challenger_moves": len(challenger),
                    "defender_moves": len(defender),
                    "gas": sum(gas_by_move.values()),
                    "gas_by_move": gas_by_move,
                    "bytes": sum(receipt.data_bytes for receipt in [*challenger, *defender]),
                    "seconds": round(self.seconds.get(story.claim_id, 0.0), 3),
                    "rule": rule.name.lower() if rule is not None else None,
                }
            )
        return found

    def verdicts(self) -> Iterator[tuple[Story, str]]:
        """Every conviction by proof, in words."""
        for story in self.stories:
            for receipt in self.watcher.costs.of(story.claim_id):
                for event in receipt.events:
                    if isinstance(event, Convicted) and event.rule is not Rule.TIMEOUT:
                        own = self.watcher.checked[story.claim_id].finding.trace
                        assert own is not None
                        known = theirs(self.watcher.book, self.program, story.claim_id, self.traces)
                        _, outputs = self.watcher.book.data_of(story.claim_id)
                        yield story, str(verdict(self.program, event, own, known, outputs))

    def bonds(self) -> dict[str, int]:
        """Wei that came in, went out and was burned; whoever still has a balance withdraws it first."""
        out = 0
        for client in [self.watcher_client, *(story.client for story in self.stories)]:
            free = client.balance(client.account)
            if free:
                client.withdraw(free)
                out += free
        return {"in": self.deposited, "out": out, "burned": self.operator.burned()}


def resumed(program: Program, values: Sequence[Array]) -> list[Array]:
    """All values of an execution whose first ones are given, right or wrong: the rest follows from them."""
    types = [TensorType(_dtype(program, v), 0, array.shape) for v, array in enumerate(values)]
    rest = [op for op in program.ops if op.first >= len(values)]
    outputs = [(value, tensor) for value, tensor in program.header.outputs if value >= len(values)]
    tail = Program.build(types, outputs, rest, program.constants)
    return list(Executor(tail, self_test=False).values(list(values)))


def _dtype(program: Program, value: int) -> Any:
    if value < len(program.header.inputs):
        return program.header.inputs[value].dtype
    return program.ops[program.locate(value)[0]].dtype


def _with_lie(program: Program, executor: Executor, inputs: list[Array], lie: str | None, other: list[Array], rng: np.random.Generator) -> tuple[list[Array], list[Array]]:
    """(trace values, outputs) of a claim about ``inputs``, lying as asked."""
    values = list(executor.values(other if lie == "input" else inputs))
    if lie == "intermediate":
        ops = range(len(program.header.inputs), program.header.values - 1)
        target = int(rng.choice(list(ops)))
        wrong = values[target].copy()
        element = int(rng.integers(wrong.size))
        wrong.reshape(-1)[element] += int(rng.choice([-1, 1]) * rng.integers(1, 100))
        values = resumed(program, [*values[:target], wrong])
    outputs = [values[value] for value, _ in program.header.outputs]
    if lie == "output":
        outputs = [outputs[0].copy(), *outputs[1:]]
        loser = int(rng.choice([c for c in range(outputs[0].size) if c != int(np.argmax(outputs[0]))]))
        outputs[0].reshape(-1)[loser] = int(outputs[0].max()) + 1
    return values, outputs


def lowered(data: Digits) -> Model:
    """The digits network as a program, calibrated on training digits."""
    params = load_params()

    def digit(image: Any) -> Any:
        return classify(params, image)

    return lower(digit, data.images[0], calibration=[(image,) for image in data.train_images[:CALIBRATION]])


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started = time.perf_counter()
    with console.status(what):
        yield
    console.print(f"[green]✓[/green] {what} [dim]({time.perf_counter() - started:.1f} s)[/dim]")


def run(seed: int = 0, json_path: Path | None = None, console: Console | None = None) -> dict[str, Any]:
    """Play the demo and print it; also write the report to ``json_path``. Raises DemoFailed if the story ends wrongly."""
    started = time.perf_counter()
    console = console or Console()
    rng = np.random.default_rng(seed)
    console.rule("[bold]Touchstone: inference that you need not take on trust")
    data = digits()
    with _step(console, "lower the digits network into an integer program"):
        model = lowered(data)
    with _step(console, f"compare it with the float network on all {len(data.images)} held-out digits"):
        fidelity = model.fidelity([(image,) for image in data.images])
    program = model.program
    console.print(f"  model id [cyan]{program.id.hex()}[/cyan], {len(program.ops)} ops, trace of {program.header.values} values")
    output = fidelity.outputs[0]
    console.print(
        f"  same class as float on [bold]{100 * output.agreement:.2f} %[/bold], logits within {100 * output.relative:.4f} % of their range"
    )
    with _step(console, "start a chain, deploy the contracts, register the model, hold it as a watcher"):
        act = Act(program, TERMS)
    with _step(console, f"claim {HONEST + len(LIES)} digits, {len(LIES)} of them falsely, and post them in one batch"):
        _claims(act, model, data, rng)
        batch = act.sequencer.flush()
    per_claim = sum(receipt.gas for receipt in batch) // len(act.stories)
    console.print(f"  [dim]{sum(receipt.data_bytes for receipt in batch):,} bytes of calldata, {per_claim:,} gas a claim[/dim]")
    console.rule("the watcher re-executes every claim")
    for sentence in act.play():
        console.print(f"  {sentence}")
    console.rule("verdicts")
    for story, words in act.verdicts():
        console.print(f"  claim {story.number}: {words}", highlight=False)
    disputes = act.disputes()
    _print_tables(console, act, disputes)
    bonds = act.bonds()
    console.print(f"bonds: in {_ether(bonds['in'])}, out {_ether(bonds['out'])}, burned {_ether(bonds['burned'])}")
    with _step(console, "play the lie in one element again with arity 2^1, the classical bisection"):
        classical = _classical(program, model, act)
    console.print(
        f"  {classical['challenger_moves']} + {classical['defender_moves']} moves, {classical['gas']:,} gas; "
        f"with 2^{TERMS.arity}: {next(d['gas'] for d in disputes if d['how'] == 'interactive'):,} gas"
    )
    report = {
        "seed": seed,
        "model_id": program.id.hex(),
        "claims": [{"id": s.number, "lie": s.lie, "state": s.state.name.lower(), "digit": s.digit, "answer": s.answer} for s in act.stories],
        "disputes": disputes,
        "classical_bisection": classical,
        "fidelity": {"agreement": output.agreement, "relative": output.relative, "samples": fidelity.samples},
        "bonds": bonds,
        "batch_gas_per_claim": per_claim,
        "seconds": round(time.perf_counter() - started, 2),
    }
    _check(report)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n")
    console.print(f"[bold green]every lie is struck out, every honest claim is final[/bold green] ({report['seconds']} s)")
    return report


def _claims(act: Act, model: Model, data: Digits, rng: np.random.Generator) -> None:
    """Honest claims and one of each lie, in random order, about random held-out digits."""
    lies: list[str | None] = [None] * HONEST + list(LIES)
    order = [lies[j] for j in rng.permutation(len(lies))]
    rows = rng.choice(len(data.images), size=(len(order), 2), replace=False)
    for lie, (row, other) in zip(order, rows, strict=True):
        inputs = model.quantize(data.images[row])
        values, outputs = _with_lie(act.program, model.executor, inputs, lie, model.quantize(data.images[other]), rng)
        act.claim(inputs, values, outputs, lie, int(data.labels[row]))


def _classical(program: Program, model: Model, first: Act) -> dict[str, Any]:
    """The dispute about the lie in one element on a deployment with arity 2^1."""
    story = next(story for story in first.stories if story.lie == "intermediate")
    act = Act(program, replace(TERMS, arity=1))
    inputs, _ = first.watcher.book.data_of(story.claim_id)
    tensors = [np.frombuffer(inputs, dtype=program.header.inputs[0].dtype.numpy).reshape(program.header.inputs[0].shape)]
    rng = np.random.default_rng(story.number)
    values, outputs = _with_lie(program, model.executor, tensors, "intermediate", tensors, rng)
    act.claim(tensors, values, outputs, "intermediate", story.digit)
    act.sequencer.flush()
    for _ in act.play():
        pass
    (dispute,) = act.disputes()
    return dispute


def _ether(wei: int) -> str:
    return f"{wei / ETHER:.3f} ETH"


def _print_tables(console: Console, act: Act, disputes: list[dict[str, Any]]) -> None:
    claims = Table(title="claims", title_justify="left")
    for heading in ("claim", "digit", "claimed class", "the claimant", "state"):
        claims.add_column(heading)
    for story in act.stories:
        colour = "green" if story.state is ClaimStatus.FINAL else "red"
        claims.add_row(
            str(story.number), str(story.digit), str(story.answer), LIE_WORDS[story.lie], f"[{colour}]{story.state.name}[/{colour}]"
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
        moves.add_row(str(d["claim"]), *(f"{d['gas_by_move'][call]:,}" if call in d["gas_by_move"] else "" for call in calls))
    console.print(moves)


class DemoFailed(TouchstoneError):
    """The story ended otherwise than it must."""


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
        raise DemoFailed(f"the disputes went {sorted(ways)}; one each of direct, interactive and timeout was to be shown")
    bonds = report["bonds"]
    if bonds["in"] != bonds["out"] + bonds["burned"]:
        raise DemoFailed(f"money was lost or made: {bonds}")
