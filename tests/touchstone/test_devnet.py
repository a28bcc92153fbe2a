"""The development chain over HTTP is a chain like any other to rollup.l1, for several processes, without end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from rollup.claim import Address
from rollup.errors import Behind, ChainError, Reverted
from rollup.l1.account.signing import Signer
from rollup.l1.client import L1Client
from rollup.l1.events import ModelRegistered
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import ACCOUNT_WEI, CHAIN_ID, DevelopmentChain, RpcError, accounts
from rollup.settings import Parameters
from rollup.types import Duration
from tests.e2e.toy_program import toy_program
from touchstone.devnet.chain import BATCH_AT_MOST, ChainServer, Gate


class Clock:
    """Time that goes on as it is told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Hurry:
    """A clock on which a second passes whenever somebody looks: a block is always due."""

    def __init__(self) -> None:
        self.now = 1_800_000_000

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[ChainServer]:
    with ChainServer(DevelopmentChain(Hurry()), "127.0.0.1", 0) as running:
        yield running


@pytest.fixture(scope="module")
def signers() -> list[Signer]:
    return list(accounts().values())


@pytest.fixture(scope="module")
def client(server: ChainServer, signers: list[Signer]) -> L1Client:
    return L1Client.deploy(Chain.connect(server.url), signers[0], Parameters(window=Duration(60), clock=Duration(30)))


def rpc(server: ChainServer, content: Any) -> httpx.Response:
    return httpx.post(server.url, json=content, trust_env=False)


def request(method: str, *params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}


def test_a_read_about_one_block_is_about_that_block_or_refused(client: L1Client, signers: list[Signer]) -> None:
    """By its hash, as every node takes it: whichever machine answers, it answers about that block, or not at all."""
    account = client.using(signers[3])
    before = client.chain.head()
    account.deposit(5)
    assert account.balance(account.account, client.chain.head()) == 5 and account.balance(account.account, before) == 0
    with pytest.raises(
        Behind, match=f"can't answer about block {before.number} .*; it lags, or the chain was reorganised"
    ):
        account.balance(account.account, replace(before, hash=bytes(32)))


def test_the_contracts_are_deployed_and_used_over_http(client: L1Client) -> None:
    program = toy_program()
    registered = client.register(program).one(ModelRegistered)
    assert registered.model_id == program.id
    assert client.is_registered(program.id)
    client.deposit(10**17)
    assert client.balance(client.account) == 10**17
    events = [event for event in client.events(0, client.chain.height()) if isinstance(event.event, ModelRegistered)]
    assert len(events) == 1


def test_a_revert_arrives_as_the_contracts_custom_error(client: L1Client, signers: list[Signer]) -> None:
    with pytest.raises(Reverted) as caught:
        client.using(signers[5]).withdraw(1)
    assert caught.value.name == "InsufficientEarnings"
    assert caught.value.arguments["needed"] == 1


def test_the_accounts_that_it_funds_are_those_that_anvil_funds(server: ChainServer) -> None:
    found = list(accounts())
    assert found[:2] == ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"]
    assert Chain.connect(server.url).wei_of(Address(found[9])) == ACCOUNT_WEI


def test_a_batch_is_answered_in_order_and_its_length_is_bounded(server: ChainServer) -> None:
    answers = rpc(server, [request("eth_chainId"), request("eth_nothing"), 3]).json()
    assert answers[0] == {"jsonrpc": "2.0", "id": 7, "result": hex(CHAIN_ID)}
    assert answers[1]["error"]["code"] == -32601
    assert answers[2]["error"]["code"] == -32600
    assert rpc(server, [request("eth_chainId")] * (BATCH_AT_MOST + 1)).json()["error"]["code"] == -32600


def test_a_notification_gets_no_answer(server: ChainServer) -> None:
    assert rpc(server, {"jsonrpc": "2.0", "method": "eth_chainId"}).status_code == 204


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"[" * 100_000, 400), (b" " * (3 << 20), 413)],
    ids=["no JSON", "deeply nested", "oversized"],
)
def test_a_malformed_or_oversized_body_is_refused(server: ChainServer, content: bytes, status: int) -> None:
    answer = httpx.post(server.url, content=content, headers={"content-type": "application/json"}, trust_env=False)
    refused = answer.status_code if answer.status_code != 200 else {-32700: 400}[answer.json()["error"]["code"]]
    assert refused in (status, 422)
    assert rpc(server, request("eth_chainId")).json()["result"] == hex(CHAIN_ID)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_call", [3]),
        ("eth_getBlockByNumber", ["tomorrow", False]),
        ("eth_getBalance", ["0x12"]),
        ("eth_getLogs", [{"topics": 3}]),
        ("eth_sendRawTransaction", ["0x02c0"]),
        ("eth_getTransactionReceipt", []),
        ("eth_feeHistory", ["many"]),
        ("eth_getStorageAt", ["0x" + "11" * 20, "slot"]),
    ],
)
def test_parameters_that_do_not_fit_are_an_error_of_json_rpc(method: str, params: list[Any]) -> None:
    with pytest.raises(RpcError):
        DevelopmentChain(Clock()).answer(method, params)


