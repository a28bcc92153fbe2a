"""What L1 has said so far, read from its events alone: a player that starts again reads it again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from challenger.state.journal import Journal
from challenger.state.openings import Openings
from challenger.state.uploads import Uploads
from rollup.batch import Batch, Inclusion
from rollup.claim import NO_ROOT, Address, ClaimId
from rollup.errors import ClaimError, EncodingError
from rollup.form.encoding import Header, TensorType, decode_header
from rollup.game.position import relative
from rollup.game.question import Question, question_of_json
from rollup.game.stopping import StoppingClock
from rollup.l1.client import L1Client
from rollup.l1.events import (
    Answered,
    BatchPosted,
    Challenged,
    ChunksJoined,
    ChunkUploaded,
    ClaimPosted,
    ClaimSkipped,
    Convicted,
    GroupRefused,
    LeafRevealed,
    Logged,
    ModelRegistered,
    Released,
    Revealed,
    Selected,
    TensorsAssembled,
)
from rollup.l1.follow import DEPTH, Follower, News
from rollup.l1.games import Board
from rollup.l1.node.finality import Block
from rollup.l1.records import MOVES, Said
from rollup.merkle import depth_of
from rollup.types import Duration, Gindex, ModelId, Root, Timestamp


@dataclass
class L1State:
    """``next_block``: the first block that was not read to its end.

    One that is to know everything begins no later than the deployment: nodes and uploads name no claim, and may have
    been opened long before the claim that they serve. What the chain takes back in a reorganisation is taken back here;
    content that is true anywhere (headers, preimages, uploads) is kept.

    ``closes_at``: by batch, the end of its challenge period on the clock that stops while disputes are begun.
    ``board``: the games, and the claims' trace roots. ``released``: claims whose bond is free. ``head``: up to where L1 was read.
    ``version``: another number whenever other claims are known than before; ``changes``: by claim, another one whenever
    something happened in its games; ``rewinds``: how often the chain took something back. ``clock``: on which challenge periods
    are measured, as of ``head``.
    """

    next_block: int = 0
    head: Block | None = None
    version: int = 0
    headers: dict[ModelId, Header] = field(default_factory=dict)
    claims: dict[ClaimId, ClaimPosted] = field(default_factory=dict)
    batches: dict[int, list[ClaimId | None]] = field(default_factory=dict)
    posted_at: dict[int, Timestamp] = field(default_factory=dict)
    closes_at: dict[int, Timestamp] = field(default_factory=dict)
    convicted: dict[ClaimId, Convicted] = field(default_factory=dict)
    released: set[ClaimId] = field(default_factory=set)
    changes: Counter[ClaimId] = field(default_factory=Counter)
    rewinds: int = 0
    clock: StoppingClock | None = None
    preimages: Openings = field(default_factory=Openings)
    journal: Journal = field(default_factory=Journal)
    board: Board = field(init=False)
    _blocks: dict[ClaimId, int] = field(default_factory=dict)
    _touched: dict[ClaimId, int] = field(default_factory=dict)
    _follower: Follower | None = None
    _waiting: deque[Logged] = field(default_factory=deque)
    _noted: list[Logged] = field(default_factory=list)
    uploads: Uploads = field(default_factory=Uploads)
    _block: int = 0

    def __post_init__(self) -> None:
        self.board = self._new_board()

    def _new_board(self) -> Board:
        return Board(journal=lambda undo: self.journal.note(self._block, undo))

    def read(self, client: L1Client) -> list[Logged]:
        """Read the events up to the latest block; returns those that are new, all at once: see ``pages``."""
        return [logged for page in self.pages(client) for logged in page]

    def pages(self, client: L1Client) -> Iterator[list[Logged]]:
        """Read the events up to the latest block, some at a time, so that a long history needs no memory. Nothing is to be
        decided on before the last page.

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
        """Begin to read; a reorganisation of more than ``depth`` blocks makes it begin again."""
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
        self.board = self._new_board()
        for facts in (
            self.claims,
            self.batches,
            self.posted_at,
            self.closes_at,
            self.convicted,
            self._blocks,
            self._touched,
        ):
            facts.clear()
        self.released.clear()

    def _note(self, client: L1Client, logged: Logged) -> None:
        self._block = logged.block
        self._note_claim(logged)
        self._note_content(logged)
        if isinstance(logged.event, Selected):
            self._note_path(client, logged.transaction, logged.event)
        if isinstance(logged.event, MOVES):
            self._note_move(logged)

    def _note_claim(self, logged: Logged) -> None:
        """What is said of claims and batches."""
        match logged.event:
            case ClaimPosted() as posted:
                self.version += 1
                self.journal.set(self._block, self.claims, posted.claim_id, posted)
                self.journal.set(self._block, self._blocks, posted.claim_id, logged.block)
                self.journal.extend(self._block, self.batches, posted.batch, [posted.claim_id])
                if posted.claim.trace_root != NO_ROOT:
                    self.board.set_root(posted.claim_id, posted.claim.trace_root)
            case ClaimSkipped() as skipped:
                self.journal.extend(self._block, self.batches, skipped.batch, [None])
            case BatchPosted() as batch:
                self.journal.set(self._block, self.posted_at, batch.batch, batch.posted_at)
                self.journal.set(self._block, self.closes_at, batch.batch, batch.closes_at)
            case GroupRefused() as refused:
                self.journal.extend(self._block, self.batches, refused.batch, [None] * refused.count)
            case Released(batch, _, indices):
                for index in indices:
                    self._note_release(batch, index)

    def _note_release(self, batch: int, index: int) -> None:
        claim_id = self.batches[batch][index] if index < len(self.batches.get(batch, ())) else None
        if claim_id is None or claim_id not in self.claims:
            return
        self._touch(claim_id)
        if claim_id not in self.released:
            self.released.add(claim_id)
            self.journal.note(self._block, lambda: self.released.discard(claim_id))

    def _note_content(self, logged: Logged) -> None:
        """What is true anywhere: no reorganisation takes it back."""
        match logged.event:
            case ModelRegistered(model_id, header):
                # A header that can't be read is that of a program that nobody can hold.
                with suppress(EncodingError):
                    self.headers[model_id] = decode_header(header)
            case Revealed() | LeafRevealed() | Answered() as opened:
                self.preimages.note(opened, logged.block)
            case ChunkUploaded(root, chunk):
                self.uploads.add(root, chunk, logged.block)
            case ChunksJoined(root, byte_length, left, right):
                self.uploads.joins[root, byte_length] = (left, right)
            case TensorsAssembled(model_id, is_output, root, tensors):
                self.uploads.assembled[model_id, is_output, root] = tensors

    def _note_move(self, logged: Logged) -> None:
        event = logged.event
        if isinstance(event, Revealed | LeafRevealed | Answered):
            return  # an opening changes no game; whether one waits for it, its node says
        if (claim_id := getattr(event, "claim_id", None)) is not None and claim_id not in self.claims:
            return  # what is said about a claim that is not known, or was forgotten, changes nothing
        for move in self.board.note(event, Said.of(logged)):
            self._touch(move.claim_id)
        if isinstance(event, Convicted):
            self.journal.set(self._block, self.convicted, event.claim_id, event)

    def _touch(self, claim_id: ClaimId) -> None:
        """Something happened in a dispute."""
        self.changes[claim_id] += 1
        self.journal.set(self._block, self._touched, claim_id, self._block)

    def block_of(self, claim_id: ClaimId) -> int:
        """The block that the claim was posted in."""
        return self._blocks[claim_id]

    def games_of(self, claim_id: ClaimId, challenger: Address | None = None) -> list[Challenged]:
        """The claim's games that have not ended, those of one challenger if it is given. A conviction ends the winner's
        alone: all others stay until their bonds are reclaimed.
        """
        return [
            game.opened
            for game in self.board.about(claim_id)
            if not game.bond_free and challenger in (None, game.opened.challenger)
        ]

    def opened(self, claim_id: ClaimId) -> list[Challenged]:
        """Every game that was ever opened about the claim, oldest first."""
        return [game.opened for game in self.board.about(claim_id)]

    @property
    def disputed(self) -> list[ClaimId]:
        """The claims that were ever challenged, in the order of their first games."""
        return list(self.board.disputed)

    def question(self, game_id: bytes) -> Question | None:
        """What is in question in a game that went inside an element."""
        game = self.board.games.get(game_id)
        return None if game is None or game.question is None else question_of_json(game.position, game.question)

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
        self.board.forget(claim_id)
        self.released.discard(claim_id)
        for facts in (self.convicted, self.changes, self._blocks, self._touched):
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
        return self.board.roots.get(claim_id, NO_ROOT)

    def data_of(self, claim_id: ClaimId) -> tuple[bytes, bytes]:
        """The claim's input and output bytes, whether they were posted with it or uploaded before."""
        posted = self.claims[claim_id]
        model_id, header = posted.claim.model_id, self._header_of(posted.claim.model_id)
        inputs = posted.inputs or self._uploaded(model_id, False, posted.claim.input_root, list(header.inputs))
        types = [tensor for _, tensor in header.outputs]
        return inputs, posted.outputs or self._uploaded(model_id, True, posted.claim.output_root, types)

    def uploaded_inputs(self, model_id: ModelId, root: Root) -> bytes:
        """The bytes behind an input root that was uploaded; raises ClaimError if they, or the model, are not known."""
        return self._uploaded(model_id, False, root, list(self._header_of(model_id).inputs))

    def _header_of(self, model_id: ModelId) -> Header:
        header = self.headers.get(model_id)
        if header is None:
            raise ClaimError(
                f"model 0x{model_id.hex()} has no readable header in what was read; read from an earlier block"
            )
        return header

    def _uploaded(self, model_id: ModelId, is_output: bool, root: Root, types: list[TensorType]) -> bytes:
        return self.uploads.tensors(model_id, is_output, root, types, self._events_of)

    def _events_of(self, block: int) -> list[Logged]:
        assert self._follower is not None
        return self._follower.client.events(block, block)
