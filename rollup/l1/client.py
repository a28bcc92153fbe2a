"""Every call of the contracts, typed. One client stands for one deployment and, if it has a signer, one account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple

from web3.types import LogReceipt

from rollup.batch import Inclusion
from rollup.claim import NO_ROOT, Address, Claim, ClaimId, PostedClaim
from rollup.errors import ChainError, Refused, Reverted
from rollup.form.encoding import Header, decode_header
from rollup.form.program import Program
from rollup.game.clock import Clocks, Side
from rollup.game.moves import Rule
from rollup.game.question import Partial, Question, encode_results
from rollup.game.stopping import StoppingClock
from rollup.group import Group
from rollup.l1.account import signing
from rollup.l1.answers import At, BatchInfo, ClaimStatus, DisputeInfo, GameInfo, GameRef, Receipt
from rollup.l1.artifacts import artifact
from rollup.l1.calls import EPILOGUE as EPILOGUE
from rollup.l1.calls import GAME, claim_fields, group_fields, inclusion_fields, inner_calls
from rollup.l1.contracts import ContractCaller, When, address_of
from rollup.l1.events import Challenged, Logged, ModelRegistered, Selected
from rollup.l1.logs import decode_logs, topic_of
from rollup.l1.node.finality import Block
from rollup.merkle import branch
from rollup.types import Duration, Gindex, ModelId, Root, Timestamp

NOTHING = bytes(32)


SIDES: Mapping[int, Side | None] = {0: None, 1: Side.DEFENDER, 2: Side.CHALLENGER}


class L1Client(ContractCaller):
    """Every call of the contracts, typed."""

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
        for logged in decode_logs(self.chain.web3, self.domain, logs):
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

    def sign_group(self, claims: Sequence[PostedClaim]) -> Group:
        """Claims of this account as one group, signed; raises ClaimError unless they can be one."""
        if len(claims) == 1:
            return Group.alone(claims[0])
        ids = [self.claim_id(one.claim) for one in claims]
        return Group(tuple(claims), self._key().sign(signing.group_digest(ids, self.domain)))

    def post_batch(self, claims: Sequence[PostedClaim]) -> Receipt:
        """Post signed claims, each alone; the receipt's events say which were posted and which not, and why."""
        return self.post_groups([Group.alone(one) for one in claims])

    def post_groups(self, groups: Sequence[Group]) -> Receipt:
        """Post groups of claims; the receipt's events say which were posted and which not, and why."""
        empty = self._empty(one for group in groups for one in group.claims)
        return self._send("RollupChain", "postBatch", [group_fields(group, empty) for group in groups])

    def _empty(self, claims: Iterable[PostedClaim]) -> dict[ModelId, tuple[bool, bool]]:
        """Of models in whose claims bytes are missing: whether their input, and their output, has none."""
        missing = {one.claim.model_id for one in claims if not one.inputs or not one.outputs}
        found = {}
        for model_id in missing:
            if not self.is_registered(model_id):
                continue  # L1 refuses the group whatever its form is
            *_, inputs, outputs = self._rollup("modelOf", model_id)
            found[model_id] = not any(size for _, size in inputs), not any(size for _, size in outputs)
        return found

    def break_promise(self, promised: PostedClaim, posted: Claim, inclusion: Inclusion) -> Receipt:
        """Burn a bond of a claimant that signed a claim and had another one posted with its nonce; raises Reverted if it did not."""
        fields = (claim_fields(promised.claim), promised.signature, claim_fields(posted), inclusion_fields(inclusion))
        return self._send("RollupChain", "breakPromise", *fields)

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
        root, posted_at, closes_at, claims, challenged = self._rollup("batches", number)
        return BatchInfo(Root(root), Timestamp(posted_at), Timestamp(closes_at), claims, challenged)

    def challenge_clock(self, block: When = "latest") -> StoppingClock:
        """The clock on which challenge periods are measured, after a block."""
        resumes_at, stopped = self._read(artifact("RollupChain").functions["challengeClock"], self.address, [], block)
        return StoppingClock(Timestamp(resumes_at), Duration(stopped))

    def release(self, claim: Claim, inclusion: Inclusion) -> Receipt:
        """Free the bond of a final claim; anyone may."""
        return self._send("RollupChain", "release", claim_fields(claim), inclusion_fields(inclusion))

    def release_groups(self, places: Sequence[tuple[int, int]]) -> Receipt:
        """Free the bonds of final groups, named by batch and first index; L1 passes over claims that were challenged (``release``).
        Raises Reverted if there is none to free.
        """
        return self._send("RollupChain", "releaseGroups", list(places))

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
        """Ask what the reduction domain of an element of the leaf ``place`` reduces to. ``descriptor``: with length and path, as in
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

    def dispute(self, claim: ClaimId, block: When = "latest") -> DisputeInfo:
        """What all games about a claim share; ``games`` is 0 if nobody ever challenged it."""
        found = self._struct("disputeOf", claim, block=block)
        return DisputeInfo(
            address_of(found["claimant"]),
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
        return self._decoded(self.chain.logs(self._speakers(), first, last))

    def events_page(self, first: int, last: int) -> tuple[list[Logged], int]:
        """As ``events``, as far as one answer of bounded size goes; also the block up to which that is."""
        logs, end = self.chain.logs_page(self._speakers(), first, last)
        return self._decoded(logs), end

    def events_of(self, block: Block) -> list[Logged] | None:
        """All events of this deployment in exactly this block; None if the chain holds it no longer."""
        try:
            return self._decoded(self.chain.logs_of(block, self._speakers()))
        except Refused:
            if self.chain.block(block.hash) is not None:
                raise
            return None

    def _speakers(self) -> list[Address]:
        return [self.address, self.game_address, *(() if self.asking is None else (self.asking.requests,))]

    def _decoded(self, logs: list[LogReceipt]) -> list[Logged]:
        return decode_logs(self.chain.web3, self.domain, logs)

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
            game = GameRef(ClaimId(claim), Root(trace_root), address_of(challenger), counter)
            siblings = tuple(Root(path[j : j + 32]) for j in range(0, len(path), 32))
            return At(game, Root(stood)), Gindex(position), Root(node), siblings
        return None

    def games_of(self, claim: ClaimId, first: int | None = None) -> list[Challenged]:
        """Every game ever opened about a claim, from the events since block ``first`` (None: the deployment)."""
        start = self.first if first is None else first
        events = [logged.event for logged in self.events(start, self.chain.height())]
        return [event for event in events if isinstance(event, Challenged) and event.claim_id == claim]
