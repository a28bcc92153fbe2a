"""Whoever undoes and notes what a follower says knows what a fresh reader of the chain would know."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from rollup.errors import ChainError
from rollup.l1.client import L1Client
from rollup.l1.events import Deposited, Logged
from rollup.l1.follow import CLOSE, Follower, News
from rollup.l1.node.chain import Chain
from rollup.l1.node.embedded import EmbeddedChain
from rollup.l1.node.node import Retry
from rollup.settings import Parameters
from tests.anvil import Anvil
from tests.faulty_node import FaultyNode, Request, as_bytes, result


@dataclass
class Notes:
    """The smallest consumer."""

    follower: Follower
    known: list[Logged] = field(default_factory=list)

    def look(self) -> News:
        news = self.follower.news()
        if news.rewound_to is not None:
            self.known = [logged for logged in self.known if logged.block <= news.rewound_to]
        assert all(logged.block <= news.head.number for logged in news.events)
        self.known += news.events
        return news

    def are_right(self, client: L1Client) -> bool:
        return self.known == client.events(self.follower.first, client.chain.height())


@pytest.fixture(scope="module")
def client(anvil: Anvil) -> L1Client:
    return L1Client.deploy(anvil.chain(), anvil.signer("deployer"), Parameters())


@pytest.fixture
def faulty(anvil: Anvil) -> Iterator[FaultyNode]:
    with FaultyNode(anvil.url) as node:
        yield node


def through(faulty: FaultyNode, client: L1Client) -> L1Client:
    return L1Client(Chain.connect(faulty.url, retry=Retry(1)), client.address, None, client.first)


def deposits(client: L1Client, count: int) -> None:
    for wei in range(1, count + 1):
        client.deposit(wei)


@pytest.mark.anvil
@pytest.mark.parametrize("depth", range(1, 11))
@pytest.mark.parametrize("keeps", [False, True], ids=["loses", "keeps"])
def test_a_reorganisation_is_followed_to_the_block_where_it_began(
    anvil: Anvil, client: L1Client, depth: int, keeps: bool
) -> None:
    """Whether the new blocks hold the old ones' transactions or none of them."""
    notes = Notes(Follower(client, anvil.height + 1))
    deposits(client, depth + 1)
    assert notes.look().rewound_to is None
    fork = anvil.height - depth
    (anvil.reorg_keeping if keeps else anvil.reorg)(depth)
    news = notes.look()
    assert news.rewound_to == fork
    assert notes.are_right(client)
    assert bool(news.events) is keeps
    deposits(client, 2)
    assert notes.look().rewound_to is None
    assert notes.are_right(client)
    assert len({(logged.block_hash, logged.index) for logged in notes.known}) == len(notes.known)


@pytest.mark.anvil
def test_any_order_of_blocks_and_reorganisations_is_followed(anvil: Anvil, client: L1Client) -> None:
    choice = random.Random(7)
    notes = Notes(Follower(client, anvil.height + 1))
    deposits(client, 12)
    rewinds = 0
    for _ in range(100):
        match choice.choice(["deposit", "mine", "lose", "keep", "look", "look", "look", "restart"]):
            case "deposit":
                client.deposit(choice.randrange(1, 100))
            case "mine":
                anvil.mine(choice.choice([1, 1, 2, CLOSE + 1]))
            case "lose" | "keep" as how:
                # A block that differs from the one that takes its place, even if those below do not.
                deposits(client, 1)
                (anvil.reorg if how == "lose" else anvil.reorg_keeping)(choice.randrange(2, 11))
            case "look":
                rewinds += notes.look().rewound_to is not None
                assert notes.are_right(client)
            case "restart":
                notes.follower = Follower(client, notes.follower.first, seen=notes.follower.seen)
    assert rewinds >= 5


@pytest.mark.anvil
def test_a_new_process_goes_on_after_what_was_digested_and_notices_what_changed_meanwhile(
    anvil: Anvil, client: L1Client
) -> None:
    deposits(client, 3)
    notes = Notes(Follower(client))
    digested = notes.look()
    notes.follower = Follower(client, seen=digested.seen)
    assert notes.look() == News(None, (), digested.head, digested.seen)
    anvil.reorg(2)
    deposits(client, 1)
    notes.follower = Follower(client, seen=digested.seen)
    assert notes.look().rewound_to == digested.head.number - 2
    assert notes.are_right(client)


@pytest.mark.anvil
def test_news_that_were_not_digested_come_again(client: L1Client) -> None:
    follower = Follower(client)
    digested = follower.news().seen
    deposits(client, 2)
    lost = follower.news()
    follower.seen = digested
    assert follower.news() == lost
    assert len(lost.events) == 2


