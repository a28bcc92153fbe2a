"""A chain for development that several processes can share: py-evm with real time, a block every second, and JSON-RPC.

``touchstone chain`` puts a server in front of it. One client at a time (the lock is the caller's).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from eth.exceptions import PyEVMError, Revert
from eth.vm.spoof import SpoofTransaction
from eth_tester import EthereumTester, PyEVMBackend
from eth_utils.address import to_canonical_address
from eth_utils.exceptions import ValidationError
from hexbytes import HexBytes
from web3 import EthereumTesterProvider, Web3
from web3.exceptions import BlockNotFound, Web3Exception

from rollup.claim import Address
from rollup.errors import ChainError
from rollup.l1.account.signing import Signer
from rollup.l1.node.chain import BLOCK_GAS
from rollup.l1.node.floor import refuse_below_floor

CHAIN_ID = 1337

KEYS = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
)
"""The accounts that anvil and others fund on a fresh chain (mnemonic "test test ... junk"): known to everybody."""

ACCOUNT_WEI = 10**22

ESTIMATE = 12_800_000
"""Gas that every estimate answers: gas is free here, and finding the least that suffices takes py-evm seconds."""

LOGS_AT_MOST = 50_000
"""Logs of one answer; further ones are refused, as public endpoints do."""


_NONCES = re.compile(r"nonce: Expected (\d+), but got (\d+)")


class RpcError(Exception):
    """What a JSON-RPC answer carries as its error. ``data``: of a revert, in hex."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class DevelopmentChain:
    """``clock``: seconds since the epoch. ``interval``: seconds between blocks. ``step`` mines what is due; ``answer``
    serves one request.

    A transaction is run at once, on the block that comes next, and is in a block as soon as that one's second has come.
    """

    def __init__(self, clock: Callable[[], float], interval: int = 1) -> None:
        if interval < 1:
            raise ChainError("blocks have whole seconds as their times; choose an interval of at least 1 s")
        self._clock, self._interval = clock, interval
        state = {
            to_canonical_address(address): {"balance": ACCOUNT_WEI, "nonce": 0, "code": b"", "storage": {}}
            for address in accounts()
        }
        genesis = PyEVMBackend.generate_genesis_params({"timestamp": int(clock()) - interval, "gas_limit": BLOCK_GAS})
        self._backend = PyEVMBackend(genesis_parameters=genesis, genesis_state=state)
        type(self._backend.chain).chain_id = CHAIN_ID
        self._web3 = Web3(EthereumTesterProvider(EthereumTester(self._backend)))
        self._pending: list[bytes] = []
        self._receipts: dict[bytes, Any] = {}
        self._logs: dict[int, list[Any]] = {}
        """By block; blocks without logs are left out."""
        self._height = 0
        self._prepare()

    def _prepare(self) -> None:
        """Give the next block the time at which it is due."""
        chain = self._backend.chain
        latest = chain.get_canonical_head().timestamp
        chain.header = chain.header.copy(timestamp=max(latest + self._interval, int(self._clock())))

    def step(self) -> bool:
        """Mine the next block if its time has come; whether that was so."""
        if self._clock() < self._backend.chain.header.timestamp:
            return False
        if not self._pending:
            self._prepare()
        list(self._backend.mine_blocks(1))
        self._height += 1
        logs = []
        for transaction in self._pending:
            receipt = self._web3.eth.get_transaction_receipt(HexBytes(transaction))
            self._receipts[transaction] = receipt
            logs += receipt["logs"]
        if logs:
            self._logs[self._height] = logs
        self._pending = []
        self._prepare()
        return True

    def answer(self, method: str, params: list[Any]) -> Any:
        """The result of one request, ready for JSON; raises RpcError."""
        handler = _METHODS.get(method)
        if handler is None:
            raise RpcError(-32601, f"this chain has no method {method}; it speaks {', '.join(sorted(_METHODS))}")
        try:
            return encoded(handler(self, *params))
        except RpcError:
            raise
        except BlockNotFound:
            return None
        except (PyEVMError, Web3Exception, ValidationError) as error:
            raise RpcError(-32000, f"{type(error).__name__}: {error}") from None
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise RpcError(-32602, f"the parameters of {method} do not fit ({error})") from None

    # What the methods do

    def _number(self, block: Any = "latest") -> int:
        """Everything that is mined is final here: there are no reorganisations. A block may be named by its hash (EIP-1898)."""
        if isinstance(block, Mapping):
            try:
                return int(self._web3.eth.get_block(HexBytes(block["blockHash"]))["number"])
            except BlockNotFound:
                raise RpcError(-32000, f"block {block['blockHash']} is not known here") from None
        if block in ("latest", "safe", "finalized", "pending"):
            return self._height
        number = 0 if block == "earliest" else int(block, 16)
        if not 0 <= number <= self._height:
            raise BlockNotFound(f"block {number} is not mined")
        return number

    def _block(self, block: Any, full: bool = False) -> Any:
        # eth-tester shortens the bloom filter, which clients want whole.
        found: dict[str, Any] = dict(self._web3.eth.get_block(self._number(block), full))
        return found | {"logsBloom": bytes(found["logsBloom"]).rjust(256, b"\0")}

    def _block_by_hash(self, block: str, full: bool = False) -> Any:
        return self._block(hex(self._web3.eth.get_block(HexBytes(block))["number"]), full)

    def _code(self, account: str, block: Any = "latest") -> Any:
        return self._web3.eth.get_code(self._web3.to_checksum_address(account), self._number(block))

    def _storage(self, account: str, slot: str, block: Any = "latest") -> Any:
        return self._web3.eth.get_storage_at(
            self._web3.to_checksum_address(account), int(slot, 16), self._number(block)
        )

    def _balance(self, account: str, block: Any = "latest") -> int:
        return self._web3.eth.get_balance(self._web3.to_checksum_address(account), self._number(block))

    def _nonce(self, account: str, block: Any = "latest") -> int:
        if block == "pending":
            address = to_canonical_address(account)
            return int(self._backend.chain.get_vm().state.get_nonce(address))
        return self._web3.eth.get_transaction_count(self._web3.to_checksum_address(account), self._number(block))

    def _call(self, request: Mapping[str, Any], block: Any = "latest") -> bytes:
        """Without a fee, so that an account may look before it has the money to act."""
        chain = self._backend.chain
        header = chain.get_canonical_block_header_by_number(self._number(block))
        vm = chain.get_vm(at_header=header.copy(base_fee_per_gas=0))
        sender = to_canonical_address(request.get("from", next(iter(accounts()))))
        transaction = vm.create_unsigned_transaction(
            nonce=vm.state.get_nonce(sender),
            gas_price=0,
            gas=BLOCK_GAS // 2,
            to=to_canonical_address(request["to"]),
            value=int(request.get("value", "0x0"), 16),
            data=bytes(HexBytes(request.get("input", request.get("data", "0x")))),
        )
        computation = vm.state.costless_execute_transaction(SpoofTransaction(transaction, from_=sender))
        if computation.is_error:
            error = computation.error
            if isinstance(error, Revert):
                raise RpcError(3, "execution reverted", "0x" + bytes(error.args[0] if error.args else b"").hex())
            raise RpcError(-32000, f"{type(error).__name__}: {error}")
        return bytes(computation.output)

    def _estimate(self, request: Mapping[str, Any], block: Any = "latest") -> int:
        if request.get("to"):
            self._call(request, block)
        return ESTIMATE

    def _send(self, raw: str) -> bytes:
        try:
            refuse_below_floor(bytes(HexBytes(raw)))
            sent = bytes(self._backend.send_raw_transaction(bytes(HexBytes(raw))))
        except Exception as error:
            # py-evm says in many classes why it takes a transaction not; clients look for the usual words.
            message = str(error)[:500] or type(error).__name__
            nonces = _NONCES.search(message)
            if nonces:
                expected, given = int(nonces.group(1)), int(nonces.group(2))
                message = f"nonce too {'low' if given < expected else 'high'}: next nonce {expected}, tx nonce {given}"
            raise RpcError(-32000, message) from None
        self._pending.append(sent)
        return sent

    def _receipt(self, transaction: str) -> Any:
        return self._receipts.get(bytes(HexBytes(transaction)))

    def _transaction(self, transaction: str) -> Any:
        wanted = bytes(HexBytes(transaction))
        if wanted not in self._receipts:
            return self._web3.eth.get_transaction(HexBytes(wanted)) if wanted in self._pending else None
        receipt = self._receipts[wanted]
        return self._web3.eth.get_block(receipt["blockNumber"], True)["transactions"][receipt["transactionIndex"]]

    def _get_logs(self, request: Mapping[str, Any]) -> list[Any]:
        if "blockHash" in request:
            first = last = int(self._block_by_hash(request["blockHash"])["number"])
        else:
            first = self._bound(request.get("fromBlock", "latest"))
            last = self._bound(request.get("toBlock", "latest"))
        given = request.get("address") or []
        addresses = {address.lower() for address in ([given] if isinstance(given, str) else given)}
        topics = [None if topic is None else _choices(topic) for topic in request.get("topics") or []]
        # Through whichever is shorter: the range, or the blocks that have logs at all.
        blocks = (
            sorted(block for block in self._logs if first <= block <= last)
            if last - first > len(self._logs)
            else range(first, last + 1)
        )
        found = [
            log
            for block in blocks
            for log in self._logs.get(block, ())
            if (not addresses or log["address"].lower() in addresses) and _has(log["topics"], topics)
        ]
        if len(found) > LOGS_AT_MOST:
            raise RpcError(-32005, f"more than {LOGS_AT_MOST} logs match; ask for fewer blocks")
        return found

    def _bound(self, block: Any) -> int:
        """A number as it is, also ahead of the chain: ranges may end in the future."""
        return int(block, 16) if isinstance(block, str) and block.startswith("0x") else self._number(block)

    def _fee_history(self, count: Any, newest: Any = "latest", percentiles: Any = None) -> dict[str, Any]:
        last = self._number(newest)
        wanted = int(count, 16) if isinstance(count, str) else int(count)
        first = max(0, last + 1 - min(wanted, 1024))
        headers = [
            self._backend.chain.get_canonical_block_header_by_number(number) for number in range(first, last + 1)
        ]
        fees = [int(header.base_fee_per_gas) for header in headers]
        following = (
            self._backend.chain.header.base_fee_per_gas
            if last == self._height
            else self._backend.chain.get_canonical_block_header_by_number(last + 1).base_fee_per_gas
        )
        history = {
            "oldestBlock": first,
            "baseFeePerGas": [*fees, int(following)],
            "gasUsedRatio": [_Ratio(header.gas_used / header.gas_limit) for header in headers],
        }
        return history | ({"reward": [[10**9] * len(percentiles) for _ in headers]} if percentiles else {})


