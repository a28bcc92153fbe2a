"""A chain in this process, for tests and the demo."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from eth_tester import EthereumTester, PyEVMBackend
from web3 import EthereumTesterProvider, Web3
from web3.types import LogReceipt

from rollup.claim import Address
from rollup.errors import ChainError
from rollup.l1.account.fees import FeePolicy
from rollup.l1.account.signing import Signer
from rollup.l1.node.chain import BLOCK_GAS, Chain, T
from rollup.l1.node.finality import Block
from rollup.l1.node.floor import refuse_below_floor
from rollup.l1.node.node import Clock, Retry
from rollup.types import Duration, Timestamp

GENESIS = Timestamp(4_102_444_800)
"""The embedded chain begins in 2100: ahead of the machine's clock, its time depends on nothing but its own blocks."""


EMBEDDED_GAS = 16_000_000
"""Limit of every transaction on the embedded chain, where estimates cost time and gas nothing."""


class EmbeddedChain(Chain):
    """py-evm inside this process: its accounts are funded, every transaction is a block, time goes on as it is told."""

    def __init__(self, fees: FeePolicy | None = None, clock: Clock | None = None) -> None:
        genesis = PyEVMBackend.generate_genesis_params({"timestamp": GENESIS, "gas_limit": BLOCK_GAS})
        self._tester = EthereumTester(PyEVMBackend(genesis_parameters=genesis))
        self._one = threading.RLock()
        super().__init__(Web3(EthereumTesterProvider(self._tester)), fees, clock, Retry(1))
        self._rich = Address(self.web3.eth.accounts[0])

    def ask(self, call: Callable[[], T]) -> T:
        with self._one:
            return super().ask(call)

    def broadcast(self, raw: bytes) -> None:
        refuse_below_floor(raw)
        with self._one:
            super().broadcast(raw)

    def call(
        self, to: Address, data: bytes, sender: Address | None = None, block: Any = "latest", gas: int | None = None
    ) -> bytes:
        # It lets only accounts with money call, and would list them all for every call without a sender; nor does it understand a hash.
        named = block.number if isinstance(block, Block) else block
        return super().call(to, data, sender or self._rich, named, gas)

    def logs_of(self, block: Block, addresses: list[Address]) -> list[LogReceipt]:
        # It understands no block hash, and is never reorganised.
        return self.logs(addresses, block.number, block.number)

    def _gas_limit(self, request: dict[str, Any]) -> int:
        return EMBEDDED_GAS

    def fund(self, account: Address, wei: int) -> None:
        """Give an account money out of nothing, to pay for gas and bonds."""
        payment: Any = {"from": self._rich, "to": self.web3.to_checksum_address(account), "value": wei}
        self.ask(lambda: self.web3.eth.send_transaction(payment))

    def signer(self, name: str, wei: int = 10**21) -> Signer:
        """A funded account whose key follows from a name: good for demos and tests, public to everybody."""
        signer = Signer.from_key(self.web3.keccak(text=f"touchstone {name}"))
        self.fund(signer.address, wei)
        return signer

    def at(self, time: Timestamp) -> None:
        """Give the next block exactly this time; raises ChainError if that is in the past."""
        if time <= self.now():
            raise ChainError(f"the chain's time is {self.now()} already; {time} lies in its past")
        with self._one:
            self._tester.time_travel(time)

    def advance(self, seconds: Duration | int) -> None:
        """Let time pass, and mine a block at its end."""
        self.at(Timestamp(self.now() + seconds))
        self.mine()

    def mine(self, blocks: int = 1) -> None:
        with self._one:
            self._tester.mine_blocks(blocks)