@pytest.mark.anvil
def test_after_a_long_pause_everything_is_read_and_the_horizon_is_remembered(anvil: Anvil, client: L1Client) -> None:
    notes = Notes(Follower(client, depth=40))
    notes.look()
    deposits(client, 3)
    anvil.mine(60)
    deposits(client, 3)
    anvil.mine(CLOSE + 5)
    news = notes.look()
    assert notes.are_right(client)
    assert min(block.number for block in news.seen) == news.head.number - 40
    anvil.reorg(CLOSE + 8)
    assert notes.look().rewound_to == news.head.number - 40
    assert notes.are_right(client)


@pytest.mark.anvil
def test_a_reorganisation_below_the_horizon_is_read_again_from_the_beginning(anvil: Anvil, client: L1Client) -> None:
    deposits(client, 10)
    notes = Notes(Follower(client, depth=3))
    notes.look()
    anvil.reorg(6)
    news = notes.look()
    assert news.rewound_to == client.first - 1
    assert notes.known == list(news.events)
    assert notes.are_right(client)


@pytest.mark.anvil
def test_an_endpoint_that_lags_takes_nothing_back(anvil: Anvil, client: L1Client, faulty: FaultyNode) -> None:
    notes = Notes(Follower(through(faulty, client), patience=3))
    deposits(client, 5)
    before = notes.look()
    faulty.lag(anvil.height - 3)
    for _ in range(3):
        assert notes.look() == News(None, (), before.head, before.seen)
    faulty.trouble = None
    assert notes.look().rewound_to is None
    assert notes.are_right(client)


@pytest.mark.anvil
def test_an_endpoint_that_has_not_come_to_the_deployment_yet_is_followed(anvil: Anvil, client: L1Client) -> None:
    """What is remembered ends with the head, always."""
    follower = Follower(client, anvil.height + 5)
    for _ in range(7):
        news = follower.news()
        assert (news.rewound_to, news.head, news.seen[-1]) == (None, client.chain.head(), client.chain.head())
        assert len(news.events) == (news.head.number >= follower.first)
        deposits(client, 1)


@pytest.mark.anvil
def test_a_chain_that_stays_shorter_is_believed_in_the_end(anvil: Anvil, client: L1Client) -> None:
    deposits(client, 5)
    notes = Notes(Follower(client, patience=2))
    notes.look()
    anvil.rollback(3)
    assert [notes.look().rewound_to for _ in range(3)] == [None, None, anvil.height]
    assert notes.are_right(client)
    deposits(client, 1)
    notes.look()
    assert notes.are_right(client)


@pytest.mark.anvil
def test_a_fork_is_believed_at_once_even_if_it_is_shorter(anvil: Anvil, client: L1Client) -> None:
    deposits(client, 5)
    notes = Notes(Follower(client))
    notes.look()
    anvil.rollback(3)
    deposits(client, 1)
    notes.look()
    assert notes.are_right(client)


@pytest.mark.anvil
@pytest.mark.parametrize("method", ["eth_getBlockByHash", "eth_getLogs"])
def test_a_chain_that_changes_while_it_is_read_is_read_again(
    anvil: Anvil, client: L1Client, faulty: FaultyNode, method: str
) -> None:
    deposits(client, 8)
    notes = Notes(Follower(through(faulty, client)))

    def reorganised(request: Request, passed_on: Callable[[], Any]) -> bytes:
        anvil.reorg(4)
        return as_bytes(passed_on())

    faulty.first(1, reorganised, method)
    notes.look()
    notes.look()
    assert notes.are_right(client)


@pytest.mark.anvil
def test_an_endpoint_whose_machine_lacks_the_newest_block_loses_no_event(
    anvil: Anvil, client: L1Client, faulty: FaultyNode
) -> None:
    deposits(client, 4)
    notes = Notes(Follower(through(faulty, client)))
    notes.look()
    client.deposit(1)

    def unknown(request: Request, _: object) -> bytes:
        error = {"code": -32000, "message": "unknown block"}
        return as_bytes({"jsonrpc": "2.0", "id": request["id"], "error": error})

    faulty.first(1, unknown, "eth_getLogs")
    with pytest.raises(ChainError, match="unknown block"):
        notes.look()
    notes.look()
    assert notes.are_right(client)


@pytest.mark.anvil
@pytest.mark.parametrize("answer", [{}, {"number": "0x1"}, 7, "0x", [], {"number": [], "hash": {}, "timestamp": None}])
def test_made_up_blocks_are_an_error_and_change_nothing(client: L1Client, faulty: FaultyNode, answer: object) -> None:
    notes = Notes(Follower(through(faulty, client)))
    notes.look()
    seen = notes.follower.seen
    client.deposit(1)
    faulty.first(1, lambda request, _: result(request, answer), "eth_getBlockByNumber")
    with pytest.raises(ChainError):
        notes.look()
    assert notes.follower.seen == seen
    notes.look()
    assert notes.are_right(client)


