"""A liar, for networks that hold no money: claims something false, defends it as such a liar would, and is convicted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from challenger.defender import Behaviour, Defender
from challenger.play.trace import ValueTrace
from prover.executor import Executor
from prover.trace import ExecutionTrace
from rollup.claim import ClaimId, PostedClaim
from rollup.client import Client
from rollup.errors import ChainError, ServiceError
from rollup.form.program import Program
from rollup.l1.account.keys import load_signer, random_nonce
from rollup.l1.account.signing import Signer
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.l1.events import (
    Answered,
    BatchPosted,
    Challenged,
    Convicted,
    Descended,
    LeafRevealed,
    Logged,
    Narrowed,
    Revealed,
    Selected,
    TraceRootSet,
)
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import KEYS
from rollup.service.fetch import fetch_program
from rollup.types import Timestamp
from rollup.wire import address_of, count_of, hex_of
from rollup.words import show_wei
from touchstone.deployment.parameters import DEVELOPMENT_CHAINS
from touchstone.devnet import PUBLISHED_PORT
from touchstone.lying.lies import WORDS, About, lie, plausible_inputs, signed
from touchstone.lying.publishing import published

VALID_SECONDS = 3600
WALLET_WEI = 10**18
"""What a liar pays its moves with."""

ROUND_SECONDS = 0.5


class Liar:
    """One false claim on a development network, from its making to its conviction.

    ``say`` gets the story, sentence by sentence. Raises ChainError for a chain that may hold money.
    """

    def __init__(self, chain: Chain, sequencer: str, say: Callable[[str], object], seed: int | None = None) -> None:
        self._say, self._url = say, sequencer.rstrip("/")
        self._rng = np.random.default_rng(seed)
        self._chain = chain
        if self._chain.chain_id not in DEVELOPMENT_CHAINS:
            raise ChainError(
                f"the chain has id {self._chain.chain_id}; lies are told on development chains alone "
                f"({', '.join(map(str, sorted(DEVELOPMENT_CHAINS)))}), because elsewhere they cost somebody money"
            )
        self.claim_id: ClaimId | None = None

    def run(
        self,
        model: str | None,
        about: About,
        behaviour: Behaviour = Behaviour.WITHHOLDS,
        port: int = PUBLISHED_PORT,
        patience: float = 600.0,
    ) -> ClaimStatus:
        """Tell a lie about a model (by default the first that the sequencer serves), and play until it is invalid or final.

        ``port``: where a publishing liar publishes its trace. Raises ServiceError if neither happens within ``patience``
        seconds.
        """
        with Client(self._url) as sequencer, tempfile.TemporaryDirectory() as folder:
            listed = sequencer.model(model) if model is not None else sequencer.models()[0]
            client = self._account(sequencer)
            program = fetch_program(self._url, listed.id, Path(folder) / "program")
            self._say(f"The model is {listed.name}, {hex_of(program.id)}.")
            inputs = plausible_inputs(program.header.inputs, self._rng)
            told = lie(program, Executor(program), inputs, about, self._rng)
            posted = signed(client, program, inputs, told, Timestamp(self._chain.now() + VALID_SECONDS))
            self._say(f"The liar lies about {WORDS[about]}: it {told.sentence}.")
            self.claim_id = client.claim_id(posted.claim)
            sequencer.claim(posted)
            self._say(f"The claim is {hex_of(self.claim_id)}; watch it at {self._url}/#/claims/{hex_of(self.claim_id)}")
            with self._publishing(told.trace, posted, port, behaviour):
                return self._play(client, program, told.trace, behaviour, patience)

    def _account(self, sequencer: Client) -> L1Client:
        """A throw-away account with money for one bond, on the sequencer's deployment."""
        network = sequencer.network()
        if count_of(network.get("chain_id"), "chain_id") != self._chain.chain_id:
            raise ChainError("the sequencer is on another chain than the endpoint; name both of one network")
        rich, signer = load_signer(KEYS[-1]), Signer.from_key(random_nonce().to_bytes(32, "big"))
        contract = address_of(network.get("contract"), "contract")
        client = L1Client(self._chain, contract, signer, count_of(network.get("block"), "block"))
        bond = client.parameters.claim_bond
        self._chain.transact(rich, signer.address, b"", bond + WALLET_WEI)
        client.deposit(bond)
        self._say(f"{signer.address} has a bond of {show_wei(bond)}, and means to lose it.")
        return client

    @contextmanager
    def _publishing(
        self, trace: ExecutionTrace, posted: PostedClaim, port: int, behaviour: Behaviour
    ) -> Iterator[None]:
        """A prover's routes for the false trace, if the liar publishes it."""
        if behaviour is not Behaviour.PUBLISHES:
            yield
            return
        assert self.claim_id is not None
        with published(trace, self.claim_id, posted, port) as url:
            self._say(f"The false trace is published at {url}; watchers that look there need no game to find the lie.")
            yield

    def _play(
        self, client: L1Client, program: Program, trace: ExecutionTrace, behaviour: Behaviour, patience: float
    ) -> ClaimStatus:
        assert self.claim_id is not None
        defender = Defender(client, behaviour, first=client.first)
        defender.uphold(self.claim_id, program, ValueTrace(program, list(trace.values()), trace.roots))
        teller = Teller(self.claim_id, program, self._say)
        deadline = time.monotonic() + patience
        following = L1Client(client.chain, client.address, None, client.first)
        next_block = self._chain.height() + 1
        while time.monotonic() < deadline:
            try:
                defender.poll()
                last = self._chain.height()
                for logged in following.events(next_block, last):
                    teller.tell(logged)
                next_block = last + 1
                l1 = defender.l1
                if self.claim_id in l1.convicted:
                    return ClaimStatus.INVALID
                if self.claim_id in l1.claims:
                    where = l1.inclusion(self.claim_id)
                    if client.status(l1.claims[self.claim_id].claim, where) is ClaimStatus.FINAL:
                        self._say("The lie became final: nobody watched. One honest watcher would have been enough.")
                        return ClaimStatus.FINAL
            except ChainError as error:
                self._say(f"L1 is in the way ({error}); trying again.")
            time.sleep(ROUND_SECONDS)
        raise ServiceError(
            f"the claim was neither convicted nor final within {patience:g} s; see {self._url}/#/claims/{hex_of(self.claim_id)}"
        )