class _Ratio(float):
    """The one kind of number in JSON-RPC that is no hex string."""


def _choices(topic: Any) -> set[str]:
    return {one.lower() for one in ([topic] if isinstance(topic, str) else topic)}


def _has(topics: list[bytes], wanted: list[set[str] | None]) -> bool:
    return len(topics) >= len(wanted) and all(
        choices is None or "0x" + bytes(topic).hex() in choices for topic, choices in zip(topics, wanted, strict=False)
    )


def encoded(value: Any) -> Any:
    """A result of web3 in JSON-RPC's own form: quantities and bytes in hex."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, _Ratio):
        return float(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, Mapping):
        return {_key(key, value): encoded(item) for key, item in value.items() if key != "state_root"}
    return [encoded(item) for item in value]


def _key(key: str, inside: Mapping[str, Any]) -> str:
    """A field's name in JSON-RPC: eth-tester has names of its own for transactions inside a block."""
    if key == "data" and "nonce" in inside:
        return "input"
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def accounts() -> dict[Address, Signer]:
    """The funded accounts, in order."""
    signers = [Signer.from_key(bytes.fromhex(key)) for key in KEYS]
    return {signer.address: signer for signer in signers}


_METHODS: Mapping[str, Callable[..., Any]] = {
    "eth_blockNumber": lambda chain: chain._height,
    "eth_call": DevelopmentChain._call,
    "eth_chainId": lambda chain: CHAIN_ID,
    "eth_estimateGas": DevelopmentChain._estimate,
    "eth_feeHistory": DevelopmentChain._fee_history,
    "eth_gasPrice": lambda chain: int(chain._backend.chain.header.base_fee_per_gas) + 10**9,
    "eth_getBalance": DevelopmentChain._balance,
    "eth_getBlockByHash": DevelopmentChain._block_by_hash,
    "eth_getBlockByNumber": DevelopmentChain._block,
    "eth_getCode": DevelopmentChain._code,
    "eth_getLogs": DevelopmentChain._get_logs,
    "eth_getStorageAt": DevelopmentChain._storage,
    "eth_getTransactionByHash": DevelopmentChain._transaction,
    "eth_getTransactionCount": DevelopmentChain._nonce,
    "eth_getTransactionReceipt": DevelopmentChain._receipt,
    "eth_maxPriorityFeePerGas": lambda chain: 10**9,
    "eth_sendRawTransaction": DevelopmentChain._send,
    "eth_syncing": lambda chain: False,
    "net_version": lambda chain: str(CHAIN_ID),
    "web3_clientVersion": lambda chain: "touchstone/development",
}