def payment(signer: Signer, nonce: int, to: Address) -> str:
    fields = {"type": 2, "chainId": CHAIN_ID, "nonce": nonce, "to": to, "value": 5, "gas": 21_000}
    return "0x" + signer.sign_transaction(fields | {"maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 10**9}).hex()


def test_a_block_has_the_time_at_which_it_is_mined_and_all_transactions_until_then(signers: list[Signer]) -> None:
    clock = Clock()
    chain = DevelopmentChain(clock)
    assert chain.step()
    sent = [
        chain.answer("eth_sendRawTransaction", [payment(signers[1], nonce, signers[2].address)]) for nonce in (0, 1)
    ]
    assert not chain.step()
    assert chain.answer("eth_getTransactionReceipt", [sent[0]]) is None
    assert chain.answer("eth_getTransactionByHash", [sent[0]])["blockNumber"] is None
    assert chain.answer("eth_getTransactionCount", [signers[1].address, "latest"]) == "0x0"
    assert chain.answer("eth_getTransactionCount", [signers[1].address, "pending"]) == "0x2"
    clock.now += 1
    assert chain.step()
    block = chain.answer("eth_getBlockByNumber", ["latest", True])
    assert int(block["timestamp"], 16) == clock.now
    assert [transaction["hash"] for transaction in block["transactions"]] == sent
    assert [chain.answer("eth_getTransactionReceipt", [one])["blockNumber"] for one in sent] == [block["number"]] * 2
    assert chain.answer("eth_getTransactionByHash", [sent[1]])["transactionIndex"] == "0x1"
    clock.now += 500
    assert chain.step()
    assert int(chain.answer("eth_getBlockByNumber", ["finalized", False])["timestamp"], 16) == clock.now


def test_a_nonce_that_is_used_or_ahead_is_refused_in_the_words_of_nodes(signers: list[Signer]) -> None:
    chain = DevelopmentChain(Clock())
    chain.answer("eth_sendRawTransaction", [payment(signers[1], 0, signers[2].address)])
    with pytest.raises(RpcError, match="nonce too low"):
        chain.answer("eth_sendRawTransaction", [payment(signers[1], 0, signers[2].address)])
    with pytest.raises(RpcError, match="nonce too high"):
        chain.answer("eth_sendRawTransaction", [payment(signers[1], 5, signers[2].address)])


def test_a_poor_account_may_look_but_not_send() -> None:
    chain, poor = DevelopmentChain(Clock()), Signer.from_key(b"\x07" * 32)
    assert chain.answer("eth_call", [{"from": poor.address, "to": poor.address}]) == "0x"
    with pytest.raises(RpcError):
        chain.answer("eth_sendRawTransaction", [payment(poor, 0, poor.address)])


def test_many_clients_at_once_lose_no_transaction(server: ChainServer, signers: list[Signer]) -> None:
    done: list[int] = []

    def pay(signer: Signer) -> None:
        chain = Chain.connect(server.url)
        done.extend(chain.transact(signer, signers[0].address, b"", 1)["status"] for _ in range(3))

    threads = [threading.Thread(target=pay, args=(signer,)) for signer in signers[6:9]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1] * 9


def test_blocks_without_transactions_leave_nothing_behind_but_their_headers() -> None:
    clock = Clock()
    chain = DevelopmentChain(clock)
    for _ in range(300):
        clock.now += 1
        assert chain.step()
    assert chain.answer("eth_blockNumber", []) == hex(300)
    assert (chain._logs, chain._receipts, chain._pending) == ({}, {}, [])
    assert chain.answer("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "0xffffffffff"}]) == []


def test_an_interval_below_a_second_is_refused() -> None:
    with pytest.raises(ChainError, match="at least 1 s"):
        DevelopmentChain(Clock(), 0)


def test_a_gate_answers_what_is_no_request_at_all() -> None:
    gate = Gate(DevelopmentChain(Clock()))
    assert gate.answer(b"null")["error"]["code"] == -32600
    assert gate.answer(b'{"method": "eth_chainId", "params": {}}')["error"]["code"] == -32602
    assert gate.answer(b"[]")["error"]["code"] == -32600
