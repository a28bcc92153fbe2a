"""Calls, events, errors and time on the embedded chain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from eth_abi.abi import encode
from web3.exceptions import ContractCustomError

from rollup.batch import Batch, Inclusion
from rollup.claim import ClaimId, PostedClaim
from rollup.errors import ChainError, Reverted, StaleView
from rollup.l1 import reverts
from rollup.l1.answers import ClaimStatus
from rollup.l1.artifacts import artifact
from rollup.l1.client import L1Client
from rollup.l1.events import (
    BatchPosted,
    ClaimPosted,
    Deposited,
    Funded,
    GroupRefused,
    ModelRegistered,
    Redeposited,
    WithdrawalAnnounced,
    Withdrawn,
)
from rollup.l1.logs import FIELDS, READERS
from rollup.l1.node.chain import Chain
from rollup.l1.node.embedded import EmbeddedChain
from rollup.l1.requests.events import NAMES
from rollup.merkle import tensor_tree
from rollup.settings import Parameters
from rollup.types import Duration, Gindex, Root, Timestamp
from rollup.words import when
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import toy_inputs, toy_program
from tests.rollup.l1.script import Script
from tests.world import TERMS


def test_every_custom_error_has_a_sentence_with_a_remedy() -> None:
    assert list(reverts.unexplained()) == []
    assert all(";" in sentence for sentence in reverts.SENTENCES.values())


def test_every_event_is_a_dataclass_with_the_abis_fields() -> None:
    from_abi = {
        item["name"]: tuple(part["name"] for part in item["inputs"])
        for contract in ("RollupChain", "DisputeGame")
        for item in artifact(contract).abi
        if item["type"] == "event" and item["name"] not in READERS
    } | {
        NAMES[item["name"]].__name__: tuple(part["name"] for part in item["inputs"])
        for item in artifact("Requests").abi
        if item["type"] == "event"
    }
    ours = {kind.__name__: names for kind, names in FIELDS.items()}
    assert {name: sorted(fields) for name, fields in from_abi.items()} == {
        name: sorted(fields) for name, fields in ours.items()
    }
    assert all(len(kind.__dataclass_fields__) == len(names) for kind, names in FIELDS.items())


def test_parameters_come_back_as_they_were_deployed(client: L1Client) -> None:
    assert client.parameters == TERMS


def test_parameters_that_would_mint_money_are_refused() -> None:
    with pytest.raises(ChainError, match="at least half must burn"):
        Parameters(reward=6 * 10**16)
    with pytest.raises(ChainError, match="not playable"):
        Parameters(arity=9)
    with pytest.raises(ChainError, match="lying and spamming are free"):
        Parameters(claim_bond=0, reward=0, collect_fee=0)
    with pytest.raises(ChainError, match="positive"):
        Parameters(window=Duration(0))


def test_a_registration_is_read_back_and_repeated_without_effect(client: L1Client) -> None:
    program = toy_program()
    with pytest.raises(ChainError, match="is not registered"):
        client.header(program.id)
    assert client.register(program).one(ModelRegistered).model_id == program.id
    assert client.is_registered(program.id)
    assert client.header(program.id) == program.header
    assert client.register(program).events == ()


def test_money_goes_in_and_out(client: L1Client) -> None:
    account = client.account
    receipt = client.deposit(500)
    assert receipt.one(Deposited) == Deposited(account, 500)
    assert receipt.gas > 21_000
    assert receipt.call == "deposit"
    due = client.announce_withdrawal(400).one(WithdrawalAnnounced).due
    assert client.withdrawal(account) == (400, due) and due == client.chain.now() + Parameters().withdrawal_delay
    with pytest.raises(Reverted, match=f"can leave from {when(due)} on"):
        client.complete_withdrawal()
    assert isinstance(client.chain, EmbeddedChain)
    client.chain.advance(Parameters().withdrawal_delay)
    assert client.complete_withdrawal().one(Withdrawn) == Withdrawn(account, 400, True)
    assert (client.balance(account), client.locked(account), client.withdrawal(account)) == (100, 0, (0, 0))


def test_what_is_funded_goes_out_at_once_or_becomes_free(client: L1Client) -> None:
    account, free = client.account, client.balance(client.account)
    assert client.fund(500).one(Funded) == Funded(account, 500)
    assert client.withdraw(200).one(Withdrawn) == Withdrawn(account, 200, False)
    assert client.redeposit(100).one(Redeposited) == Redeposited(account, 100)
    assert (client.earnings(account), client.balance(account)) == (200, free + 100)
    with pytest.raises(Reverted) as refused:
        client.withdraw(201)
    assert refused.value.name == "InsufficientEarnings"
    assert refused.value.arguments["needed"] == 201
    assert str(refused.value).endswith(
        "has 200 wei of earnings and needs 201 wei; send the difference along, or fund it"
    )


def test_a_client_without_an_account_only_reads(client: L1Client) -> None:
    reader = client.using(None)
    assert reader.balance(client.account) >= 0
    with pytest.raises(ChainError, match="only reads"):
        reader.deposit(1)


def test_a_wrong_address_is_named(chain: EmbeddedChain, client: L1Client) -> None:
    with pytest.raises(ChainError, match="no contract answers burned"):
        L1Client(chain, client.account).burned()


def custom_error(name: str, types: list[str], values: list[object]) -> str:
    selector = next(data for data, item in reverts._errors().items() if item["name"] == name)
    return str(reverts.decode_revert(selector + encode(types, values)))


def test_errors_say_amounts_times_and_states_as_people_read_them() -> None:
    account, model, request = "0x" + "11" * 20, b"m" * 32, b"r" * 32
    assert "the fee of 1 gwei is below the 0.01 ether" in custom_error("FeeTooLow", ["uint256"] * 2, [10**9, 10**16])
    assert "(it is refunded)" in custom_error("NotOpen", ["bytes32", "uint8"], [request, 4])
    assert "after 2030-01-01 00:00:00 UTC only" in custom_error("NotOver", ["uint64"], [1893456000])
    held = ["bytes32", "address", "uint256"]
    assert "is held until block 7; wait" in custom_error("SeatHeld", held, [model, account, 7])
    assert "still has its seat" in custom_error("SeatHeld", held, [model, account, 0])
    announced = ["address", "uint64"]
    assert "announced no withdrawal" in custom_error("WithdrawalNotDue", announced, [account, 0])
    few = custom_error("TooFewSeats", ["bytes32", "uint256", "uint256"], [model, 1, 3])
    assert "1 provers can be drawn" in few and "fewer" not in few
    assert "defender's clock" in custom_error("ClockExpired", ["bytes32", "uint8"], [request, 1])


def test_revert_data_is_found_in_every_providers_exceptions() -> None:
    """JSON-RPC nodes put it into ``data``, plainly or nested; the embedded chain prints it into a message."""
    selector = next(data for data, item in reverts._errors().items() if item["name"] == "NotFinal")
    data = selector + encode(["bytes32", "uint8"], [b"c" * 32, 1])
    shapes = [
        ContractCustomError("0x" + data.hex(), data="0x" + data.hex()),
        ContractCustomError("nested", data={"data": "0x" + data.hex()}),
        ContractCustomError("deeper", data={"originalError": {"data": "0x" + data.hex()}}),
        ValueError(f"execution reverted: {data!r}"),
    ]
    for shape in shapes:
        found = reverts.revert_data(shape)
        assert found == data
        error = reverts.decode_revert(found)
        assert (error.name, error.arguments["status"]) == ("NotFinal", 1)
    assert reverts.revert_data(ConnectionError("refused")) is None
    said = "is not final (it is posted)"
    assert said in str(reverts.decode_revert(data))
    assert reverts.decode_revert(b"").name == "Unknown"
    assert reverts.decode_revert(data[:20]).name == "Unknown"
    assert "0x12345678" in str(reverts.decode_revert(b"\x12\x34\x56\x78"))


def test_an_endpoint_that_does_not_answer_is_a_chain_error() -> None:
    with pytest.raises(ChainError, match="check the endpoint"):
        Chain.connect("http://127.0.0.1:9")


def test_time_goes_on_as_it_is_told(chain: EmbeddedChain) -> None:
    before = chain.now()
    chain.advance(1000)
    assert chain.now() == before + 1000
    chain.at(Timestamp(before + 2000))
    chain.mine()
    assert chain.now() == before + 2000
    with pytest.raises(ChainError, match="lies in its past"):
        chain.at(before)


def test_a_skipped_claim_says_why_and_leaves_the_others_alone() -> None:
    network = NetworkWorld(toy_program())
    first = network.claim("honest", toy_inputs())
    second = network.claim("honest", toy_inputs(1))
    again = [first.posted, PostedClaim(second.posted.claim, bytes(65), b"", b"")]
    receipt = network.deployer.post_batch(again)
    reasons = [event.reason for event in receipt.events if isinstance(event, GroupRefused)]
    assert reasons == ["NonceUsed", "InputMissing"]
    batch = network.deployer.batch(receipt.one(BatchPosted).batch)
    assert (batch.root, batch.claims) == (Batch((None, None)).root, 2)


def test_status_follows_the_window(client: L1Client) -> None:
    network = NetworkWorld(toy_program())
    claimed = network.claim("honest", toy_inputs())
    assert network.status(claimed) is ClaimStatus.POSTED
    elsewhere = Inclusion(claimed.inclusion.batch + 1, 0, ())
    assert network.deployer.status(claimed.posted.claim, elsewhere) is ClaimStatus.UNKNOWN
    with pytest.raises(Reverted, match="is not final"):
        claimed.client.release(claimed.posted.claim, claimed.inclusion)
    posted_at = network.deployer.batch(claimed.inclusion.batch)[1]
    network.chain.advance(posted_at + TERMS.window - network.chain.now() + 1)
    assert network.deployer.is_final(claimed.posted.claim, claimed.inclusion)


def test_a_large_input_is_uploaded_in_chunks_and_left_out_of_the_posting() -> None:
    network = NetworkWorld(toy_program())
    client = network.client("honest")
    program, inputs = network.program, toy_inputs(3)
    x = inputs[0].tobytes()
    left, right = x[:1024], x[1024:]
    client.upload(left)
    client.upload(right)
    roots = [tensor_tree(part).root for part in (left, right)]
    client.join(roots[0], 1024, roots[1], len(right))
    client.upload(inputs[1].tobytes())
    tensors = [tensor_tree(x).root, tensor_tree(inputs[1].tobytes()).root]
    client.assemble(program.id, False, tensors)
    claimed = network.claim("honest", inputs, uploaded=True)
    assert claimed.posted.inputs == b""
    watcher, _ = network.watch()
    assert watcher.check()[0].finding.honest
    network.settle()
    assert network.status(claimed) is ClaimStatus.FINAL


def test_events_of_a_range_come_in_order(client: L1Client) -> None:
    start = client.chain.height()
    client.deposit(1)
    client.deposit(2)
    amounts = [logged.event.amount for logged in client.events(start + 1, start + 2)]  # type: ignore[union-attr]
    assert amounts == [1, 2]
    assert client.events(start + 2, start + 1) == []


def test_reading_one_event_needs_exactly_one(client: L1Client) -> None:
    receipt = client.deposit(1)
    with pytest.raises(ChainError, match="logged 0 ClaimPosted events"):
        receipt.one(ClaimPosted)


def test_the_place_of_a_commitment_is_hidden_by_its_salt(client: L1Client) -> None:
    claim, root = ClaimId(b"c" * 32), Root(b"r" * 32)
    assert client.commitment(claim, root, Gindex(5), b"a" * 32) != client.commitment(claim, root, Gindex(5), b"b" * 32)


def test_the_embedded_chain_tells_a_stale_view_too() -> None:
    chain = EmbeddedChain(clock=Script().clock)
    client = L1Client.deploy(chain, chain.signer("deployer"), TERMS)
    client.anchor()
    client.using(chain.signer("deployer")).deposit(1)
    for _ in range(2):
        with pytest.raises(StaleView):
            client.deposit(1)
    client.anchor()
    assert client.balance(client.account) == 1
    client.deposit(1)
    client.deposit(1)
    assert client.balance(client.account) == 3


def test_an_anchor_belongs_to_the_thread_that_decides(chain: EmbeddedChain, client: L1Client) -> None:
    ours = client.using(chain.signer("threads"))
    ours.anchor()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ours.deposit, range(1, 7)))
    assert ours.balance(ours.account) == 21
    with pytest.raises(StaleView):
        ours.deposit(1)
    ours.release_anchor()
    ours.deposit(1)


def test_what_is_read_begins_at_the_deployment(chain: EmbeddedChain, client: L1Client) -> None:
    later = L1Client(chain, client.address, None, chain.height() + 1)
    assert later.games_of(ClaimId(bytes(32))) == []
    program = toy_program()
    client.register(program)
    assert client.header(program.id) == program.header
    chain.mine()
    with pytest.raises(ChainError, match="is not registered"):
        L1Client(chain, client.address, None, chain.height()).header(program.id)
