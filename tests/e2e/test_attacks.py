"""Attacks on those who follow L1 and on those who post to it: each tries what an attacker can publish."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from challenger.checkers.inline import CHECKS
from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour
from challenger.watch.watcher import Watcher
from rollup.batch import Inclusion
from rollup.claim import GROUP_GAS, PostedClaim, posting_gas
from rollup.errors import ChainError, ClaimError, EncodingError, Reverted
from rollup.form.encoding import VERSION, Header, TensorType, TracePolicy, decode_header, encode_header
from rollup.game.clock import Side
from rollup.game.moves import Rule
from rollup.group import Group
from rollup.l1.answers import ClaimStatus, Receipt
from rollup.l1.artifacts import artifact
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted, Challenged, ClaimPosted, ModelRegistered, Selected
from rollup.merkle import hash_leaf, hash_node, tensor_tree
from rollup.types import DType, Gindex, ModelId, Root
from sequencer.sequencer import Limits, Sequencer
from sequencer.states import State
from tests.e2e.lies import INPUTS, PROGRAMS, RIGHT, lie_in_op, lie_in_output
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import Published, toy_inputs
from tests.world import ETHER, TERMS, sign_bytes

BYTE = TensorType(DType.I8, 0, ())


@pytest.fixture
def network() -> NetworkWorld:
    return NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])


def register(client: L1Client, header: bytes) -> ModelId:
    """A model of which nothing is known but its header."""
    return client._send("RollupChain", "registerModel", header, bytes(32)).one(ModelRegistered).model_id


def wide_header(tensors: int, tensor_depth: int = 32) -> Header:
    """As many one-byte inputs, which are the outputs as well, and an op's value, as far above their leaves as the protocol
    allows.
    """
    outputs = tuple((value, BYTE) for value in range(tensors))
    return Header(TracePolicy.WITH_CLAIM, 8, tensor_depth, tensors + 1, (BYTE,) * tensors, outputs)


def claim_about(client: L1Client, model_id: ModelId, header: Header, nonce: int) -> PostedClaim:
    """A signed claim about zeros, whose roots are right."""
    if client.balance(client.account) < TERMS.claim_bond:
        client.deposit(ETHER)
    inputs, outputs = bytes(len(header.inputs)), bytes(len(header.outputs))
    root = Root(b"\x01" * 32)
    return sign_bytes(client, header, inputs, outputs, model_id=model_id, nonce=nonce, trace_root=root)


def test_a_header_that_python_cannot_read_is_not_registered(network: NetworkWorld) -> None:
    """One such header stopped everybody who follows L1."""
    ranks = bytes([DType.I8, 0, 13]) + struct.pack(">13I", *[1] * 13)
    header = struct.pack(">HBBBI", VERSION, 0, 1, 0, 2) + b"\x01" + ranks + b"\x01" + struct.pack(">IBBB", 1, 0, 0, 0)
    with pytest.raises(EncodingError, match="13 dimensions"):
        decode_header(header)
    with pytest.raises(Reverted, match="13 dimensions") as refused:
        register(network.client("eve"), header)
    assert refused.value.name == "RankTooLarge"


def test_a_program_without_ops_is_not_registered(network: NetworkWorld) -> None:
    """The root of its trace would be an entry: whoever copies a pending proof would challenge and prove in one transaction."""
    eve = network.client("eve")
    for inputs, depth in ((1, 0), (2, 1)):
        header = Header(TracePolicy.WITH_CLAIM, depth, 0, inputs, (BYTE,) * inputs, ((0, BYTE),))
        with pytest.raises(Reverted, match="no more than its inputs"):
            register(eve, encode_header(header))
        assert register(eve, encode_header(replace(header, trace_depth=depth + 1, values=inputs + 1)))


def test_a_header_that_cannot_be_read_stops_no_watcher(network: NetworkWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, _ = network.watch()

    def refuse(header: bytes) -> Header:
        raise EncodingError("a header of some other release; go on without it")

    monkeypatch.setattr("challenger.state.l1_state.decode_header", refuse)
    model_id = register(network.client("eve"), encode_header(wide_header(2)))
    claimed = lie_in_output(network, Behaviour.PUBLISHES)
    network.settle()
    assert network.status(claimed) is ClaimStatus.INVALID
    assert model_id not in watcher.l1.headers and network.program.id in watcher.l1.headers


def test_a_chain_that_fails_in_the_middle_of_its_news_makes_a_state_count_nothing_twice(
    network: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that was noted twice gave proofs of inclusion that L1 refused."""
    watcher, client = network.watch()
    false = lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
    eve = network.client("eve")
    game = eve.challenge(false.posted.claim, false.inclusion, value=TERMS.challenge_bond).one(Challenged)
    false.defender.poll()
    trace = network.traces.traces[false.claim_id]
    eve.select(eve.game(game).at, Gindex(4), trace.node(Gindex(4)), [trace.node(Gindex(5)), trace.node(Gindex(3))])

    def fail(self: L1Client, transaction: bytes, selected: Selected) -> None:
        raise ChainError("the endpoint does not answer; ask again")

    with monkeypatch.context() as failing:
        failing.setattr(L1Client, "selected_path", fail)
        for _ in range(2):
            with pytest.raises(ChainError):
                watcher.poll()
    network.settle()
    assert [len(batch) for batch in watcher.l1.batches.values()] == [1]
    assert len(watcher.l1.opened(false.claim_id)) == 2
    assert network.status(false) is ClaimStatus.INVALID
    assert client.locked(client.account) == 0