class Teller:
    """Turns what L1 logs about one claim into sentences, each once."""

    def __init__(self, claim_id: ClaimId, program: Program, say: Callable[[str], object]) -> None:
        self._claim_id, self._program, self._say = claim_id, program, say
        self._games: dict[bytes, str] = {}

    def tell(self, logged: Logged) -> None:
        match logged.event:
            case BatchPosted(batch=number):
                self._say(f"Batch {number} is on L1.")
            case Challenged() as game if game.claim_id == self._claim_id:
                self._games[game.game_id] = game.challenger
                how = "and has named the place already" if any(game.commitment) else "and asks to see the trace"
                self._say(f"{game.challenger} challenges the claim, {how}.")
            case TraceRootSet(claim_id, root) if claim_id == self._claim_id:
                self._say(f"The liar commits to its trace, {hex_of(root)}.")
            case Revealed(_, children) if self._games:
                self._say(f"The liar opens a node: {len(children)} descendants.")
            case LeafRevealed() if self._games:
                self._say("The liar opens a leaf: 1,024 bytes.")
            case Selected(game_id, position, _) if game_id in self._games:
                self._say(f"The challenger goes down to node {position}, {self._where(int(position))}.")
            case Descended(game_id, question) if game_id in self._games:
                self._say(
                    f"The challenger goes inside element {question.element} there: its reduction has {question.parts} parts."
                )
            case Answered() if self._games:
                self._say("The liar says what the parts reduce to.")
            case Narrowed(game_id, question) if game_id in self._games:
                covers = question.covers()
                self._say(f"The challenger disputes what parts {covers.start} to {covers.stop - 1} reduce to.")
            case Convicted() as convicted if convicted.claim_id == self._claim_id:
                rule = convicted.rule.name.lower()
                self._say(f"Convicted by the rule '{rule}': the claim is INVALID, and the liar's bond is gone.")

    def _where(self, position: int) -> str:
        header = self._program.header
        level = position.bit_length() - 1
        if level < header.trace_depth:
            return "above the values of the trace"
        value = (position >> (level - header.trace_depth)) - (1 << header.trace_depth)
        if value < len(header.inputs):
            return f"in input {value}"
        return (
            f"in {self._program.name(self._program.locate(value)[0])}"
            if value < header.values
            else "in an unused entry"
        )
