"""What every transaction of the rollup costs: whole transactions on the embedded chain, under Prague's rules and EIP-7976's.

``python -m tests.contracts.dispute_gas`` rewrites the snapshot dispute_gas.json. Moves and rules are those of the toy program
at the default arity; the proofs about larger ops are those of one_step_gas.py, through the game.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from challenger.defender import Behaviour
from challenger.play.reductions import Reductions
from rollup.batch import Batch, Inclusion
from rollup.claim import join, output_types
from rollup.errors import ChainError
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.ops import Access, Monoid, Op, Term, Value
from rollup.form.program import Program
from rollup.game.endings import MAX_HELPERS
from rollup.game.moves import Rule
from rollup.l1.account.signing import trace_root_digest
from rollup.l1.answers import GameRef, Receipt
from rollup.l1.calls import Call
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted, Challenged, ChunksJoined, ChunkUploaded, ClaimPosted, Descended
from rollup.l1.node.chain import TRANSACTION_GAS
from rollup.machine.witness import outline_witness
from rollup.merkle import branch
from rollup.settings import Parameters
from rollup.types import LEAF_BYTES, DType, Gindex, Root
from tests.arity import TENSOR_DEPTH, TRACE_DEPTH
from tests.contracts.one_step_gas import Synthetic
from tests.e2e import long_reductions
from tests.e2e.lies import INPUTS, LIES, PROGRAMS, RIGHT, lie_in_op
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import Published, values_of
from tests.lockstep.evm import Execution
from tests.world import ETHER, sign_bytes, terms

SNAPSHOT = Path(__file__).with_name("dispute_gas.json")
BATCH = 8
BOX = 1 << 12
"""Positions in as many parts, so that an answer has as many partial results as any."""
FURTHER = 3
"""Games that are ended besides one, to measure what each takes."""
CHUNK = 64 << 10
PROOFS = {
    "an element-wise op with a constant": "op with a constant, inconsistently",
    "a sum of 100": "reduction",
    "an arg-max": "arg-max",
    "padding of an op": "padding of an op's last leaf",
    "padding of an unused entry": "unused entry",
    "an input": "input",
    "an output": "output",
}
"""By what is proven, the lie that it convicts."""


Table = dict[str, dict[str, int]]
"""By transaction: "gas" under Prague's rules, "gas_7976" where a byte of calldata costs 64 at least."""


def row(receipt: Receipt) -> dict[str, int]:
    """Both prices of a transaction."""
    return {"gas": receipt.gas, "gas_7976": receipt.gas_7976}


