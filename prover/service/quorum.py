"""A prover's part in quorums: it commits to its answer, reveals it in the next block, and settles it once its claim has ended.

Everything follows from L1 and from the account: claim, nonce and salt of a request come out the same whenever they are asked for. So
a restart or a reorganisation loses nothing, and nothing is kept but what would take long to compute or to read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from prover.claims import MadeClaim
from prover.service.allowance import Allowance
from prover.service.quorum_moves import Move, is_over, is_settled_for, move_in
from prover.service.worker import InferenceWorker
from rollup.batch import Inclusion
from rollup.claim import Address
from rollup.errors import ClaimError, MoveError, Refused, Reverted
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus, Receipt
from rollup.l1.calls import Call
from rollup.l1.client import L1Client
from rollup.l1.node.header import header_of
from rollup.l1.requests import costs
from rollup.l1.requests.asked import NO_COMMITTEE
from rollup.l1.requests.calls import answer
from rollup.l1.requests.events import Requested
from rollup.l1.requests.lookup import asked_events, place_of, subscribed_inputs
from rollup.l1.requests.quorum import (
    DRAW_BLOCKS,
    NOWHERE,
    REVEAL_BLOCKS,
    Quorum,
    commit_answer,
    commitment_of,
    draw,
    members_of,
    quorums,
    reveal_answer,
    settle,
    share,
    stake_of,
)
from rollup.l1.requests.seats import seats_of
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.service.problem import Problem
from rollup.types import ModelId, Root, Timestamp
from rollup.words import show_wei

REORGANISED = 64
"""Blocks that are read again in every step."""

PROMISED = REVEAL_BLOCKS // 2
"""Commitments that wait to be revealed at once: an account sends a transaction a block, and a reveal must be in time."""

ENDED = frozenset({ClaimStatus.FINAL, ClaimStatus.INVALID})

GOING = gauge("prover", "quorums", "Quorums in which this account has something left to do")
SPENT = gauge("prover", "quorum_spent_wei", "Wei that moves in quorums cost, or may cost, in the last day")
UNPAID = gauge("prover", "quorum_unpaid", "1 if a move in a quorum can't be paid, else 0")
REFUSED = counter("prover", "quorum_refusals", "Moves in quorums that were not made, or that L1 refused", ["move"])

_log = logger("touchstone.quorum")


@dataclass(frozen=True)
class QuorumPolicy:
    """``percent``: what a member's part of the fee must be, of what its moves cost at most at the present base fee. ``spend_wei``: most
    that moves may cost in a day.
    """

    percent: int = 150
    spend_wei: int = 10**18


DEFAULT_POLICY = QuorumPolicy()


@dataclass(frozen=True)
class Answerer:
    """How a prover answers. ``program``: of a model that it answers for, None of any other. ``claim``: runs it on the bytes of a request
    and signs the claim, with this nonce and validity; the same for the same request whenever it is called. ``uploaded``: the bytes behind
    an input root that was uploaded; raises ClaimError if they are not known. ``valid_for``: seconds after the request in which the claim
    can be posted.
    """

    program: Callable[[ModelId], Program | None]
    claim: Callable[[Requested, int, Timestamp], MadeClaim]
    uploaded: Callable[[ModelId, Root], bytes]
    valid_for: int = 3600

    @classmethod
    def of(cls, worker: InferenceWorker, uploaded: Callable[[ModelId, Root], bytes], valid_for: int = 3600) -> Answerer:
        """One that answers for the models that a worker holds. ``valid_for``: as the worker's, or less."""

        def program(model_id: ModelId) -> Program | None:
            model = worker.model(model_id)
            return None if model is None else model.program

        def claim(made: Requested, nonce: int, valid_until: Timestamp) -> MadeClaim:
            return worker.answer(made.model_id, made.inputs, made.request_id, nonce, valid_until)[1]

        return cls(program, claim, uploaded, valid_for)


