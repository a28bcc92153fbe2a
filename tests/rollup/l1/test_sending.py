"""A decision becomes one transaction, whatever the mempool, the fees, the node or an earlier life of the process do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from rollup.claim import Claim, PostedClaim
from rollup.errors import ChainError, Refused, Reverted, StaleView
from rollup.l1.account.fees import GWEI, FeePolicy
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted, GroupRefused
from rollup.l1.node.chain import Chain
from rollup.settings import Parameters
from rollup.types import Root
from tests.anvil import Anvil
from tests.faulty_node import FaultyNode, as_bytes, result
from tests.rollup.l1.script import Script

pytestmark = pytest.mark.anvil

POLICY = FeePolicy(bump_after=10, give_up_after=100, poll=1)
_names = count()


class Died(BaseException):
    """The process ends here, whatever it was waiting for."""


@pytest.fixture(scope="module")
def deployed(anvil: Anvil) -> L1Client:
    return L1Client.deploy(anvil.chain(), anvil.signer("deployer"), Parameters())


@pytest.fixture
def name() -> str:
    """An account that no other test uses."""
    return f"account {next(_names)}"


@pytest.fixture
def stalled(anvil: Anvil, deployed: L1Client) -> Iterator[Anvil]:
    """The node, mining on demand alone."""
    anvil.automine(False)
    yield anvil
    anvil.drop_all()
    anvil.set_base_fee(GWEI)
    anvil.mine()
    anvil.automine(True)


Lives = Callable[..., tuple[L1Client, Script]]


@pytest.fixture
def life(anvil: Anvil, deployed: L1Client, name: str) -> Lives:
    """A client of the test's account as a new process would make it, and the script of its time."""

    def begin(url: str = anvil.url, fees: FeePolicy = POLICY, timeout: float = 10.0) -> tuple[L1Client, Script]:
        script = Script()
        node = Chain.connect(url, fees, script.clock, timeout=timeout)
        return L1Client(node, deployed.address, anvil.signer(name), deployed.first), script

    return begin


def die() -> None:
    raise Died


def dies(client: L1Client, script: Script, wei: int) -> None:
    """The process sends a deposit and is killed while it waits."""
    script.at(1, die)
    with pytest.raises(Died):
        client.deposit(wei)


def test_a_transaction_is_mined_and_counted(life: Lives) -> None:
    client, _ = life()
    client.anchor()
    client.deposit(1)
    receipt = client.deposit(2)
    assert client.balance(client.account) == 3
    assert client.chain.nonce(client.account) == 2
    block = client.chain.block(receipt.block)
    assert block is not None
    logged = client.events_of(block)
    assert logged is not None
    assert {one.block_hash for one in logged} == {block.hash}
    assert [one.event for one in logged] == list(receipt.events)


def test_a_dropped_transaction_is_sent_again_at_once(stalled: Anvil, life: Lives) -> None:
    client, script = life()
    seen: list[list[str]] = []
    script.at(1, lambda: (seen.append(stalled.pending()), stalled.drop_all()))
    script.at(4, lambda: (seen.append(stalled.pending()), stalled.mine()))
    receipt = client.deposit(5)
    assert seen == [[f"0x{receipt.transaction.hex()}"]] * 2
    assert script.finished
    assert client.balance(client.account) == 5


def test_fees_that_jump_tenfold_are_followed(stalled: Anvil, life: Lives) -> None:
    client, script = life()
    base = client.chain.base_fee()
    for second in range(1, 30, 2):
        script.at(second, lambda: (stalled.set_base_fee(10 * base), stalled.mine()))
    receipt = client.deposit(5)
    mined = stalled.rpc("eth_getTransactionByHash", "0x" + receipt.transaction.hex())
    assert int(mined["maxFeePerGas"], 16) >= 2 * 10 * base
    assert client.balance(client.account) == 5
    assert client.chain.nonce(client.account) == 1
    assert 10 <= script.time < 20


def test_no_more_than_the_cap_is_offered_and_giving_up_says_how_things_stand(stalled: Anvil, life: Lives) -> None:
    base = stalled.chain().base_fee()
    client, script = life(fees=FeePolicy(cap=3 * base + GWEI, bump_after=10, give_up_after=60, poll=1))
    for second in range(1, 60, 5):
        script.at(second, lambda: (stalled.set_base_fee(100 * base), stalled.mine()))
    client.anchor()
    with pytest.raises(ChainError, match=r"with nonce 0 was not mined in 6\d s.*cap.*the same nonce") as given_up:
        client.deposit(5)
    assert not isinstance(given_up.value, StaleView)
    stalled.set_base_fee(base)
    stalled.mine()
    script.at(1, lambda: (stalled.set_base_fee(base), stalled.mine()))
    client.deposit(5)
    assert client.chain.nonce(client.account) == 1
    assert client.balance(client.account) == 5


