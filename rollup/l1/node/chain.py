"""A chain to send transactions to: one inside this process, or any JSON-RPC endpoint."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hexbytes import HexBytes
from web3 import Web3
from web3.types import LogReceipt, TxReceipt

from rollup.claim import Address
from rollup.errors import Behind, ChainError, Refused, Reverted
from rollup.l1.account.fees import FeePolicy
from rollup.l1.account.sending import Account, Anchor, Sending, stale
from rollup.l1.account.signing import Signer
from rollup.l1.node.finality import LATEST, Block, Finality
from rollup.l1.node.floor import floor_gas
from rollup.l1.node.node import Clock, Missing, Retry, ask, meaning, whole
from rollup.l1.node.transport import Transport
from rollup.types import Duration, Timestamp

BLOCK_GAS = 60_000_000

TRANSACTION_GAS = 1 << 24
"""Most gas of a transaction (EIP-7825)."""

TIMEOUT = 10.0
"""Seconds that an endpoint has for an answer."""

RECENT_BLOCKS = 16
MOST_BLOCK_SECONDS = 15.0
"""How many blocks tell how often there is one, and more than any chain lets pass on average."""

LOG_BLOCKS = 2000
"""Blocks per request for logs; endpoints limit them, some to less."""

LOG_PAGES = 64
"""Requests for logs after one that failed before a longer one is tried again."""

T = TypeVar("T")


class Chain:
    """A JSON-RPC endpoint of an EVM chain (Prague rules); several threads may use it.

    Every failure is a ChainError. Reads that fail on their way are made again a few times; what an account sends is
    sent one after the other.
    """

    def __init__(
        self, web3: Web3, fees: FeePolicy | None = None, clock: Clock | None = None, retry: Retry | None = None
    ) -> None:
        self.web3 = web3
        # It asks for the chain's id before and after every call, and takes no block header of a chain with authorities.
        web3.middleware_onion.remove("validation")
        self.fees, self.clock, self._retry = fees or FeePolicy(), clock or Clock(), retry or Retry()
        self._accounts: defaultdict[Address, Account] = defaultdict(Account)
        self._lock = threading.Lock()
        self._log_blocks, self._log_pages = LOG_BLOCKS, 0
        self.chain_id = self.ask(lambda: whole(web3.eth.chain_id))

    @classmethod
    def connect(
        cls,
        url: str,
        fees: FeePolicy | None = None,
        clock: Clock | None = None,
        retry: Retry | None = None,
        timeout: float = TIMEOUT,
    ) -> Chain:
        """``timeout``: seconds for an answer. Raises ChainError if nothing answers there."""
        return cls(Web3(Transport(url, timeout)), fees, clock, retry)

    def ask(self, call: Callable[[], T]) -> T:
        """Make a read request; raises Reverted, Refused if the node says no, or ChainError if it does not answer."""
        return ask(call, self._retry, self.clock)

    # Blocks and time

    def height(self) -> int:
        """Number of the latest block."""
        return self.ask(lambda: whole(self.web3.eth.block_number))

    def now(self) -> Timestamp:
        """Time of the latest block."""
        return self.time_of("latest")

    def time_of(self, block: Any) -> Timestamp:
        return Timestamp(self.ask(lambda: whole(self.web3.eth.get_block(block)["timestamp"])))

    def block(self, named: int | bytes) -> Block | None:
        """The block with this number or hash; None if the endpoint knows none."""
        try:
            return self._block(HexBytes(named) if isinstance(named, bytes) else named)
        except Missing:
            return None

    def head(self, finality: Finality = LATEST) -> Block:
        """The newest block that is that final; the genesis block if none is."""
        if finality.confirmations:
            return self._block(max(0, self.height() - finality.confirmations))
        try:
            return self._block(finality.tag)
        except Refused as error:
            raise ChainError(f"the chain has no {finality} block yet ({error}); wait, or count confirmations") from None

    def block_seconds(self) -> float:
        """Seconds between two blocks, as of late: ``MOST_BLOCK_SECONDS`` at most, since a chain may have stood still."""
        head = self.head()
        before = self.block(max(0, head.number - RECENT_BLOCKS))
        if before is None or before.number == head.number:
            return MOST_BLOCK_SECONDS
        seconds = (head.timestamp - before.timestamp) / (head.number - before.number)
        return min(max(seconds, 0.0), MOST_BLOCK_SECONDS)

    def lag(self, now: float) -> Duration:
        """Seconds that the latest block lies behind ``now``, seconds since the epoch."""
        return Duration(max(0, int(now) - self.now()))

    def _block(self, named: Any) -> Block:
        def read() -> Block:
            found: Mapping[str, Any] = self.web3.eth.get_block(named)
            return Block(
                int(found["number"]),
                bytes(found["hash"]),
                Timestamp(int(found["timestamp"])),
                bytes(found["parentHash"]),
            )

        return self.ask(read)

    def base_fee(self) -> int:
        """Wei per gas that the latest block burned."""
        return self.ask(lambda: whole(self.web3.eth.get_block("latest").get("baseFeePerGas", 0)))

    def block_gas(self) -> int:
        """Gas that a block may have."""
        return self.ask(lambda: whole(self.web3.eth.get_block("latest")["gasLimit"]))

    # Accounts and contracts

    def wei_of(self, account: Address) -> int:
        """What the account holds on the chain itself, outside of the ledger."""
        return self.ask(lambda: whole(self.web3.eth.get_balance(self.web3.to_checksum_address(account))))

    def nonce(self, account: Address, block: int | str = "latest") -> int:
        """How many transactions of the account were mined up to a block."""
        named: Any = block
        address = self.web3.to_checksum_address(account)
        return self.ask(lambda: whole(self.web3.eth.get_transaction_count(address, named)))

    def has_code(self, address: Address) -> bool:
        """Whether a contract is there."""
        return bool(self.ask(lambda: self.web3.eth.get_code(self.web3.to_checksum_address(address))))

    def call(
        self, to: Address, data: bytes, sender: Address | None = None, block: Any = "latest", gas: int | None = None
    ) -> bytes:
        """Returned bytes of a call that changes nothing; ``gas``: that it may take. Raises Reverted or ChainError.

        ``block``: of a Block the answer is about exactly that one (EIP-1898), whichever of an endpoint's machines gives it.
        """
        request: Any = {"to": to, "data": "0x" + data.hex()}
        if gas is not None:
            request["gas"] = gas
        if sender is not None:
            request["from"] = sender
        if isinstance(block, Block):
            return self.ask(lambda: self._call_at(request, block))
        return self.ask(lambda: bytes(self.web3.eth.call(request, block)))

    def _call_at(self, request: Any, block: Block) -> bytes:
        """A machine that does not know the block may know it soon, and another does: the request is made again."""
        named: Any = {"blockHash": "0x" + block.hash.hex(), "requireCanonical": True}
        try:
            return bytes(self.web3.eth.call(request, named))
        except Exception as error:
            found = meaning(error)
            if isinstance(found, Refused) and not isinstance(found, Reverted):
                raise Behind(
                    f"the node can't answer about block {block.number} ({found}); it lags, or the chain was reorganised"
                ) from None
            raise

    def calldata(self, transaction: bytes) -> bytes:
        """What a transaction was sent with."""
        return self.ask(lambda: bytes(self.web3.eth.get_transaction(HexBytes(transaction))["input"]))

    # Logs

    def logs(
        self, addresses: list[Address], first: int, last: int, topics: list[bytes | None] | None = None
    ) -> list[LogReceipt]:
        """Logs of some contracts in blocks ``first`` to ``last``, both included; each begins with ``topics`` (None: any).

        Long ranges are read in pieces, see ``logs_page``.
        """
        found: list[LogReceipt] = []
        while first <= last:
            page, end = self.logs_page(addresses, first, last, topics)
            found += page
            first = end + 1
        return found

    def logs_page(
        self, addresses: list[Address], first: int, last: int, topics: list[bytes | None] | None = None
    ) -> tuple[list[LogReceipt], int]:
        """As ``logs``, but in one answer of bounded size; also the block up to which it goes.

        Pieces become shorter when the endpoint refuses them or fails at them, and after a while longer again.
        """
        request: dict[str, Any] = {"address": addresses}
        if topics:
            request["topics"] = [None if topic is None else "0x" + topic.hex() for topic in topics]
        while True:
            blocks = min(self._log_blocks, last - first + 1)
            try:
                found = self._logs(request | {"fromBlock": first, "toBlock": first + blocks - 1})
            except ChainError as error:
                # An answer that takes too long looks like none: the next call asks for less.
                self._log_blocks, self._log_pages = max(1, blocks // 2), LOG_PAGES
                if blocks == 1 or not isinstance(error, Refused):
                    raise
            else:
                self._longer(blocks)
                return found, first + blocks - 1

    def _longer(self, blocks: int) -> None:
        """Try more the next time, if a piece this long was answered and none was refused for a while."""
        if blocks == self._log_blocks and blocks < LOG_BLOCKS:
            self._log_pages = max(0, self._log_pages - 1)
            self._log_blocks = blocks if self._log_pages else min(LOG_BLOCKS, 2 * blocks)

    def logs_of(self, block: Block, addresses: list[Address]) -> list[LogReceipt]:
        """Logs of some contracts in exactly this block; raises Refused if the endpoint does not know it."""
        return self._logs({"address": addresses, "blockHash": HexBytes(block.hash)})

    def _logs(self, request: Any) -> list[LogReceipt]:
        return self.ask(lambda: list(self.web3.eth.get_logs(request)))

    # Transactions

    def anchor(self, account: Address, block: int | None = None) -> Anchor:
        """The account's nonce as of a block (None: the latest), for a decision on a state that is no older."""
        return Anchor(self.nonce(account, "latest" if block is None else block))

    def transact(
        self,
        signer: Signer,
        to: Address | None,
        data: bytes,
        value: int = 0,
        anchor: Anchor | None = None,
        gas: int | None = None,
    ) -> TxReceipt:
        """Send a transaction and wait for its block; ``to`` None creates a contract. ``gas``: its limit, where an estimate would
        say too little.

        It has the anchor's nonce, or without one that of the latest block. Raises Reverted; StaleView if another
        transaction used the nonce; ChainError if the node takes it not, or it is not mined in time.
        """
        with self._lock:
            account = self._accounts[signer.address]
        with account.lock:
            request: dict[str, Any] = {"from": signer.address, "data": "0x" + data.hex(), "value": value}
            if to is not None:
                request["to"] = to
            nonce = self.nonce(signer.address) if anchor is None else anchor.nonce
            request["gas"] = self._gas_for(request, signer, anchor) if gas is None else max(gas, floor_gas(data))
            transaction = {key: field for key, field in request.items() if key != "from"} | {"chainId": self.chain_id}
            receipt = Sending(self, account, signer, transaction, nonce).run()
        if anchor is not None:
            anchor.nonce += 1
        if receipt["status"] != 1:
            self._explain(request, receipt)
        return receipt

    def broadcast(self, raw: bytes) -> None:
        """Hand a signed transaction to the node, once; raises Refused or ChainError."""
        ask(lambda: self.web3.eth.send_raw_transaction(raw), Retry(1), self.clock)

    def receipt(self, transaction: bytes) -> TxReceipt | None:
        """The receipt of a mined transaction; None if it is not mined."""

        def read() -> TxReceipt:
            found = self.web3.eth.get_transaction_receipt(HexBytes(transaction))
            if found["status"] not in (0, 1) or whole(found["blockNumber"]) < 0:
                raise ValueError("a receipt without status or block")
            return found

        try:
            return self.ask(read)
        except Missing:
            return None

    def knows(self, transaction: bytes) -> bool:
        """Whether the node has a transaction, mined or waiting."""
        try:
            self.ask(lambda: self.web3.eth.get_transaction(HexBytes(transaction)))
        except Missing:
            return False
        return True

    def _gas_for(self, request: dict[str, Any], signer: Signer, anchor: Anchor | None) -> int:
        try:
            return self._gas_limit(request)
        except Reverted:
            # It may fail because the same was done by a transaction of an earlier life, after the anchor.
            if anchor is not None and self.nonce(signer.address) > anchor.nonce:
                raise stale(signer.address, anchor.nonce) from None
            raise

    def _gas_limit(self, request: dict[str, Any]) -> int:
        estimate = self.ask(lambda: whole(self.web3.eth.estimate_gas(request)))  # type: ignore[arg-type]
        return max(estimate, min(estimate * 5 // 4, TRANSACTION_GAS))

    def _explain(self, request: Any, receipt: TxReceipt) -> None:
        """Raise why a mined transaction failed: it is called again on the state after its block, then on the one
        before.
        """
        for block in (receipt["blockNumber"], receipt["blockNumber"] - 1):
            self.ask(lambda block=block: self.web3.eth.call(request, block))  # type: ignore[misc]
        raise ChainError(
            f"transaction 0x{receipt['transactionHash'].hex()} failed in block {receipt['blockNumber']}, "
            "but would succeed now; send it again"
        )
