"""A chain to send transactions to: one inside this process, or any JSON-RPC endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from hexbytes import HexBytes
from web3 import EthereumTesterProvider, Web3
from web3.exceptions import Web3Exception
from web3.types import LogReceipt, TxReceipt

from rollup.claim import Address
from rollup.errors import ChainError
from rollup.l1.reverts import decode_revert, revert_data
from rollup.l1.signing import Signer
from rollup.types import Duration, Timestamp

GENESIS = Timestamp(4_102_444_800)
"""The embedded chain begins in 2100: ahead of the machine's clock, its time depends on nothing but its own blocks."""

BLOCK_GAS = 60_000_000
TRANSACTION_GAS = 16_000_000
"""Limit of every transaction on the embedded chain, where estimates cost time and gas nothing (EIP-7825: 2^24)."""

PRIORITY_WEI = 10**9
RECEIPT_TIMEOUT = Duration(120)

T = TypeVar("T")


class Chain:
    """A JSON-RPC endpoint of an EVM chain (Prague rules)."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.chain_id = self.ask(lambda: web3.eth.chain_id)

    @classmethod
    def connect(cls, url: str) -> Chain:
        """Raises ChainError if nothing answers there."""
        return cls(Web3(Web3.HTTPProvider(url)))

    def ask(self, call: Callable[[], T]) -> T:
        """Run a request; a revert becomes Reverted, any other failure ChainError."""
        try:
            return call()
        except (Web3Exception, TransactionFailed, OSError, ValueError) as error:
            data = revert_data(error)
            if data is not None:
                raise decode_revert(data) from None
            raise ChainError(
                f"the chain did not answer the request ({type(error).__name__}: {error}); check the endpoint"
            ) from None

    def height(self) -> int:
        """Number of the latest block."""
        return self.ask(lambda: self.web3.eth.block_number)

    def now(self) -> Timestamp:
        """Time of the latest block."""
        return self.time_of("latest")

    def time_of(self, block: Any) -> Timestamp:
        return Timestamp(self.ask(lambda: self.web3.eth.get_block(block))["timestamp"])

    def wei_of(self, account: Address) -> int:
        """What the account holds on the chain itself, outside of the ledger."""
        return self.ask(lambda: self.web3.eth.get_balance(self.web3.to_checksum_address(account)))

    def _gas_limit(self, transaction: dict[str, Any]) -> int:
        return self.ask(lambda: self.web3.eth.estimate_gas(transaction)) * 5 // 4  # type: ignore[arg-type]

    def call(self, to: Address, data: bytes, sender: Address | None = None, block: Any = "latest") -> bytes:
        """Returned bytes of a call that changes nothing; raises Reverted or ChainError."""
        request: dict[str, Any] = {"to": to, "data": "0x" + data.hex()}
        if sender is not None:
            request["from"] = sender
        return bytes(self.ask(lambda: self.web3.eth.call(request, block)))  # type: ignore[arg-type]

    def calldata(self, transaction: bytes) -> bytes:
        """What a transaction was sent with."""
        return bytes(self.ask(lambda: self.web3.eth.get_transaction(HexBytes(transaction)))["input"])

    def logs(
        self, addresses: list[Address], first: int, last: int, topics: list[bytes | None] | None = None
    ) -> list[LogReceipt]:
        """Logs of some contracts in blocks ``first`` to ``last``, both included; each begins with ``topics`` (None: any)."""
        request: Any = {"address": addresses, "fromBlock": first, "toBlock": last}
        if topics:
            request["topics"] = [None if topic is None else "0x" + topic.hex() for topic in topics]
        return list(self.ask(lambda: self.web3.eth.get_logs(request)))

    def transact(self, signer: Signer, to: Address | None, data: bytes, value: int = 0) -> TxReceipt:
        """Send a transaction and wait for its block; ``to`` None creates a contract. Raises Reverted or ChainError."""
        eth = self.web3.eth
        base_fee = self.ask(lambda: eth.get_block("latest")).get("baseFeePerGas", 0)
        transaction: dict[str, Any] = {
            "from": signer.address,
            "data": "0x" + data.hex(),
            "value": value,
            "chainId": self.chain_id,
            "nonce": self.ask(
                lambda: eth.get_transaction_count(self.web3.to_checksum_address(signer.address), "pending")
            ),
            "maxFeePerGas": 2 * base_fee + PRIORITY_WEI,
            "maxPriorityFeePerGas": PRIORITY_WEI,
        }
        if to is not None:
            transaction["to"] = to
        transaction["gas"] = self._gas_limit(transaction)
        raw = signer.sign_transaction({key: field for key, field in transaction.items() if key != "from"} | {"type": 2})
        sent = self.ask(lambda: eth.send_raw_transaction(raw))
        receipt = self.ask(lambda: eth.wait_for_transaction_receipt(sent, timeout=RECEIPT_TIMEOUT))
        if receipt["status"] != 1:
            self._explain(transaction, receipt)
        return receipt

    def _explain(self, transaction: dict[str, Any], receipt: TxReceipt) -> None:
        """Raise why a mined transaction failed: it is called again on the state after its block, then on the one
        before.
        """
        request: Any = {key: transaction[key] for key in ("from", "to", "data", "value", "gas") if key in transaction}
        for block in (receipt["blockNumber"], receipt["blockNumber"] - 1):
            self.ask(lambda block=block: self.web3.eth.call(request, block))  # type: ignore[misc]
        raise ChainError(
            f"transaction 0x{receipt['transactionHash'].hex()} failed in block {receipt['blockNumber']}, "
            "but would succeed now; send it again"
        )


class EmbeddedChain(Chain):
    """py-evm inside this process: its accounts are funded, every transaction is a block, time goes on as it is told."""

    def __init__(self) -> None:
        genesis = PyEVMBackend.generate_genesis_params({"timestamp": GENESIS, "gas_limit": BLOCK_GAS})
        self._tester = EthereumTester(PyEVMBackend(genesis_parameters=genesis))
        super().__init__(Web3(EthereumTesterProvider(self._tester)))

    def _gas_limit(self, transaction: dict[str, Any]) -> int:
        return TRANSACTION_GAS

    def fund(self, account: Address, wei: int) -> None:
        """Give an account money out of nothing, to pay for gas and bonds."""
        rich = self.web3.eth.accounts[0]
        payment: Any = {"from": rich, "to": self.web3.to_checksum_address(account), "value": wei}
        sent = self.web3.eth.send_transaction(payment)
        self.web3.eth.wait_for_transaction_receipt(sent)

    def signer(self, name: str, wei: int = 10**21) -> Signer:
        """A funded account whose key follows from a name: good for demos and tests, public to everybody."""
        signer = Signer.from_key(self.web3.keccak(text=f"touchstone {name}"))
        self.fund(signer.address, wei)
        return signer

    def at(self, time: Timestamp) -> None:
        """Give the next block exactly this time; raises ChainError if that is in the past."""
        if time <= self.now():
            raise ChainError(f"the chain's time is {self.now()} already; {time} lies in its past")
        self._tester.time_travel(time)

    def advance(self, seconds: Duration | int) -> None:
        """Let time pass, and mine a block at its end."""
        self.at(Timestamp(self.now() + seconds))
        self.mine()

    def mine(self, blocks: int = 1) -> None:
        self._tester.mine_blocks(blocks)