@dataclass
class QuorumPlayer:
    """For one thread. ``trouble``: why a move can't be paid, as a sentence; None if all can."""

    client: L1Client
    answerer: Answerer
    policy: QuorumPolicy = DEFAULT_POLICY
    trouble: str | None = None
    _known: dict[bytes, Quorum] = field(default_factory=dict)
    _next: int = 0
    _made: dict[bytes, MadeClaim] = field(default_factory=dict)
    _members: dict[bytes, tuple[Address, ...]] = field(default_factory=dict)
    _closes: dict[int, Timestamp] = field(default_factory=dict)
    _told: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next = self.client.first
        self._allowance = Allowance(self.policy.spend_wei)

    def step(self) -> list[Receipt]:
        """Look at L1 and make the moves that are due; returns what was sent. A move that is not worth it, or that L1 refuses because
        somebody was faster or it came too late, is logged. Raises ChainError where the chain fails.
        """
        head = self.client.chain.height()
        found = self._read(head)
        me, block = self.client.account, head + 1
        due = [(move_in(one, me, self._of(name, one), block), name) for name, one in found.items()]
        sent: list[Receipt] = []
        self.trouble = None
        order = list(Move)
        for move, request_id in sorted(((m, n) for m, n in due if m is not None), key=lambda one: order.index(one[0])):
            receipt = self._try(move, request_id, found)
            if receipt is None:
                continue
            sent.append(receipt)
            if move is Move.COMMIT:
                # It may have taken long: look whether something else has become due.
                break
        GOING.set(sum(me in self._of(name, one) for name, one in found.items()))
        SPENT.set(self._allowance.spent(self.client.chain.now()))
        UNPAID.set(self.trouble is not None)
        return sent

    def _read(self, head: int) -> dict[bytes, Quorum]:
        """The quorums of models that this prover answers for, and that are not over."""
        me, events = self.client.account, asked_events(self.client, self._next, head)

        def going(all_of: Mapping[bytes, Quorum]) -> dict[bytes, Quorum]:
            return {name: one for name, one in all_of.items() if not is_over(one, me, self._of(name, one), head + 1)}

        found = {
            name: one
            for name, one in going(quorums(events, self._known)).items()
            if self.answerer.program(one.request.model_id) is not None
        }
        firm = head - REORGANISED
        if firm >= self._next:
            self._known = going(quorums((one for one in events if one.block <= firm), self._known))
            self._next = firm + 1
        self._made = {name: made for name, made in self._made.items() if name in found}
        self._told = {name: why for name, why in self._told.items() if name in found}
        kept = {part for name, one in (*found.items(), *self._known.items()) for part in (name, one.committee)}
        self._members = {name: members for name, members in self._members.items() if name in kept}
        return found

    def _try(self, move: Move, request_id: bytes, found: Mapping[bytes, Quorum]) -> Receipt | None:
        try:
            receipt = self._make(move, request_id, found)
        except (Reverted, Refused, ClaimError, MoveError, Problem) as error:
            REFUSED.labels(move.value).inc()
            said = f"{move.value}: {error}"
            if self._told.get(request_id) != said:
                self._told[request_id] = said
                # Every member sends the draw, and one is first: that the others were late is no trouble.
                lost = isinstance(error, Reverted) and error.name == "AlreadyDrawn"
                say = _log.info if lost else _log.warning
                say("move not made", move=move.value, request=f"0x{request_id.hex()}", reason=str(error))
            return None
        if receipt is not None:
            name, wei = f"0x{request_id.hex()}", receipt.fee
            _log.info("moved", move=receipt.call, request=name, gas=receipt.gas, fee=wei, block=receipt.block)
        return receipt

    def _make(self, move: Move, request_id: bytes, found: Mapping[bytes, Quorum]) -> Receipt | None:
        quorum = found[request_id]
        request, data = quorum.request, quorum.made.data
        match move:
            case Move.DRAW:
                self._require_worth(quorum)
                header = header_of(self.client.chain, quorum.block + DRAW_BLOCKS)
                return self._send(draw(request, header), costs.DRAW_GAS)
            case Move.COMMIT:
                self._require_means(quorum, found)
                made = self._answer(request_id, quorum)
                salt = self._salt(request_id)
                commitment = commitment_of(self.client, request_id, self.client.account, made.claim_id, salt)
                return self._send(commit_answer(request, commitment), costs.COMMIT_GAS)
            case Move.REVEAL:
                made = self._answer(request_id, quorum)
                place = place_of(self.client, made.claim_id, quorum.block, quorum.sealed_at + REVEAL_BLOCKS)
                call = reveal_answer(request, data, made.posted, self._salt(request_id), place or NOWHERE)
                return self._send(call, self._reveal_gas(quorum))
            case Move.ANSWER | Move.SETTLE:
                return self._end(move, request_id, quorum)

    def _end(self, move: Move, request_id: bytes, quorum: Quorum) -> Receipt | None:
        """What follows from the end of one's claim, once it is there."""
        claim_id, batch = quorum.revealed[self.client.account]
        if batch not in self._closes:
            self._closes[batch] = self.client.batch(batch).closes_at
        if self.client.chain.now() <= self._closes[batch]:
            return None
        made = self._answer(request_id, quorum)
        place = place_of(self.client, claim_id, quorum.block, quorum.sealed_at + REVEAL_BLOCKS)
        status = ClaimStatus.UNKNOWN if place is None else self.client.status(made.posted.claim, place)
        if place is None or status not in ENDED:
            return None
        if move is Move.ANSWER and status is ClaimStatus.FINAL:
            return self._show(quorum, made, place)
        if not is_settled_for(quorum) or claim_id in quorum.settled:
            return None
        return self._send(settle(quorum.request, made.posted, place), costs.SETTLE_GAS)

    def _show(self, quorum: Quorum, made: MadeClaim, place: Inclusion) -> Receipt:
        request, data = quorum.request, quorum.made.data
        gas = costs.shown_gas(request, self._program(quorum).header, len(data))
        needed = gas * self._price() * self.policy.percent // 100
        if request.pay < needed:
            raise MoveError(
                f"it pays {show_wei(request.pay)}, and showing the claim must earn {show_wei(needed)}; it waits for cheaper gas"
            )
        return self._send(answer(request, data, made.posted.claim, place, made.posted.outputs), None, gas)

    # Money

    def _price(self) -> int:
        """Wei that a gas costs now."""
        return self.client.chain.base_fee() + self.client.chain.fees.priority

    def _reveal_gas(self, quorum: Quorum) -> int:
        return costs.reveal_gas(quorum.request, self._program(quorum).header, len(quorum.made.data))

    def _require_worth(self, quorum: Quorum) -> None:
        """Raises MoveError if this prover's part of the fee is too small. A draw is not counted: one of the members makes it."""
        request = quorum.request
        gas = costs.member_gas(request, self._program(quorum).header, len(quorum.made.data))
        part, needed = request.pay // request.quorum, gas * self._price() * self.policy.percent // 100
        if part < needed:
            raise MoveError(
                f"a part of the fee is {show_wei(part)}, and {gas} gas must earn {show_wei(needed)}; it waits for cheaper gas"
            )

    def _require_means(self, quorum: Quorum, found: Mapping[bytes, Quorum]) -> None:
        """Raises MoveError if this prover should not commit: it must also be able to reveal, beside what it committed to before."""
        self._require_worth(quorum)
        client, me = self.client, self.client.account
        promised = [one for one in found.values() if me in one.committed and me not in one.revealed]
        if len(promised) >= PROMISED:
            raise MoveError(
                f"{len(promised)} answers wait to be revealed, and an account sends a transaction a block; it waits"
            )
        bond, free = client.parameters.claim_bond * (len(promised) + 1), client.balance(me)
        if free < bond:
            raise MoveError(
                f"{me} has {show_wei(free)} free on the ledger, the claims need {show_wei(bond)}; raise --deposit, or deposit some"
            )
        drawn = sum(one.request.committee == NO_COMMITTEE for one in [*promised, quorum])
        if quorum.request.committee == NO_COMMITTEE and stake_of(client, me)[0] < drawn * share(client):
            raise MoveError(f"{me} has too little free stake, each answer holds {share(client)}; touchstone stake add")
        self._require_funds(costs.COMMIT_GAS + sum(self._reveal_gas(one) for one in [*promised, quorum]))

    def _require_funds(self, gas: int) -> int:
        """The most wei that so much gas costs; raises MoveError, and notes the trouble, if that can't or must not be paid."""
        client, now = self.client, self.client.chain.now()
        most = gas * client.chain.fees.first(client.chain.base_fee()).most
        spent, bound, held = self._allowance.spent(now), self.policy.spend_wei, client.chain.wei_of(client.account)
        if spent + most > bound:
            self.trouble = (
                f"{show_wei(spent)} of {show_wei(bound)} a day are spent in quorums, a move may cost {show_wei(most)}; "
                "raise --quorum-spend, or wait"
            )
        elif held < most:
            self.trouble = f"the account {client.account} has {show_wei(held)}, a move in a quorum may cost {show_wei(most)}; send it some"
        else:
            return most
        raise MoveError(self.trouble)

    def _send(self, call: Call, limit: int | None, gas: int | None = None) -> Receipt:
        """``limit``: the transaction's, None: as the node estimates, which refuses what L1 would; ``gas``: at most, if it is not that."""
        most, now = self._require_funds(limit or gas or 0), self.client.chain.now()
        number = self._allowance.reserve(most, now)
        receipt = self.client.send(call, limit)
        self._allowance.settle(number, receipt.fee)
        return receipt

    # What is known

    def _program(self, quorum: Quorum) -> Program:
        program = self.answerer.program(quorum.request.model_id)
        assert program is not None
        return program

    def _salt(self, request_id: bytes) -> bytes:
        return self.client.derive(b"quorum salt" + request_id)

    def _answer(self, request_id: bytes, quorum: Quorum) -> MadeClaim:
        """This prover's claim; without the input's bytes if they were uploaded."""
        if request_id not in self._made:
            nonce = int.from_bytes(self.client.derive(b"quorum nonce" + request_id), "big")
            latest = self.client.chain.time_of(quorum.block) + self.answerer.valid_for
            made, request = quorum.made, quorum.request
            given = made.inputs or subscribed_inputs(self.client, made, quorum.block)
            inputs = given or self.answerer.uploaded(request.model_id, request.input_root)
            found = self.answerer.claim(replace(made, inputs=inputs), nonce, Timestamp(min(request.until, latest)))
            self._made[request_id] = replace(found, posted=replace(found.posted, inputs=given))
        return self._made[request_id]

    def _of(self, request_id: bytes, quorum: Quorum) -> tuple[Address, ...]:
        """Who answers, which never changes; before they are drawn, this prover if it can be."""
        if quorum.committee != NO_COMMITTEE:
            if quorum.committee not in self._members:
                self._members[quorum.committee] = members_of(self.client, quorum.committee)
            return self._members[quorum.committee]
        if request_id not in self._members:
            me = self.client.account
            seat = seats_of(self.client, me).get(quorum.request.model_id)
            self._members[request_id] = (me,) if seat is not None and seat.counts(quorum.block) else ()
        return self._members[request_id]