@pytest.mark.parametrize("priority", [GWEI, 2 * GWEI, 40 * GWEI])
def test_what_an_earlier_life_left_in_the_mempool_is_never_mined_beside_the_same_decision(
    stalled: Anvil, life: Lives, priority: int
) -> None:
    """Whether it is the same transaction, a cheaper or a dearer one."""
    earlier, its_script = life(fees=FeePolicy(priority=priority, bump_after=10, give_up_after=100, poll=1))
    dies(earlier, its_script, 7)
    assert len(stalled.pending()) == 1
    client, script = life()
    client.anchor()
    assert client.balance(client.account) == 0
    script.at(3, stalled.mine)
    client.deposit(7)
    stalled.mine()
    assert client.balance(client.account) == 7
    assert client.chain.nonce(client.account) == 1


def test_a_batch_that_two_lives_send_is_posted_once(stalled: Anvil, life: Lives) -> None:
    earlier, its_script = life()
    zero = Root(bytes(32))
    claim = Claim(Root(b"m" * 32), earlier.account, 1, 0, zero, zero, zero, zero)
    batch = [PostedClaim(claim, bytes(65), b"", b"")]
    its_script.at(1, die)
    with pytest.raises(Died):
        earlier.post_batch(batch)
    client, script = life()
    first = client.chain.height() + 1
    client.anchor()
    script.at(3, stalled.mine)
    client.post_batch(batch)
    stalled.mine(2)
    said = [type(logged.event) for logged in client.events(first, client.chain.height())]
    assert said == [GroupRefused, BatchPosted]


def test_if_the_earlier_lifes_transaction_is_mined_first_the_view_is_stale(stalled: Anvil, life: Lives) -> None:
    dies(*life(), 7)
    client, _ = life()
    client.anchor()
    assert client.balance(client.account) == 0
    stalled.mine()
    for _ in range(2):
        with pytest.raises(StaleView, match=r"look at L1 again|stale"):
            client.deposit(7)
    assert stalled.pending() == []
    client.anchor()
    assert client.balance(client.account) == 7


def test_if_it_is_mined_while_this_one_waits_the_view_is_stale(stalled: Anvil, life: Lives) -> None:
    """The node holds on to the dearer one of two lives, and mines it."""
    earlier, its_script = life(fees=FeePolicy(priority=100 * GWEI, bump_after=10, give_up_after=100, poll=1))
    dies(earlier, its_script, 7)
    client, script = life(fees=FeePolicy(cap=20 * GWEI, bump_after=10, give_up_after=100, poll=1))
    client.anchor()
    script.at(15, stalled.mine)
    with pytest.raises(StaleView):
        client.deposit(7)
    assert client.balance(client.account) == 7


def test_a_decision_that_reverts_because_an_earlier_life_made_it_is_stale(stalled: Anvil, life: Lives) -> None:
    client, script = life()
    script.at(1, stalled.mine)
    client.fund(7)
    earlier, its_script = life()
    its_script.at(1, die)
    with pytest.raises(Died):
        earlier.withdraw(7)
    client.anchor()
    stalled.mine()
    with pytest.raises(StaleView):
        client.withdraw(7)
    client.anchor()
    with pytest.raises(Reverted, match="fund it"):
        client.withdraw(7)


def test_an_anchor_may_lie_at_the_block_that_was_read(life: Lives) -> None:
    client, _ = life()
    read = client.chain.head()
    client.deposit(1)
    client.anchor(read.number)
    with pytest.raises(StaleView):
        client.deposit(1)
    client.release_anchor()
    client.deposit(1)
    assert client.balance(client.account) == 2


def test_a_node_that_restarts_in_the_middle_gets_the_transaction_again(stalled: Anvil, life: Lives) -> None:
    client, script = life()
    script.at(1, stalled.crash)
    script.at(8, stalled.revive)
    script.at(9, lambda: stalled.automine(False))
    script.at(40, stalled.mine)
    client.deposit(5)
    assert client.balance(client.account) == 5
    assert client.chain.nonce(client.account) == 1