@pytest.mark.anvil
def test_made_up_logs_are_an_error_and_change_nothing(client: L1Client, faulty: FaultyNode) -> None:
    notes = Notes(Follower(through(faulty, client)))
    notes.look()
    client.deposit(1)

    def garbled(request: Request, passed_on: Callable[[], Any]) -> bytes:
        answer = passed_on()
        answer["result"][0]["data"] = "0x1234"
        return as_bytes(answer)

    faulty.first(1, garbled, "eth_getLogs")
    with pytest.raises(ChainError, match="garbled"):
        notes.look()
    notes.look()
    assert notes.are_right(client)


@pytest.mark.anvil
def test_ranges_that_an_endpoint_refuses_become_shorter(anvil: Anvil, client: L1Client, faulty: FaultyNode) -> None:
    anvil.mine(100)
    deposits(client, 2)
    reader = through(faulty, client)
    asked = []

    def narrow(request: Request, passed_on: Callable[[], Any]) -> bytes:
        if request["method"] != "eth_getLogs":
            return as_bytes(passed_on())
        span = int(request["params"][0]["toBlock"], 16) - int(request["params"][0]["fromBlock"], 16) + 1
        asked.append(span)
        if span > 30:
            limit = {"code": -32005, "message": "query exceeds 30 blocks"}
            return as_bytes({"jsonrpc": "2.0", "id": request["id"], "error": limit})
        return as_bytes(passed_on())

    faulty.trouble = narrow
    last = anvil.height
    assert reader.events(client.first, last) == client.events(client.first, last)
    assert sum(span for span in asked if span <= 30) == last - client.first + 1
    refused = sum(span > 30 for span in asked)
    assert reader.events(client.first, last) == client.events(client.first, last)
    assert sum(span > 30 for span in asked) <= refused + 1


def test_the_embedded_chain_is_followed_from_its_deployment_on() -> None:
    chain = EmbeddedChain()
    chain.mine(20)
    client = L1Client.deploy(chain, chain.signer("deployer"), Parameters())
    notes = Notes(Follower(client))
    chain.mine(CLOSE + 4)
    deposits(client, 2)
    notes.look()
    deposits(client, 1)
    notes.look()
    assert notes.are_right(client)
    assert [logged.event for logged in notes.known] == [Deposited(client.account, wei) for wei in (1, 2, 1)]


def long_history() -> tuple[EmbeddedChain, L1Client]:
    """Deposits all over some dozen blocks, on an endpoint whose answers hold eight blocks at most."""
    chain = EmbeddedChain()
    client = L1Client.deploy(chain, chain.signer("deployer"), Parameters())
    for wei in range(1, 13):
        client.deposit(wei)
        chain.mine(4)
    chain._log_blocks, chain._log_pages = 8, 1000
    return chain, client


def test_a_long_history_comes_in_pieces_and_a_failure_loses_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, client = long_history()
    notes, asked, fails = Notes(Follower(client)), [], [4, 5]
    ask = chain._logs

    def failing(request: Any) -> Any:
        asked.append(request["toBlock"] - request["fromBlock"] + 1)
        if len(asked) in fails:
            raise ChainError("the chain did not answer the request")
        return ask(request)

    monkeypatch.setattr(chain, "_logs", failing)
    pieces = []
    while not pieces or pieces[-1].more:
        try:
            pieces.append(notes.look())
        except ChainError:
            continue
    assert notes.are_right(client)
    assert len(pieces) > 5 and max(len(news.events) for news in pieces[:-1]) <= 4
    assert [news.head for news in pieces] == [news.seen[-1] for news in pieces]
    # What had been read was not read again, and what failed was asked for in halves.
    assert asked[:5] == [8, 8, 8, 8, 4] and asked[5] == 2
    assert pieces[-1].head == chain.head() and pieces[-1].rewound_to is None
    assert notes.look() == News(None, (), pieces[-1].head, pieces[-1].seen)


def test_a_new_process_goes_on_in_the_middle_of_a_long_history() -> None:
    _, client = long_history()
    notes = Notes(Follower(client))
    while (news := notes.look()).more:
        notes.follower = Follower(client, seen=news.seen)
    assert notes.are_right(client)


def test_logs_that_an_endpoint_can_not_answer_in_time_are_asked_for_in_ever_shorter_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain, client = long_history()
    ask = chain._logs

    def slow(request: Any) -> Any:
        if request["toBlock"] - request["fromBlock"] + 1 > 3:
            raise ChainError("the chain did not answer the request")
        return ask(request)

    chain._log_blocks, notes, tries = 2000, Notes(Follower(client)), 0
    monkeypatch.setattr(chain, "_logs", slow)
    more = True
    while more:
        tries += 1
        assert tries < 100
        try:
            more = notes.look().more
        except ChainError:
            continue
    monkeypatch.undo()
    assert notes.are_right(client)


def test_an_endpoint_that_recovers_is_asked_for_long_pieces_again() -> None:
    chain, client = long_history()
    chain._log_blocks, chain._log_pages = 1, 3
    client.events(client.first, chain.height())
    assert chain._log_blocks >= 16
