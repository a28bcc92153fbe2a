"""What L1 has said so far, read from its events alone: a player that starts again reads it again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from challenger.state.journal import Journal
from challenger.state.openings import Openings
from challenger.state.uploads import Uploads
from rollup.batch import Batch, Inclusion
from rollup.claim import NO_ROOT, Address, Claim, ClaimId
from rollup.errors import ClaimError, EncodingError
from rollup.form.encoding import Header, TensorType, decode_header
from rollup.game.position import relative
from rollup.game.question import Question
from rollup.game.stopping import StoppingClock
from rollup.l1.client import L1Client
from rollup.l1.events import (
    Answered,
    BatchPosted,
    Challenged,
    ChallengeLost,
    ChunksJoined,
    ChunkUploaded,
    ClaimPosted,
    ClaimReleased,
    ClaimSkipped,
    Committed,
    Convicted,
    Descended,
    LeafRevealed,
    Logged,
    ModelRegistered,
    Narrowed,
    Reclaimed,
    Revealed,
    Selected,
    TensorsAssembled,
    TraceRootSet,
)
from rollup.l1.follow import DEPTH, Follower, News
from rollup.l1.node.finality import Block
from rollup.merkle import depth_of
from rollup.types import Duration, Gindex, ModelId, Root, Timestamp

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Book:
    """``next_block``: the first block that was not read to its end.

    A book that is to know everything begins no later than the deployment: nodes and uploads name no claim, and may have
    been opened long before the claim that they serve. What the chain takes back in a reorganisation is taken back here;
    content that is true anywhere (headers, preimages, uploads) is kept.

    ``closes_at``: by batch, the end of its challenge period on the clock that stops while disputes are begun.
    ``over``: ids of games that ended. ``released``: claims whose bond is free. ``head``: up to where the book was read.
    ``version``: another number whenever other claims are known than before; ``changes``: by claim, another one whenever
    something happened in its games; ``rewinds``: how often the chain took something back. ``questions``: by game, the last one that
    it came to inside an element. ``clock``: on which challenge periods are measured, as of ``head``.
    """

    next_block: int = 0
    head: Block | None = None
    version: int = 0
    headers: dict[ModelId, Header] = field(default_factory=dict)
    claims: dict[ClaimId, ClaimPosted] = field(default_factory=dict)
    batches: dict[int, list[ClaimId | None]] = field(default_factory=dict)
    posted_at: dict[int, Timestamp] = field(default_factory=dict)
    closes_at: dict[int, Timestamp] = field(default_factory=dict)
    games: dict[ClaimId, list[Challenged]] = field(default_factory=dict)
    over: set[bytes] = field(default_factory=set)
    trace_roots: dict[ClaimId, Root] = field(default_factory=dict)
    convicted: dict[ClaimId, Convicted] = field(default_factory=dict)
    released: set[ClaimId] = field(default_factory=set)
    questions: dict[bytes, Question] = field(default_factory=dict)
    changes: Counter[ClaimId] = field(default_factory=Counter)
    rewinds: int = 0
    clock: StoppingClock | None = None
    preimages: Openings = field(default_factory=Openings)
    journal: Journal = field(default_factory=Journal)
    _blocks: dict[ClaimId, int] = field(default_factory=dict)
    _claim_of: dict[bytes, ClaimId] = field(default_factory=dict)
    _touched: dict[ClaimId, int] = field(default_factory=dict)
    _follower: Follower | None = None
    _waiting: deque[Logged] = field(default_factory=deque)
    _noted: list[Logged] = field(default_factory=list)
    uploads: Uploads = field(default_factory=Uploads)

    def read(self, client: L1Client) -> list[Logged]:
        """Read the events up to the latest block; returns those that are new, all at once: see ``pages``."""
        return [logged for page in self.pages(client) for logged in page]

    def pages(self, client: L1Client) -> Iterator[list[Logged]]:
        """Read the events up to the latest block, some at a time, so that a long history needs no memory. Nothing is to be
        decided on this book before the last page.

        Each event is noted once: if the chain stops answering in the middle, the next call goes on where this one stopped.
        """
        if self._follower is None:
            self.follow(client)
        assert self._follower is not None
        more = True
        while more:
            news = self._follower.news()
            more = news.more
            noted = self.take(client, news)
            if not more:
                self.clock = client.challenge_clock(news.head)
            elif self.clock is None:
                self.clock = client.challenge_clock()
            yield noted

    def follow(self, client: L1Client, depth: int = DEPTH) -> None:
        """Begin to read; a reorganisation of more than ``depth`` blocks makes the book begin again."""
        self._follower = Follower(client, self.next_block, depth)
        self.preimages.read = self._events_of

    def take(self, client: L1Client, news: News) -> list[Logged]:
        """Undo what lay above ``news.rewound_to``, and note the events; returns them, and those that failed before."""
        if news.rewound_to is not None:
            kept = news.rewound_to
            self._rewind(kept)
            self._waiting = deque(logged for logged in self._waiting if logged.block <= kept)
            self._noted = [logged for logged in self._noted if logged.block <= kept]
        self._waiting.extend(news.events)
        while self._waiting:
            self._note(client, self._waiting[0])
            self._noted.append(self._waiting.popleft())
        self.head, self.next_block = news.head, news.head.number + 1
        if self._follower is not None:
            self.journal.forget(news.head.number - self._follower.depth)
        noted, self._noted = self._noted, []
        return noted

    def _rewind(self, to: int) -> None:
        self.version += 1
        self.rewinds += 1
        if to + 1 >= self.journal.horizon:
            self.journal.rewind(to)
            return
        # Deeper than anybody remembers: all events come again.
        self.journal.clear()
        for facts in (self.claims, self.batches, self.posted_at, self.closes_at, self.games, self.trace_roots):
            facts.clear()
        for names in (
            self.convicted,
            self.over,
            self.released,
            self.questions,
            self._claim_of,
            self._blocks,
            self._touched,
        ):
            names.clear()

    def _note(self, client: L1Client, logged: Logged) -> None:
        block = logged.block
        match logged.event:
            case ModelRegistered(model_id, header):
                # A header that can't be read is that of a program that nobody can hold.
                with suppress(EncodingError):
                    self.headers[model_id] = decode_header(header)
            case ClaimPosted() as posted:
                self.version += 1
                self._set(block, self.claims, posted.claim_id, posted)
                self._set(block, self._blocks, posted.claim_id, block)
                self._append(block, self.batches, posted.batch, posted.claim_id)
                if posted.claim.trace_root != NO_ROOT:
                    self._set(block, self.trace_roots, posted.claim_id, posted.claim.trace_root)
            case ClaimSkipped() as skipped:
                self._append(block, self.batches, skipped.batch, None)
            case BatchPosted() as batch:
                self._set(block, self.posted_at, batch.batch, batch.posted_at)
                self._set(block, self.closes_at, batch.batch, batch.closes_at)
            case Revealed() | LeafRevealed() | Answered() as opened:
                self.preimages.note(opened, block)
            case Selected() as selected:
                self._note_path(client, logged.transaction, selected)
                self._change(selected.game_id)
            case Committed(game_id):
                self._change(game_id)
            case Descended(game_id, question) | Narrowed(game_id, question):
                if game_id in self._claim_of:
                    self._set(block, self.questions, game_id, question)
                    self._change(game_id)
            case ChunkUploaded(root, chunk):
                self.uploads.add(root, chunk, block)
            case ChunksJoined(root, byte_length, left, right):
                self.uploads.joins[root, byte_length] = (left, right)
            case TensorsAssembled(model_id, is_output, root, tensors):
                self.uploads.assembled[model_id, is_output, root] = tensors
            case Challenged() | TraceRootSet() | Convicted() | ClaimReleased() | ChallengeLost() | Reclaimed() as event:
                # What is said about a claim that this book does not know, or forgot, changes nothing.
                if event.claim_id in self.claims:
                    self._set(block, self._touched, event.claim_id, block)
                    self._note_dispute(block, event)

    def _note_dispute(
        self,
        block: int,
        event: Challenged | TraceRootSet | Convicted | ClaimReleased | ChallengeLost | Reclaimed,
    ) -> None:
        self.changes[event.claim_id] += 1
        match event:
            case Challenged() as challenged:
                self._append(block, self.games, challenged.claim_id, challenged)
                self._set(block, self._claim_of, challenged.game_id, challenged.claim_id)
            case TraceRootSet(claim_id, trace_root):
                self._set(block, self.trace_roots, claim_id, trace_root)
            case Convicted() as convicted:
                self._set(block, self.convicted, convicted.claim_id, convicted)
                self._add(block, self.over, convicted.game_id)
            case ClaimReleased(_, _, claim_id):
                self._add(block, self.released, claim_id)
            case ChallengeLost(_, game_id) | Reclaimed(_, game_id):
                self._add(block, self.over, game_id)

    def _change(self, game_id: bytes) -> None:
        """Something happened in a game, if it is known."""
        if game_id in self._claim_of:
            self.changes[self._claim_of[game_id]] += 1

    def _set(self, block: int, facts: MutableMapping[K, V], key: K, fact: V) -> None:
        before = facts.get(key)

        def undo() -> None:
            if before is None:
                facts.pop(key, None)
            else:
                facts[key] = before

        facts[key] = fact
        self.journal.note(block, undo)

    def _add(self, block: int, facts: set[K], fact: K) -> None:
        if fact not in facts:
            facts.add(fact)
            self.journal.note(block, lambda: facts.discard(fact))

    def _append(self, block: int, lists: MutableMapping[K, list[V]], key: K, entry: V) -> None:
        lists.setdefault(key, []).append(entry)

        def undo() -> None:
            lists[key].pop()
            if not lists[key]:
                del lists[key]

        self.journal.note(block, undo)

    def block_of(self, claim_id: ClaimId) -> int:
        """The block that the claim was posted in."""
        return self._blocks[claim_id]

    def games_of(self, claim_id: ClaimId, challenger: Address | None = None) -> list[Challenged]:
        """The claim's games that have not ended, those of one challenger if it is given. A conviction ends the winner's
        alone: all others stay until their bonds are reclaimed.
        """
        return [
            game
            for game in self.games.get(claim_id, [])
            if game.game_id not in self.over and challenger in (None, game.challenger)
        ]

    @property
    def now(self) -> Timestamp:
        """The time of ``head`` on the clock on which challenge periods are measured."""
        assert self.head is not None and self.clock is not None
        return self.clock.reading(self.head.timestamp)

    def seconds_left(self, claim_id: ClaimId) -> int:
        """In which the claim can be challenged on that clock: negative once it can't any more."""
        return self.closes_at[self.claims[claim_id].batch] - self.now

    def may_be_final(self, claim_id: ClaimId) -> bool:
        """Whether its challenge period is over without a verdict or an open game, and its bond is not released yet."""
        if claim_id in self.convicted or claim_id in self.released or self.games_of(claim_id):
            return False
        return self.seconds_left(claim_id) < 0

    def forget(self, remember: Duration, keep: Callable[[ClaimId], bool]) -> list[ClaimId]:
        """Drop the claims that nothing more can happen to, ``remember`` seconds after their challenge period; returns
        them.

        Those are claims that were convicted, or on which no game is open, unless a reorganisation could still change
        that, or ``keep`` says that something is left to be done about one.
        """
        if self.head is None or self._follower is None or self.clock is None:
            return []
        deep = self.head.number - self._follower.depth
        over = self.now - remember
        gone = []
        for claim_id, posted in self.claims.items():
            settled = claim_id in self.convicted or not self.games_of(claim_id)
            if not settled or max(self._blocks[claim_id], self._touched.get(claim_id, 0)) >= deep:
                continue
            if self.closes_at[posted.batch] < over and not keep(claim_id):
                gone.append(claim_id)
        for claim_id in gone:
            self._forget(claim_id)
        return gone

    def _forget(self, claim_id: ClaimId) -> None:
        self.version += 1
        posted = self.claims.pop(claim_id)
        games = {game.game_id for game in self.games.pop(claim_id, [])}
        self.over -= games
        for game_id in games:
            self.questions.pop(game_id, None)
            self._claim_of.pop(game_id, None)
        self.released.discard(claim_id)
        for facts in (self.trace_roots, self.convicted, self.changes, self._blocks, self._touched):
            facts.pop(claim_id, None)
        if not any(one in self.claims for one in self.batches[posted.batch]):
            del self.batches[posted.batch], self.posted_at[posted.batch], self.closes_at[posted.batch]

    def _note_path(self, client: L1Client, transaction: bytes, selected: Selected) -> None:
        """A selection may pass levels that were never revealed; its calldata holds their siblings."""
        path = client.selected_path(transaction, selected)
        if path is not None:
            _, position, node, siblings = path
            above = Gindex(position >> len(siblings))
            if depth_of(position) >= len(siblings):
                self.preimages.add_path(node, relative(position, above), siblings)

    def inclusion(self, claim_id: ClaimId) -> Inclusion:
        """Where the claim stands, and the proof of it."""
        posted = self.claims[claim_id]
        return Inclusion(posted.batch, posted.index, Batch(tuple(self.batches[posted.batch])).siblings(posted.index))

    def trace_root(self, claim_id: ClaimId) -> Root:
        """The claim's trace root; NO_ROOT while it is not set."""
        return self.trace_roots.get(claim_id, NO_ROOT)

    def data_of(self, claim_id: ClaimId) -> tuple[bytes, bytes]:
        """The claim's input and output bytes, whether they were posted with it or uploaded before."""
        posted = self.claims[claim_id]
        header = self.headers.get(posted.claim.model_id)
        if header is None:
            raise ClaimError(
                f"model 0x{posted.claim.model_id.hex()} has no readable header in this book; read from an earlier block"
            )
        inputs = posted.inputs or self._uploaded(posted.claim, False, posted.claim.input_root, list(header.inputs))
        types = [tensor for _, tensor in header.outputs]
        return inputs, posted.outputs or self._uploaded(posted.claim, True, posted.claim.output_root, types)

    def _uploaded(self, claim: Claim, is_output: bool, root: Root, types: list[TensorType]) -> bytes:
        return self.uploads.tensors(claim.model_id, is_output, root, types, self._events_of)

    def _events_of(self, block: int) -> list[Logged]:
        assert self._follower is not None
        return self._follower.client.events(block, block)
