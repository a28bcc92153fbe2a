"""Every call of the contracts, typed. One client stands for one deployment and, if it has a signer, one account."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from web3.types import LogReceipt, TxReceipt

from rollup.batch import Inclusion
from rollup.claim import NO_ROOT, Address, Claim, ClaimId, PostedClaim
from rollup.errors import ChainError, Refused, Reverted, StaleView
from rollup.form.encoding import Header, decode_header
from rollup.form.program import Program
from rollup.game.clock import Clocks, Side
from rollup.game.moves import Rule
from rollup.game.question import Partial, Question, encode_results
from rollup.game.stopping import StoppingClock
from rollup.l1.account import signing
from rollup.l1.account.sending import Anchor
from rollup.l1.account.signing import Domain, Signer
from rollup.l1.artifacts import Function, artifact
from rollup.l1.calls import EPILOGUE as EPILOGUE
from rollup.l1.calls import GAME, Call, claim_fields, inclusion_fields, inner_calls
from rollup.l1.events import Challenged, ClaimPosted, Event, Logged, ModelRegistered, Selected, decode_logs, topic_of
from rollup.l1.node.chain import Chain
from rollup.l1.node.finality import Block
from rollup.merkle import branch
from rollup.settings import DURATIONS, Parameters
from rollup.types import Duration, Gindex, ModelId, Root, Timestamp

E = TypeVar("E")

When = Block | int | str
"""After which block something is read: exactly this one, one of a number, or a tag."""

NOTHING = bytes(32)

BASE_GAS = 21_000
FLOOR_7976 = 64
"""Gas of a transaction before anything else; least gas for each byte of calldata under EIP-7976 (Prague, EIP-7623: 10 and 40)."""


class ClaimStatus(IntEnum):
    """What L1 says about a claim."""

    UNKNOWN = 0
    POSTED = 1
    CHALLENGED = 2
    FINAL = 3
    INVALID = 4


SIDES: Mapping[int, Side | None] = {0: None, 1: Side.DEFENDER, 2: Side.CHALLENGER}


@dataclass(frozen=True)
class Receipt:
    """What a transaction cost and said. ``call``: the contract function; ``data_bytes``: its calldata; ``fee``: wei that were
    paid for its gas.
    """

    call: str
    sender: Address
    gas: int
    data_bytes: int
    block: int
    transaction: bytes
    events: tuple[Event, ...]
    fee: int = 0

    @property
    def gas_7976(self) -> int:
        """What it would cost under EIP-7976, whose floor is 64 gas for every byte of calldata."""
        return max(self.gas, BASE_GAS + FLOOR_7976 * self.data_bytes)

    def one(self, kind: type[E]) -> E:
        """The only event of a kind; raises ChainError if there is none, or more than one."""
        found = [event for event in self.events if isinstance(event, kind)]
        if len(found) != 1:
            raise ChainError(
                f"{self.call} logged {len(found)} {kind.__name__} events where one was expected; read its receipt"
            )
        return found[0]


class BatchInfo(NamedTuple):
    """A batch as L1 keeps it. ``claims``: how many, skipped ones included. ``closes_at``: the last reading of the challenge
    clock at which they can be challenged for the first time.
    """

    root: Root
    posted_at: Timestamp
    closes_at: Timestamp
    claims: int


@dataclass(frozen=True)
class DisputeInfo:
    """What all games about a claim share, as L1 keeps it. ``games``: ever opened. ``trace_depth``, ``leaf_depth``: levels
    from the trace root down to the entries and to the leaves. ``trace_root``: of a claim that was posted without one, once
    it is set; zero for all others.
    """

    claimant: Address
    games: int
    open_games: int
    trace_depth: int
    leaf_depth: int
    convicted: bool
    trace_root: Root
    root_at: Timestamp


@dataclass(frozen=True)
class GameRef:
    """What names a game (the contract's ``GameRef``). ``trace_root``: the claim's; zero while it is not set."""

    claim_id: ClaimId
    trace_root: Root
    challenger: Address
    counter: int


@dataclass(frozen=True)
class At:
    """What a challenger's move names (the contract's ``Move``): a game and the node that it stands on."""

    game: GameRef
    node: Root


@dataclass(frozen=True)
class GameInfo:
    """One game as L1 keeps it, and where it stands now. ``live``: neither ended nor the claim convicted. ``inside``: an
    element of the leaf at ``position``, so that ``node`` is a question's hash. ``committed_in``: the block of its commitment,
    or in which it came to a leaf or an entry; what it proves there is taken in later blocks.

    L1 forgets a game that has ended: it is then not ``open``, and the numbers are 0.
    """

    ref: GameRef
    committed_in: int
    moves: int
    open: bool
    inside: bool
    position: Gindex
    commitment: bytes
    live: bool
    node: Root
    turn: Side | None
    clocks: Clocks | None
    expired: Side | None

    @property
    def at(self) -> At:
        """What a move about it must name now."""
        return At(self.ref, self.node)


class L1Client:
    """``signer`` None reads only; a call that needs an account then raises ChainError. ``first``: the block of the
    deployment, before which there is nothing to read.

    Several threads may read with one client. What it sends is sent one after the other.
    """

    def __init__(self, chain: Chain, address: Address, signer: Signer | None = None, first: int = 0) -> None:
        self.chain, self.address, self.first, self._signer = chain, address, first, signer
        self._local = threading.local()

    @classmethod
    def deploy(cls, chain: Chain, signer: Signer, parameters: Parameters) -> L1Client:
        """Deploy OneStepProver, RollupChain and (through it) DisputeGame; raises Reverted for bad parameters."""
        prover = chain.transact(signer, None, artifact("OneStepProver").creation())["contractAddress"]
        receipt = chain.transact(signer, None, artifact("RollupChain").creation(astuple(parameters), prover))
        return cls(chain, Address(str(receipt["contractAddress"])), signer, receipt["blockNumber"])

    def using(self, signer: Signer | None) -> L1Client:
        """The same deployment under another account, with no anchor."""
        return L1Client(self.chain, self.address, signer, self.first)

    def anchor(self, block: int | None = None) -> None:
        """Begin a decision of this thread: what it sends from here on has the nonces that follow from this moment.

        Call it *before* reading the state that is decided on (or name a ``block`` that the state is no older than). A
        transaction that an earlier life of the process left behind then has the same nonce, and is mined instead of the
        new one or not at all: whoever sends gets StaleView, until it has anchored and looked again.
        """
        self._local.anchor = self.chain.anchor(self.account, block)

    @contextmanager
    def anchored(self) -> Iterator[None]:
        """A round of this thread whose decisions rest on what is read in it. It ends quietly where a transaction of an earlier
        life came first: the next round sees what that one did. Without an account, nothing is sent in it.
        """
        if self._signer is None:
            yield
            return
        self.anchor()
        try:
            with suppress(StaleView):
                yield
        finally:
            self.release_anchor()

    def release_anchor(self) -> None:
        """Send on in this thread with whatever nonce is next, as without an anchor."""
        self._local.anchor = None

    @property
    def account(self) -> Address:
        return self._key().address

    def derive(self, purpose: bytes) -> bytes:
        """32 secret bytes of this account for one purpose, the same whenever they are asked for."""
        return self._key().derive(self.domain.separator + purpose)

    def _key(self) -> Signer:
        if self._signer is None:
            raise ChainError("this client has no account and only reads; give it one with client.using(signer)")
        return self._signer

    @cached_property
    def game_address(self) -> Address:
        return _address(self._rollup("game"))

    @cached_property
    def prover_address(self) -> Address:
        return _address(self._game("contracts")[1])

    @cached_property
    def domain(self) -> Domain:
        return Domain(self.chain.chain_id, self.address)

    @cached_property
    def parameters(self) -> Parameters:
        fields = self._rollup("parameters")
        durations, rest = fields[: len(DURATIONS)], fields[len(DURATIONS) :]
        return Parameters(*map(Duration, durations), *rest)

    def _rollup(self, name: str, *args: Any) -> Any:
        """Read from the RollupChain."""
        return self._read(artifact("RollupChain").functions[name], self.address, args)

    def _game(self, name: str, *args: Any, block: When = "latest") -> Any:
        """Read from the DisputeGame."""
        return self._read(artifact("DisputeGame").functions[name], self.game_address, args, block)

    def _read(self, function: Function, address: Address, args: Sequence[Any], block: When = "latest") -> Any:
        data = self.chain.call(address, function.encode(args), block=block)
        if not data:
            raise ChainError(f"no contract answers {function.name} at {address}; check the address and the chain")
        values = decode(function.outputs, data)
        return values[0] if len(values) == 1 else values

    def _send(self, contract: str, name: str, *args: Any, value: int = 0, gas: int | None = None) -> Receipt:
        return self.send(Call(contract, name, args, value), gas)

    def send(self, call: Call, gas: int | None = None) -> Receipt:
        """Make a transaction of a call. ``gas``: its limit; None: as the node estimates."""
        address = self.game_address if call.contract == GAME else self.address
        data = call.data
        receipt = self._transact(address, data, call.value, gas)
        return Receipt(
            call.name,
            self.account,
            receipt["gasUsed"],
            len(data),
            receipt["blockNumber"],
            bytes(receipt["transactionHash"]),
            tuple(logged.event for logged in decode_logs(self.chain.web3, receipt["logs"])),
            receipt["gasUsed"] * int(receipt.get("effectiveGasPrice", 0)),
        )

    def multicall(self, moves: Sequence[Call], gas: int) -> Receipt:
        """Make many calls of the DisputeGame in one transaction; its events say which of them failed (``CallFailed``).

        ``gas``: for all of them: the least with which the transaction succeeds, which a node would estimate, is one with which
        calls fail.
        """
        return self.send(Call(GAME, "multicall", ([move.data for move in moves],)), gas)

    def ask_prover(self, name: str, args: Sequence[Any], gas: int) -> tuple[Any, ...]:
        """What OneStepProver says, with so much gas; raises Reverted, or Refused if that is too little."""
        function = artifact("OneStepProver").functions[name]
        data = self.chain.call(self.prover_address, function.encode(args), gas=gas)
        if not data:
            raise ChainError(f"no contract answers {name} at {self.prover_address}; check the address and the chain")
        return decode(function.outputs, data)

    def _transact(self, address: Address, data: bytes, value: int, gas: int | None = None) -> TxReceipt:
        anchor: Anchor | None = getattr(self._local, "anchor", None)
        if anchor is not None and anchor.void:
            raise StaleView("what was read before the last transaction is stale; anchor, and look at L1 again")
        try:
            return self.chain.transact(self._key(), address, data, value, anchor, gas)
        except StaleView:
            if anchor is not None:
                anchor.void = True
            raise

    # Models and money

    def register(self, program: Program) -> Receipt:
        """Register a program's header; anyone may, any number of times."""
        siblings = b"".join(branch(program.tree, Gindex(1 << program.tree.depth)))
        return self._send("RollupChain", "registerModel", program.header_bytes, siblings)

    def is_registered(self, model_id: ModelId) -> bool:
        return bool(self._rollup("isRegistered", model_id))

    def header(self, model_id: ModelId) -> Header:
        """The header of a registered model, from the event of its registration; raises ChainError if there is none."""
        logs = self.chain.logs([self.address], self.first, self.chain.height(), [topic_of(ModelRegistered), model_id])
        for logged in decode_logs(self.chain.web3, logs):
            if isinstance(logged.event, ModelRegistered):
                return decode_header(logged.event.header)
        raise ChainError(f"model 0x{model_id.hex()} is not registered on this chain; register its program first")

    def deposit(self, wei: int) -> Receipt:
        """Move wei from the account into its free balance, which claims are bonded with."""
        return self._send("RollupChain", "deposit", value=wei)

    def fund(self, wei: int) -> Receipt:
        """Move wei from the account into its earnings, which challenges are bonded with."""
        return self._send("RollupChain", "fund", value=wei)

    def redeposit(self, wei: int) -> Receipt:
        """Make earnings free balance."""
        return self._send("RollupChain", "redeposit", wei)

    def withdraw(self, wei: int) -> Receipt:
        """Take earnings out."""
        return self._send("RollupChain", "withdraw", wei)

    def announce_withdrawal(self, wei: int) -> Receipt:
        """Say that free balance will be taken out; in place of what was announced before, 0 takes it back."""
        return self._send("RollupChain", "announceWithdrawal", wei)

    def complete_withdrawal(self) -> Receipt:
        """Take out what was announced, or whatever of it is still free, once the withdrawal delay is over."""
        return self._send("RollupChain", "completeWithdrawal")

    def balance(self, account: Address, block: When = "latest") -> int:
        """Free wei of an account in the ledger, after a block."""
        return int(self._read(artifact("RollupChain").functions["balance"], self.address, [account], block))

    def earnings(self, account: Address, block: When = "latest") -> int:
        """Wei that an account earned, or brought in for challenges, after a block."""
        return int(self._read(artifact("RollupChain").functions["earnings"], self.address, [account], block))

    def withdrawal(self, account: Address, block: When = "latest") -> tuple[int, Timestamp]:
        """(wei, time) of what an account announced to take out of its free balance, and from when on it may, after a block; (0, 0)
        if nothing.
        """
        wei, due = self._read(artifact("RollupChain").functions["withdrawalOf"], self.address, [account], block)
        return int(wei), Timestamp(due)

    def locked(self, account: Address) -> int:
        """Wei of an account that are held as bonds."""
        return int(self._rollup("locked", account))

    def burned(self) -> int:
        """Forfeited wei that nobody got."""
        return int(self._rollup("burned"))

    # Claims and batches

    def claim_id(self, claim: Claim) -> ClaimId:
        return signing.claim_id(claim, self.domain)

    def sign(self, claim: Claim, inputs: bytes, outputs: bytes) -> PostedClaim:
        """A claim of this account, signed, with its bytes."""
        return PostedClaim(claim, self._key().sign(self.claim_id(claim)), inputs, outputs)

    def cancel_nonce(self, nonce: int) -> Receipt:
        return self._send("RollupChain", "cancelNonce", nonce)

    def is_nonce_used(self, claimant: Address, nonce: int) -> bool:
        return bool(self._rollup("isNonceUsed", claimant, nonce))

    def post_batch(self, claims: Sequence[PostedClaim]) -> Receipt:
        """Post signed claims; the receipt's events say which were posted and which skipped, and why."""
        postings = [(claim_fields(one.claim), one.signature, one.inputs, one.outputs) for one in claims]
        return self._send("RollupChain", "postBatch", postings)

    def posted(self, claim: ClaimId) -> ClaimPosted | None:
        """Where the claim was posted, whoever posted it; None if it was not."""
        topics = [topic_of(ClaimPosted), None, claim]
        logs = self.chain.logs([self.address], self.first, self.chain.height(), topics)
        found = [logged.event for logged in decode_logs(self.chain.web3, logs)]
        return next((event for event in found if isinstance(event, ClaimPosted)), None)

    def is_assembled(self, model_id: ModelId, is_output: bool, root: Root) -> bool:
        """Whether a posting may leave out the bytes behind an input or output root."""
        return bool(self._rollup("isAssembled", model_id, is_output, root))

    def upload(self, chunk: bytes) -> Receipt:
        return self._send("RollupChain", "upload", chunk)

    def join(self, left: Root, left_bytes: int, right: Root, right_bytes: int) -> Receipt:
        return self._send("RollupChain", "join", left, left_bytes, right, right_bytes)

    def assemble(self, model_id: ModelId, is_output: bool, tensors: Sequence[Root]) -> Receipt:
        return self._send("RollupChain", "assemble", model_id, is_output, list(tensors))

    def status(self, claim: Claim, inclusion: Inclusion) -> ClaimStatus:
        return ClaimStatus(self._rollup("status", claim_fields(claim), inclusion_fields(inclusion)))

    def is_final(self, claim: Claim, inclusion: Inclusion) -> bool:
        return bool(self._rollup("isFinal", claim_fields(claim), inclusion_fields(inclusion)))

    def is_released(self, inclusion: Inclusion) -> bool:
        return bool(self._rollup("isReleased", inclusion.batch, inclusion.index))

    def batch(self, number: int) -> BatchInfo:
        """A batch; all zero if there is none of this number."""
        root, posted_at, closes_at, claims = self._rollup("batches", number)
        return BatchInfo(Root(root), Timestamp(posted_at), Timestamp(closes_at), claims)

    def challenge_clock(self, block: When = "latest") -> StoppingClock:
        """The clock on which challenge periods are measured, after a block."""
        resumes_at, stopped = self._read(artifact("RollupChain").functions["challengeClock"], self.address, [], block)
        return StoppingClock(Timestamp(resumes_at), Duration(stopped))

    def release(self, claim: Claim, inclusion: Inclusion) -> Receipt:
        """Free the bond of a final claim; anyone may."""
        return self._send("RollupChain", "release", claim_fields(claim), inclusion_fields(inclusion))

    def release_all(self, claims: Sequence[tuple[Claim, Inclusion]]) -> Receipt:
        """Free the bonds of final claims; L1 passes over those that are not final, or were released before."""
        fields = [claim_fields(claim) for claim, _ in claims]
        return self._send("RollupChain", "releaseAll", fields, [inclusion_fields(inclusion) for _, inclusion in claims])

    # The game

    def commitment(self, claim: ClaimId, trace_root: Root, place: Gindex, salt: bytes) -> bytes:
        """What this account commits to in order to prove at ``place``."""
        return signing.commitment(self.domain, self.game_address, claim, trace_root, self.account, place, salt)

    def challenge(self, claim: Claim, inclusion: Inclusion, commitment: bytes = NOTHING, value: int = 0) -> Receipt:
        """Open a game; the bond comes from ``value`` wei and from earnings. ``receipt.one(Challenged)`` is the game."""
        return self._send(
            "DisputeGame", "challenge", claim_fields(claim), inclusion_fields(inclusion), commitment, value=value
        )

    def commit(self, at: At, commitment: bytes) -> Receipt:
        return self._send("DisputeGame", "commit", astuple(at), commitment)

    def set_trace_root(self, claim: ClaimId, trace_root: Root, signature: bytes = b"") -> Receipt:
        """``signature``: the claimant's, if somebody else sends the root."""
        return self._send("DisputeGame", "setTraceRoot", claim, trace_root, signature)

    def reveal(self, openings: Sequence[Sequence[Root]]) -> Receipt:
        """Open nodes: the descendants of each, from left to right."""
        return self._send("DisputeGame", "reveal", [list(children) for children in openings])

    def reveal_leaf(self, leaves: Sequence[bytes]) -> Receipt:
        """Open leaves: the 1,024 bytes of each."""
        return self._send("DisputeGame", "revealLeaf", list(leaves))

    def select(self, at: At, position: Gindex, node: Root, siblings: Sequence[Root]) -> Receipt:
        return self._send("DisputeGame", "select", astuple(at), position, node, b"".join(siblings))

    def prove(self, at: At, claim: Claim, place: Gindex, salt: bytes, rule: Rule, witness: bytes) -> Receipt:
        return self._send("DisputeGame", "prove", astuple(at), claim_fields(claim), place, salt, rule.value, witness)

    def descend(self, at: At, claim: Claim, place: Gindex, salt: bytes, element: int, descriptor: bytes) -> Receipt:
        """Ask what the reduction box of an element of the leaf ``place`` reduces to. ``descriptor``: with length and path, as in
        the witness of a step.
        """
        return self._send("DisputeGame", "descend", astuple(at), claim_fields(claim), place, salt, element, descriptor)

    def partials(self, claim: ClaimId, trace_root: Root, question: Question, results: Sequence[Partial]) -> Receipt:
        """Answer a question; only the claimant may."""
        answer = encode_results(question.monoid, results)
        return self._send("DisputeGame", "partials", claim, trace_root, astuple(question), answer)

    def narrow(self, at: At, question: Question, results: Sequence[Partial], child: int) -> Receipt:
        """Dispute one partial result of the answer to the question on which the game stands."""
        answer = encode_results(question.monoid, results)
        return self._send("DisputeGame", "narrow", astuple(at), astuple(question), answer, child)

    def settle(
        self, at: At, claim: Claim, question: Question, results: Sequence[Partial], child: int, witness: bytes
    ) -> Receipt:
        """Prove that one partial result of a single part is false; for ``EPILOGUE`` that the op's code gives another element."""
        answer = encode_results(question.monoid, results)
        return self._send(
            "DisputeGame",
            "settle",
            astuple(at),
            claim_fields(claim),
            astuple(question),
            answer,
            child,
            witness,
        )

    def timeout(self, games: Sequence[GameRef]) -> Receipt:
        return self._send("DisputeGame", "timeout", [astuple(game) for game in games])

    def reclaim(self, games: Sequence[GameRef]) -> Receipt:
        return self._send("DisputeGame", "reclaim", [astuple(game) for game in games])

    def _struct(self, name: str, *args: Any, block: When) -> dict[str, Any]:
        """Read a struct from the DisputeGame, by field name."""
        values = self._game(name, *args, block=block)
        return dict(zip(artifact("DisputeGame").functions[name].fields, values, strict=True))

    def dispute(self, claim: ClaimId, block: When = "latest") -> DisputeInfo:
        """What all games about a claim share; ``games`` is 0 if nobody ever challenged it."""
        found = self._struct("disputeOf", claim, block=block)
        return DisputeInfo(
            _address(found["claimant"]),
            found["games"],
            found["openGames"],
            found["traceDepth"],
            found["leafDepth"],
            found["convicted"],
            Root(found["traceRoot"]),
            Timestamp(found["rootAt"]),
        )

    def game(self, opened: Challenged, block: When = "latest") -> GameInfo:
        """The game that this event began, as it is after a block."""
        dispute = self.dispute(opened.claim_id, block)
        root = dispute.trace_root if opened.trace_root == NO_ROOT else opened.trace_root
        ref = GameRef(opened.claim_id, root, opened.challenger, opened.counter)
        found = self._struct("gameOf", opened.game_id, block=block)
        live = found["open"] and not dispute.convicted
        node, turn, clocks, expired = NO_ROOT, None, None, None
        if live:
            try:
                node, side, (since, defender, challenger), late = self._game("stateOf", astuple(ref), block=block)
            except Reverted as error:
                # It ended, or got its trace root, since the reads before.
                if error.name not in ("GameOver", "WrongTraceRoot"):
                    raise
                live = False
            else:
                turn, expired = SIDES[side], SIDES[late]
                clocks = Clocks(Duration(defender), Duration(challenger), Timestamp(since))
        return GameInfo(
            ref,
            found["committedAt"],
            found["moves"],
            found["open"],
            found["inside"],
            Gindex(found["gindex"]),
            found["commitment"],
            live,
            Root(node),
            turn,
            clocks,
            expired,
        )

    def opened_at(self, node: Root, levels: int) -> Timestamp:
        """When a node was opened that many levels deep (0: a leaf's bytes); 0 if never."""
        return Timestamp(self._game("openedAt", node, levels))

    # What happened

    def events(self, first: int, last: int) -> list[Logged]:
        """All events of this deployment in blocks ``first`` to ``last``, both included, in order."""
        return self._decoded(self.chain.logs([self.address, self.game_address], first, last))

    def events_page(self, first: int, last: int) -> tuple[list[Logged], int]:
        """As ``events``, as far as one answer of bounded size goes; also the block up to which that is."""
        logs, end = self.chain.logs_page([self.address, self.game_address], first, last)
        return self._decoded(logs), end

    def events_of(self, block: Block) -> list[Logged] | None:
        """All events of this deployment in exactly this block; None if the chain holds it no longer."""
        try:
            return self._decoded(self.chain.logs_of(block, [self.address, self.game_address]))
        except Refused:
            if self.chain.block(block.hash) is not None:
                raise
            return None

    def _decoded(self, logs: list[LogReceipt]) -> list[Logged]:
        return decode_logs(self.chain.web3, logs)

    def selected_path(
        self, transaction: bytes, selected: Selected | None = None
    ) -> tuple[At, Gindex, Root, tuple[Root, ...]] | None:
        """(where, position, node, siblings) of a ``select`` from its calldata, alone or among other moves; None if it was called
        through another contract. ``selected``: which one, if there may be several.
        """
        for data in inner_calls(self.chain.calldata(transaction)):
            try:
                move, position, node, path = artifact(GAME).functions["select"].decode_input(data)
            except ValueError:
                continue
            if selected is not None and (selected.position, selected.node) != (position, node):
                continue
            (claim, trace_root, challenger, counter), stood = move
            game = GameRef(ClaimId(claim), Root(trace_root), _address(challenger), counter)
            siblings = tuple(Root(path[j : j + 32]) for j in range(0, len(path), 32))
            return At(game, Root(stood)), Gindex(position), Root(node), siblings
        return None

    def games_of(self, claim: ClaimId, first: int | None = None) -> list[Challenged]:
        """Every game ever opened about a claim, from the events since block ``first`` (None: the deployment)."""
        start = self.first if first is None else first
        events = [logged.event for logged in self.events(start, self.chain.height())]
        return [event for event in events if isinstance(event, Challenged) and event.claim_id == claim]


def _address(raw: str) -> Address:
    return Address(to_checksum_address(raw))