def _select(position: int, path: bytes) -> bytes:
    move = ((bytes(32), bytes(32), "0x" + "11" * 20, 0), bytes(32))
    return artifact("DisputeGame").functions["select"].encode((move, position, b"\x05" * 32, path))


ENDLESS = _select(4, bytes(64))[:-96] + (1 << 255).to_bytes(32, "big") + bytes(64)

HOSTILE = {
    "no position": _select(0, bytes(64)),
    "position behind all": _select((1 << 128) - 1, bytes(32)),
    "more siblings than levels": _select(4, bytes(32 * 300)),
    "siblings cut off": _select(4, bytes(63)),
    "no siblings": _select(4, b""),
    "a path of 2^255 bytes": ENDLESS,
    "selector alone": ENDLESS[:4],
    "another call": bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("calldata", HOSTILE.values(), ids=[name.replace(" ", "-") for name in HOSTILE])
def test_a_selection_through_a_contract_with_hostile_calldata_stops_no_reader(
    network: NetworkWorld, monkeypatch: pytest.MonkeyPatch, calldata: bytes
) -> None:
    """Whoever selects through a contract chooses what the transaction seems to call."""
    watcher, _ = network.watch()
    false = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    monkeypatch.setattr(network.chain, "calldata", lambda transaction: calldata)
    network.settle()
    assert network.status(false) is ClaimStatus.INVALID
    selections = [move for move in watcher.costs.of(false.claim_id) if move.call == "select"]
    assert selections and any(isinstance(event, Selected) for event in selections[0].events)


@dataclass
class Slow:
    """A machine on which every check takes a while, and may fail."""

    network: NetworkWorld
    seconds: int = 0
    trap: bytes = b""
    reference: Reference = field(init=False)

    def __post_init__(self) -> None:
        self.reference = Reference(self.network.program)

    def values(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self.seconds:
            self.network.chain.advance(self.seconds)
        if self.trap and inputs[0].tobytes() == self.trap:
            raise RuntimeError("some library does not like these numbers")
        return self.reference.values(inputs)

    def outputs(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        values = self.values(inputs)
        return [values[value] for value, _ in self.network.program.header.outputs]


def _watch_with(network: NetworkWorld, machine: Slow) -> tuple[Watcher, L1Client]:
    client = network.client("watcher")
    watcher = Watcher(client, network.traces, lambda program: machine, network.admit)
    watcher.hold(network.program)
    network.watchers.append(watcher)
    return watcher, client


def test_a_flood_of_claims_lets_no_clock_of_the_watcher_run_out(
    network: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking all of the flood before the next move took longer than the watcher had."""
    monkeypatch.setattr("challenger.checkers.inline.CHECKS", 2)
    machine = Slow(network)
    watcher, client = _watch_with(network, machine)
    false = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    watcher.poll()
    false.defender.poll()
    flood = [network.claim(f"flood {number}", toy_inputs(number)) for number in range(5)]
    machine.seconds = TERMS.clock // 4
    assert [receipt.call for receipt in watcher.poll()] == ["select"]
    assert len(watcher.checked) == 3
    false.defender.poll()
    assert [receipt.call for receipt in watcher.poll()] == ["select"]
    machine.seconds = 0
    network.settle()
    assert network.status(false) is ClaimStatus.INVALID
    assert client.locked(client.account) == 0
    assert [network.status(one) for one in flood] == [ClaimStatus.FINAL] * 5
    assert CHECKS > 2


def test_an_input_on_which_a_library_fails_stops_no_watcher(network: NetworkWorld) -> None:
    watcher, _ = _watch_with(network, Slow(network, trap=toy_inputs(3)[0].tobytes()))
    trap = network.claim("trap", toy_inputs(3))
    false = lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
    network.settle()
    assert isinstance(watcher.troubles[trap.claim_id], RuntimeError)
    assert network.status(false) is ClaimStatus.INVALID


def test_a_watcher_that_slept_over_its_clock_challenges_again(network: NetworkWorld) -> None:
    """Nobody has to collect the lost game, least of all the liar: it stood in the way of another one."""
    watcher, client = network.watch()
    false = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    watcher.poll()
    false.defender.poll()
    false.defender.behaviour = Behaviour.SILENT
    network.chain.advance(TERMS.clock + 1)
    lost = client.game(watcher.l1.opened(false.claim_id)[0])
    assert lost.live and lost.expired is Side.CHALLENGER
    assert [receipt.call for receipt in watcher.poll()] == ["challenge"]
    network.settle()
    assert network.status(false) is ClaimStatus.INVALID
    assert len(client.games_of(false.claim_id)) == 2


def test_a_watcher_that_starts_again_checks_no_claim_that_is_settled(network: NetworkWorld) -> None:
    network.watch()
    settled = network.claim("honest", INPUTS)
    network.settle()
    again, _ = network.watch()
    waiting = network.claim("honest", INPUTS)
    again.poll()
    assert settled.claim_id not in again.checked and waiting.claim_id in again.checked


def test_a_watcher_that_holds_a_program_needs_no_event_of_its_registration(network: NetworkWorld) -> None:
    client = network.client("watcher")
    watcher = Watcher(client, network.traces, Reference, network.admit, first=network.chain.height() + 1)
    watcher.hold(network.program)
    network.watchers.append(watcher)
    false = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    network.settle()
    assert network.status(false) is ClaimStatus.INVALID


def test_a_claim_that_cannot_be_defended_holds_up_no_other_claim_of_its_claimant(network: NetworkWorld) -> None:
    first = network.claim("honest", INPUTS, behaviour=Behaviour.WITHHOLDS)
    second = network.claim("honest", toy_inputs(2), behaviour=Behaviour.WITHHOLDS)
    both = first.defender
    both.uphold(second.claim_id, network.program, second.defender._claims[second.claim_id].trace)
    network.claims.remove(second)

    class Broken(Published):
        def node(self, gindex: Gindex) -> Root:
            raise OSError("the disk is gone")

    both.uphold(first.claim_id, network.program, Broken(network.program, RIGHT))
    eve = network.client("eve")
    for claimed in (first, second):
        eve.challenge(claimed.posted.claim, claimed.inclusion, value=TERMS.challenge_bond)
    both.poll()
    assert isinstance(both.troubles[first.claim_id], OSError)
    assert [receipt.call for receipt in both.costs.of(second.claim_id)] == ["reveal"]


@pytest.mark.parametrize(("tensors", "depth"), [(1, 0), (1, 32), (16, 32), (60, 8)])
def test_posting_a_claim_costs_no_more_than_its_bound(network: NetworkWorld, tensors: int, depth: int) -> None:
    header = wide_header(tensors, depth)
    eve = network.client("eve")
    posted = claim_about(eve, register(eve, encode_header(header)), header, 1)
    receipt = eve.post_batch([posted])
    assert receipt.one(ClaimPosted)
    bound = posting_gas(header, posted) + GROUP_GAS
    assert receipt.gas <= bound <= 2 * receipt.gas + 200_000


def test_a_claim_of_a_few_bytes_and_many_tensors_spoils_no_batch(network: NetworkWorld) -> None:
    """510 bytes at 510 inputs and outputs of depth 32 take more gas than many batches have."""
    eve, header = network.client("eve"), wide_header(255)
    sequencer = Sequencer(network.client("narrow"), limits=Limits(gas=10_000_000))
    monster = claim_about(eve, register(eve, encode_header(header)), header, 1)
    with pytest.raises(ClaimError, match="fewer inputs and outputs"):
        sequencer.submit(monster)
    narrow = wide_header(128)
    model_id = register(eve, encode_header(narrow))
    for nonce in range(2, 5):
        sequencer.submit(claim_about(eve, model_id, narrow, nonce))
    receipts = sequencer.flush()
    assert [receipt.one(BatchPosted).count for receipt in receipts] == [1, 1, 1]
    assert max(receipt.gas for receipt in receipts) < 10_000_000


def test_a_claim_that_l1_refuses_to_take_is_skipped_alone(
    network: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever makes a transaction fail is found by halving the batch, and holds up nobody else's claims."""
    honest = network.claim("honest", INPUTS)
    claims = [
        honest.client.sign(replace(honest.posted.claim, nonce=nonce), honest.posted.inputs, honest.posted.outputs)
        for nonce in range(101, 106)
    ]
    ids = [network.sequencer.submit(posted) for posted in claims]
    post = L1Client.post_groups

    def refuse(self: L1Client, groups: Sequence[Group]) -> Receipt:
        if any(claims[2] in group.claims for group in groups):
            raise Reverted("Unknown", {}, "the contract reverted with no data; check the address and the gas")
        return post(self, groups)

    monkeypatch.setattr(L1Client, "post_groups", refuse)
    network.sequencer.flush()
    states = [network.sequencer.store.claims.state(claim_id) for claim_id in ids]
    assert states == [State.POSTED] * 2 + [State.INVALID] + [State.POSTED] * 2


def test_a_claim_that_somebody_else_posted_first_is_not_told_to_be_skipped(network: NetworkWorld) -> None:
    """Whoever copies a sequencer's batch from the mempool has all of its claims skipped there, and posted."""
    honest = network.claim("honest", INPUTS)
    posted = honest.client.sign(replace(honest.posted.claim, nonce=101), honest.posted.inputs, honest.posted.outputs)
    claim_id = network.sequencer.submit(posted)
    copied = network.client("eve").post_batch([posted]).one(ClaimPosted)
    network.sequencer.flush()
    entry = network.sequencer.store.claims.get(claim_id)
    assert entry is not None and entry.state is State.POSTED
    assert (entry.batch, entry.index) == (copied.batch, copied.index)


FOUR = TensorType(DType.I8, 0, (4,))
NONE = TensorType(DType.I32, 0, (0,))
LEAF_ROOT = tensor_tree(b"abcd", 0).root
EMPTY = tensor_tree(b"", 2).root


def input_given_back(outputs: bytes) -> tuple[Header, bytes, bytes, Root]:
    """A trace of two equal leaves: the input, which is both outputs, and an op's value."""
    header = Header(TracePolicy.WITH_CLAIM, 1, 0, 2, (FOUR,), ((0, FOUR), (0, FOUR)))
    return header, b"abcd", outputs, hash_node(LEAF_ROOT, LEAF_ROOT)


def no_elements() -> tuple[Header, bytes, bytes, Root]:
    """An input and an output without elements, in trees of four leaves."""
    header = Header(TracePolicy.WITH_CLAIM, 1, 2, 2, (NONE,), ((1, NONE),))
    return header, b"", b"", hash_node(EMPTY, EMPTY)


def prove_at_once(
    network: NetworkWorld, case: tuple[Header, bytes, bytes, Root], place: int, rule: Rule, proof: bytes
) -> str:
    """Post the claim, challenge it with a commitment to the place, prove: the name of what came of it."""
    header, inputs, outputs, root = case
    honest, eve = network.client("honest"), network.client("eve")
    honest.deposit(ETHER)
    model_id = register(honest, encode_header(header))
    signed = sign_bytes(honest, header, inputs, outputs, model_id=model_id, trace_root=root)
    claim, posted = signed.claim, honest.post_batch([signed]).one(ClaimPosted)
    commitment = eve.commitment(posted.claim_id, root, Gindex(place), bytes(32))
    inclusion = Inclusion(posted.batch, posted.index, ())
    game = eve.challenge(claim, inclusion, commitment, TERMS.challenge_bond).one(Challenged)
    try:
        eve.prove(eve.game(game).at, claim, Gindex(place), bytes(32), rule, proof)
    except Reverted as error:
        assert eve.status(claim, inclusion) is ClaimStatus.CHALLENGED
        return error.name
    assert eve.status(claim, inclusion) is ClaimStatus.INVALID
    return "convicted"


RIGHT_OUTPUTS = input_given_back(b"abcdabcd")
ENTRY = LEAF_ROOT * 2
"""The first of them, and its path."""
BARE = no_elements()
PATH = hash_leaf(bytes(1024)) + hash_node(*[hash_leaf(bytes(1024))] * 2) + EMPTY


@pytest.mark.parametrize(
    ("case", "place", "rule", "proof", "outcome"),
    [
        (RIGHT_OUTPUTS, 2, Rule.INPUT, ENTRY + b"\x00" + LEAF_ROOT, "NoMismatch"),
        (RIGHT_OUTPUTS, 2, Rule.OUTPUT, ENTRY + b"\x00" + LEAF_ROOT * 2, "NoMismatch"),
        (RIGHT_OUTPUTS, 2, Rule.OUTPUT, ENTRY + b"\x01" + LEAF_ROOT * 2, "NoMismatch"),
        (RIGHT_OUTPUTS, 2, Rule.OUTPUT, ENTRY + b"\x02" + LEAF_ROOT * 2, "RuleNotApplicable"),
        (RIGHT_OUTPUTS, 2, Rule.OUTPUT, ENTRY + b"\xff" + LEAF_ROOT * 2, "RuleNotApplicable"),
        (RIGHT_OUTPUTS, 2, Rule.PADDING, b"abcd" + bytes(1020) + LEAF_ROOT, "NoMismatch"),
        (RIGHT_OUTPUTS, 2, Rule.PADDING, b"abcd" + bytes(1019) + b"\x01" + LEAF_ROOT, "HashMismatch"),
        (RIGHT_OUTPUTS, 2, Rule.STEP, b"abcd" + bytes(1020) + LEAF_ROOT, "RuleNotApplicable"),
        (RIGHT_OUTPUTS, 2, Rule.TIMEOUT, b"", "RuleNotApplicable"),
        (RIGHT_OUTPUTS, 0, Rule.OUTPUT, ENTRY + b"\x00" + LEAF_ROOT * 2, "NoPosition"),
        (RIGHT_OUTPUTS, 1, Rule.OUTPUT, ENTRY + b"\x00" + LEAF_ROOT * 2, "RuleNotApplicable"),
        (RIGHT_OUTPUTS, 1 << 127, Rule.OUTPUT, ENTRY + b"\x00" + LEAF_ROOT * 2, "RuleNotApplicable"),
        (BARE, 2, Rule.INPUT, EMPTY * 2 + b"\x00" + EMPTY, "NoMismatch"),
        (BARE, 3, Rule.OUTPUT, EMPTY * 2 + b"\x00" + EMPTY, "NoMismatch"),
        (BARE, 2, Rule.OUTPUT, EMPTY * 2 + b"\x00" + EMPTY, "RuleNotApplicable"),
        (BARE, 8, Rule.PADDING, bytes(1024) + PATH, "NoMismatch"),
        (input_given_back(b"abcdabcx"), 2, Rule.OUTPUT, ENTRY + b"\x00" + LEAF_ROOT * 2, "HashMismatch"),
        (
            input_given_back(b"abcdabcx"),
            2,
            Rule.OUTPUT,
            ENTRY + b"\x01" + tensor_tree(b"abcx", 0).root + LEAF_ROOT,
            "convicted",
        ),
    ],
)
def test_odd_headers_convict_the_false_claim_and_no_true_one(
    network: NetworkWorld, case: tuple[Header, bytes, bytes, Root], place: int, rule: Rule, proof: bytes, outcome: str
) -> None:
    """No depth of tensors, outputs that are the input, twice; tensors without elements; numbers of tensors that do not exist."""
    assert prove_at_once(network, case, place, rule, proof) == outcome