def each(few: Receipt, many: Receipt, more: int) -> dict[str, int]:
    """Both prices of each of ``more`` things that one transaction does beyond what the other does."""
    return {name: (row(many)[name] - row(few)[name]) // more for name in row(few)}


def started(policy: TracePolicy = TracePolicy.WITH_CLAIM) -> NetworkWorld:
    return NetworkWorld(PROGRAMS[policy], terms(arity=Parameters().arity))


def chain_calls() -> Table:
    """Models, batches, releases."""
    network = started()
    client = network.client("honest")
    table = {"registerModel": row(network.client("x").register(PROGRAMS[TracePolicy.ON_DISPUTE]))}
    client.deposit(100 * ETHER)
    one = network.claim("honest", INPUTS)

    def batch(count: int) -> Receipt:
        claims = []
        for _ in range(count):
            network.nonce += 1
            claim = replace(one.posted.claim, nonce=network.nonce)
            claims.append(client.sign(claim, one.posted.inputs, one.posted.outputs))
        return client.post_batch(claims)

    def group(count: int) -> tuple[int, int]:
        """Where a group stands that was posted."""
        first, network.nonce = network.nonce + 1, network.nonce + count
        claims = [replace(one.posted.claim, nonce=first + j) for j in range(count)]
        signed = [client.sign(claim, one.posted.inputs, one.posted.outputs) for claim in claims]
        return client.post_groups([client.sign_group(signed)]).one(BatchPosted).batch, 0

    single, many = batch(1), batch(BATCH)
    table["postBatch, one claim"] = row(single)
    table["postBatch, each further claim"] = each(single, many, BATCH - 1)
    places = [group(BATCH) for _ in range(3)]
    network.chain.advance(network.parameters.window + 1)
    table["release"] = row(client.release(one.posted.claim, one.inclusion))
    posted = [event for event in many.events if isinstance(event, ClaimPosted)]
    tree = Batch(tuple(event.claim_id for event in posted))
    final = [(put.claim, Inclusion(put.batch, put.index, tree.siblings(put.index))) for put in posted]
    freed, rest = client.release_all(final[:1]), client.release_all(final[1:])
    table["releaseAll, each further claim"] = each(freed, rest, len(final) - 2)
    alone, two = client.release_groups(places[:1]), client.release_groups(places[1:])
    table["releaseGroups, one group"] = row(alone)
    table["releaseGroups, each further group"] = each(alone, two, 1)
    return table


def moves() -> Table:
    """Both sides' moves, the proof excepted."""
    network = started()
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
    trace, client, program = Published(network.program, RIGHT), network.client("alice"), network.program
    arity, depth, bond = network.parameters.arity, program.depth, network.parameters.challenge_bond
    claim, inclusion = claimed.posted.claim, claimed.inclusion
    place = Gindex((1 << depth) | 9)
    named = client.commitment(claimed.claim_id, claim.trace_root, place, bytes(32))
    table: Table = {}

    def down(position: Gindex, above: Gindex) -> Receipt:
        levels = position.bit_length() - above.bit_length()
        path = list(branch(trace, position))[:levels]
        return client.select(client.game(game).at, position, trace.node(position), path)

    receipt = client.challenge(claim, inclusion, value=bond)
    game = receipt.one(Challenged)
    table["challenge, the first about a claim"] = row(receipt)
    second = client.challenge(claim, inclusion, named, value=bond)
    table["challenge, a further one, with a commitment"] = row(second)
    table["commit"] = row(client.commit(client.game(game).at, named))
    table[f"reveal, {1 << arity} children"] = row(
        claimed.client.reveal([[trace.node(Gindex((1 << arity) | j)) for j in range(1 << arity)]])
    )
    middle = Gindex(place >> (depth - arity))
    table[f"select, {arity} levels, from the root"] = row(down(middle, Gindex(1)))
    table["reveal, 2 children"] = row(claimed.client.reveal([[trace.node(Gindex(2 * middle + j)) for j in range(2)]]))
    table["select, 1 level, further down"] = row(down(place, middle))
    table["revealLeaf"] = row(claimed.client.reveal_leaf([trace.leaf_bytes(9)]))
    network.chain.advance(network.parameters.clock + 1)
    table["timeout, of the challenger"] = row(client.timeout([client.game(game).ref]))

    false = lie_in_op(4, 0, True)(network, Behaviour.SILENT)
    lost = client.challenge(false.posted.claim, false.inclusion, value=bond).one(Challenged)
    other = client.challenge(false.posted.claim, false.inclusion, value=bond).one(Challenged)
    network.chain.advance(network.parameters.clock + 1)
    table["timeout, of the defender"] = row(client.timeout([client.game(lost).ref]))
    table["reclaim"] = row(client.reclaim([client.game(other).ref]))

    lazy = started(TracePolicy.ON_DISPUTE)
    rootless = lazy.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
    lazy.client("alice").challenge(rootless.posted.claim, rootless.inclusion, value=bond)
    table["setTraceRoot"] = row(rootless.client.set_trace_root(rootless.claim_id, trace.root))
    return table


@dataclass(frozen=True)
class Ending:
    """Games that their challengers have lost. ``collector``: an account that L1 knows nothing of, which may end them."""

    network: NetworkWorld
    collector: L1Client
    games: list[GameRef]


def dearest_endings(count: int) -> Ending:
    """Every ending pays as many accounts as one can, none of which had money on L1: ``MAX_HELPERS`` who opened a node each, whoever
    sent the trace root, and the collector.
    """
    program = PROGRAMS[TracePolicy.ON_DISPUTE]
    program = replace(program, header=replace(program.header, tensor_depth=program.header.tensor_depth + 4))
    network = NetworkWorld(program, terms(arity=1), lambda program: program)
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
    trace, posted, client = Published(program, RIGHT), claimed.posted.claim, claimed.client
    bond, domain = network.parameters.challenge_bond, client.domain
    eves = [network.client(f"eve {number}") for number in range(count)]
    games = [eve.challenge(posted, claimed.inclusion, value=bond).one(Challenged) for eve in eves]
    digest = trace_root_digest(claimed.claim_id, trace.root, domain)
    signature = network.chain.signer("honest").sign(digest)
    network.client("root").set_trace_root(claimed.claim_id, trace.root, signature)
    opened: set[Gindex] = set()
    for number, (eve, game) in enumerate(zip(eves, games, strict=True)):
        at = Gindex(1)
        for level in range(MAX_HELPERS):
            if at not in opened:
                opened.add(at)
                children = [trace.node(Gindex(2 * at + side)) for side in range(2)]
                network.client(f"helper {len(opened)}").reveal([children])
            if level + 1 < MAX_HELPERS:
                at = Gindex(2 * at + (number >> level & 1))
                eve.select(eve.game(game).at, at, trace.node(at), [trace.node(Gindex(at ^ 1))])
    network.chain.advance(network.parameters.clock + 1)
    return Ending(network, network.client("collector"), [client.game(game).ref for game in games])


def least_gas(client: L1Client, call: Call) -> int:
    """What a transaction has to have, within 100: more than its receipt says, which counts what freed storage gives back."""
    low, high = 21_000, TRANSACTION_GAS
    while high - low > 100:
        middle = (low + high) // 2
        try:
            client.chain.call(client.game_address, call.data, client.account, gas=middle)
            high = middle
        except ChainError:
            low = middle
    return high


def endings() -> Table:
    """Lost games that are as dear to collect as a game can be made."""
    one, many = dearest_endings(1), dearest_endings(1 + FURTHER)
    single, several = one.collector.timeout(one.games), many.collector.timeout(many.games)
    return {
        "timeout, of the challenger, as many to pay as can be": row(single),
        "timeout, each further game of that kind": each(single, several, FURTHER),
    }


def proofs() -> Table:
    """The direct proof of one lie of each kind about the toy program."""
    table: Table = {}
    for name, lie in PROOFS.items():
        network = started()
        watcher, _ = network.watch()
        claimed = LIES[lie][0](network, Behaviour.PUBLISHES)
        network.settle()
        (proof,) = (receipt for receipt in watcher.costs.of(claimed.claim_id) if receipt.call == "prove")
        table[f"prove, {name}"] = row(proof)
    return table


def upload(client: L1Client, data: bytes) -> Root:
    """Upload a tensor's bytes in chunks; its root."""
    if len(data) <= CHUNK:
        return client.upload(data).one(ChunkUploaded).root
    leaves = -(-len(data) // LEAF_BYTES)
    left = LEAF_BYTES << ((leaves - 1).bit_length() - 1)
    parts = upload(client, data[:left]), upload(client, data[left:])
    return client.join(parts[0], left, parts[1], len(data) - left).one(ChunksJoined).root


def large_proofs() -> Table:
    """The ops of one_step_gas.py, each in a claim that is wrong in the measured element.

    The program is so large that its claims get their trace roots on dispute.
    """
    synthetic = Synthetic()
    program, values, positions = synthetic.build(off_by=1)
    header, execution = program.header, Execution(program, values)
    network = NetworkWorld(program, terms(arity=Parameters().arity), lambda program: program)
    liar, alice = network.client("liar"), network.client("alice")
    parameters, inputs = network.parameters, values[: len(header.inputs)]
    liar.deposit(len(positions) * parameters.claim_bond)
    alice.fund(len(positions) * parameters.challenge_bond)
    liar.assemble(program.id, False, [upload(liar, array.tobytes()) for array in inputs])
    data = join(inputs, header.inputs)
    said = join([values[value] for value, _ in header.outputs], output_types(header))
    assert header.policy is TracePolicy.ON_DISPUTE
    until, root = network.chain.now() + 1000, execution.tree.root
    first = sign_bytes(liar, header, data, said, model_id=program.id, valid_until=until).claim
    claims = [replace(first, nonce=nonce) for nonce in range(1, len(positions) + 1)]
    receipt = liar.post_batch([liar.sign(claim, b"", said) for claim in claims])
    ids = [event.claim_id for event in receipt.events if isinstance(event, ClaimPosted)]
    batch = Batch(tuple(ids))
    table: Table = {}
    for j, (claim, claim_id) in enumerate(zip(claims, ids, strict=True)):
        disputed, proof = execution.witness(len(inputs) + j, positions[j])
        place = Gindex((1 << program.depth) | disputed.leaf)
        opened = alice.challenge(claim, Inclusion(0, j, batch.siblings(j))).one(Challenged)
        liar.set_trace_root(claim_id, root)
        alice.commit(alice.game(opened).at, alice.commitment(claim_id, root, place, bytes(32)))
        receipt = alice.prove(alice.game(opened).at, claim, place, bytes(32), Rule.STEP, proof)
        table[f"prove, {synthetic.names[j]}"] = row(receipt)
    return table


def answers() -> Table:
    """The largest answers inside an element, and what disputes one of their partial results."""
    x = Access(Value(0), DType.I16, (BOX,), (0,), (Term(0, 1, 1),))
    ops = [
        Op(1 + j, 1, 1, monoid, DType.I64, 1, (1,), (BOX,), (x,), (), 1)
        for j, monoid in enumerate((Monoid.SUM, Monoid.ARGMAX))
    ]
    outputs = [(op.first, TensorType(op.dtype, 0, op.shape)) for op in ops]
    program = Program.build([TensorType(DType.I16, 0, (BOX,))], outputs, ops, {})
    network = NetworkWorld(program, terms(arity=Parameters().arity), lambda program: program)
    inputs = [np.random.default_rng(0).integers(-30_000, 30_000, BOX).astype(np.int16)]
    claimed = network.claim("honest", inputs, behaviour=Behaviour.SILENT)
    values, claim, alice = values_of(program, inputs), claimed.posted.claim, network.client("alice")
    table: Table = {}
    for op, name in zip(ops, ("sums", "arguments"), strict=True):
        leaf = op.first << program.header.tensor_depth
        place = Gindex((1 << program.depth) | leaf)
        named = alice.commitment(claimed.claim_id, claim.trace_root, place, bytes(32))
        bond = network.parameters.challenge_bond
        game = alice.challenge(claim, claimed.inclusion, named, value=bond).one(Challenged)
        receipt = alice.descend(alice.game(game).at, claim, place, bytes(32), 0, outline_witness(program, leaf))
        table.setdefault("descend", row(receipt))
        question = receipt.one(Descended).question
        results = Reductions(program, values).partials(question)
        said = claimed.client.partials(claimed.claim_id, claim.trace_root, question, results)
        table[f"partials, {len(results)} {name}"] = row(said)
        narrowed = alice.narrow(alice.game(game).at, question, results, len(results) - 1)
        table["narrow"] = row(narrowed)
    return table


def inside() -> Table:
    """Proofs inside an element, and whole disputes about a withheld trace of 20 levels that end with them: a dot product of
    16,384 in parts of 512.
    """
    shown = long_reductions.program(TracePolicy.WITH_CLAIM)
    header = replace(shown.header, trace_depth=TRACE_DEPTH, tensor_depth=TENSOR_DEPTH)
    shown = replace(shown, header=header)
    table: Table = {}
    for rule in (Rule.PART, Rule.EPILOGUE):
        network = NetworkWorld(
            shown, terms(arity=Parameters().arity), lambda program: program, reference=long_reductions.Fast
        )
        watcher, client = network.watch()
        client.fund(network.parameters.challenge_bond)
        right = long_reductions.Fast(shown).values(long_reductions.inputs())
        values = long_reductions.false_values(right, long_reductions.SUMMED, rule is Rule.PART)
        trace = Published(shown, values)
        claimed = network.claim("liar", long_reductions.inputs(), trace, values[1:], Behaviour.WITHHOLDS)
        if rule is Rule.PART:
            _, part, forge = long_reductions.LIES[long_reductions.SUMMED]
            said = long_reductions.Forged(Reductions(shown, values), part, forge)
            claimed.defender.uphold(claimed.claim_id, shown, trace, said)
        network.settle(200)
        claimed.defender.l1.read(claimed.client)
        assert claimed.defender.l1.convicted[claimed.claim_id].rule is rule
        receipts = [one for costs in (watcher.costs, claimed.defender.costs) for one in costs.of(claimed.claim_id)]
        name = "a part" if rule is Rule.PART else "an epilogue"
        for receipt in receipts:
            if receipt.call == "settle":
                table[f"settle, {name}"] = row(receipt)
        table[f"a whole dispute that ends with {name}"] = {
            price: sum(row(receipt)[price] for receipt in receipts) for price in ("gas", "gas_7976")
        }
    return table


def measure() -> Table:
    """Gas by transaction."""
    return {**chain_calls(), **moves(), **endings(), **proofs(), **answers(), **inside(), **large_proofs()}


def main() -> None:
    table = measure()
    SNAPSHOT.write_text(json.dumps(table, indent=1) + "\n")
    width = max(map(len, table))
    for name, both in table.items():
        print(f"{name:<{width}}  {both['gas']:>9,} gas, {both['gas_7976']:>9,} under EIP-7976")


if __name__ == "__main__":
    main()