def test_a_node_that_stays_away_is_given_up(stalled: Anvil, life: Lives) -> None:
    client, script = life()
    script.at(1, stalled.crash)
    with pytest.raises(ChainError, match=r"was not mined in .*the last trouble: the chain did not answer"):
        client.deposit(5)
    stalled.revive()


def test_a_receipt_whose_block_vanishes_is_waited_for_again(stalled: Anvil, life: Lives) -> None:
    client, script = life()
    script.at(1, lambda: (stalled.mine(), stalled.reorg(1)))
    script.at(5, stalled.mine)
    receipt = client.deposit(5)
    assert script.finished
    assert receipt.block == stalled.height
    assert client.balance(client.account) == 5


def test_what_a_reorganisation_loses_is_sent_again_before_what_comes_after_it(stalled: Anvil, life: Lives) -> None:
    client, script = life()
    client.anchor()
    script.at(1, stalled.mine)
    client.deposit(1)
    script.at(1, lambda: stalled.reorg(1))
    for second in (10, 11, 12):
        script.at(second, stalled.mine)
    client.deposit(2)
    assert client.balance(client.account) == 3
    assert client.chain.nonce(client.account) == 2


def test_a_nonce_that_went_back_under_another_process_is_a_stale_view(stalled: Anvil, life: Lives) -> None:
    earlier, its_script = life()
    its_script.at(1, stalled.mine)
    earlier.deposit(1)
    client, script = life()
    client.anchor()
    script.at(1, lambda: stalled.reorg(1))
    with pytest.raises(StaleView, match="back at nonce 0"):
        client.deposit(2)
    stalled.drop_all()


def test_threads_of_one_account_send_one_after_the_other(life: Lives) -> None:
    client, _ = life()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client.deposit, range(1, 13)))
    assert client.balance(client.account) == sum(range(1, 13))
    assert client.chain.nonce(client.account) == 12


def test_an_account_without_money_is_told_so(anvil: Anvil, life: Lives) -> None:
    client, _ = life()
    anvil.fund(client.account, 10)
    with pytest.raises(Refused, match="send wei to the account that pays"):
        client.deposit(5)


@pytest.mark.parametrize("answer", [500, b"garbage", b"[" * 100_000, None])
def test_a_transaction_whose_answer_is_lost_is_sent_once(anvil: Anvil, life: Lives, answer: bytes | int | None) -> None:
    with FaultyNode(anvil.url) as faulty:
        client, _ = life(faulty.url)
        faulty.first(1, lambda _, passed_on: (passed_on(), answer)[1], "eth_sendRawTransaction")
        client.deposit(5)
    assert client.chain.chain_id == 31337
    assert faulty.asked.count("eth_sendRawTransaction") >= 1
    reader = L1Client(anvil.chain(), client.address)
    assert reader.balance(client.account) == 5
    assert reader.chain.nonce(client.account) == 1


def test_a_transaction_that_the_endpoint_swallows_is_sent_again(anvil: Anvil, life: Lives) -> None:
    with FaultyNode(anvil.url) as faulty:
        client, _ = life(faulty.url)
        faulty.first(2, lambda request, _: result(request, "0x" + "11" * 32), "eth_sendRawTransaction")
        client.deposit(5)
        assert client.balance(client.account) == 5


def test_a_machine_that_has_no_receipt_yet_is_asked_again(anvil: Anvil, life: Lives) -> None:
    with FaultyNode(anvil.url) as faulty:
        client, _ = life(faulty.url)
        faulty.first(3, lambda request, _: result(request, None), "eth_getTransactionReceipt")
        client.deposit(5)
        assert client.balance(client.account) == 5
        assert client.chain.nonce(client.account) == 1


def test_a_node_that_lies_about_receipts_is_an_error_and_no_crash(anvil: Anvil, life: Lives) -> None:
    with FaultyNode(anvil.url) as faulty:
        client, _ = life(faulty.url)

        def lies(request: object, passed_on: Callable[[], dict[str, object]]) -> bytes:
            answer = passed_on()
            if isinstance(answer["result"], dict) and "logs" in answer["result"]:
                answer["result"] |= {"status": "0x7"}
            return as_bytes(answer)

        faulty.trouble = lies
        with pytest.raises(ChainError, match="was not mined in"):
            client.deposit(5)
