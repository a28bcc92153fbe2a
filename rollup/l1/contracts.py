"""The contracts of one deployment as they are asked and sent to, and what a decision of one thread rests on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, Self

from eth_abi.abi import decode
from eth_typing import HexAddress, HexStr
from eth_utils.address import to_checksum_address
from web3.types import Nonce, TxReceipt
from web3.utils import get_create_address

from rollup.claim import Address
from rollup.errors import ChainError, StaleView
from rollup.l1.account.sending import Anchor
from rollup.l1.account.signing import Domain, Signer
from rollup.l1.answers import Receipt
from rollup.l1.artifacts import Function, artifact
from rollup.l1.calls import EPILOGUE as EPILOGUE
from rollup.l1.calls import GAME, PROVERS, REQUESTS, Call
from rollup.l1.logs import decode_logs
from rollup.l1.node.chain import Chain
from rollup.l1.node.finality import Block
from rollup.settings import DURATIONS, Parameters
from rollup.types import Duration

When = Block | int | str
"""After which block something is read: exactly this one, one of a number, or a tag."""


@dataclass(frozen=True)
class RequestContracts:
    """Where contracts ask: the addresses of Requests, and of the OracleAdapter in front of it."""

    requests: Address
    adapter: Address


class ContractCaller:
    """``signer`` None reads only; a call that needs an account then raises ChainError. ``first``: the block of the
    deployment, before which there is nothing to read. ``asking`` None: nothing is known of requests.

    Several threads may read with one client. What it sends is sent one after the other.
    """

    def __init__(
        self,
        chain: Chain,
        address: Address,
        signer: Signer | None = None,
        first: int = 0,
        asking: RequestContracts | None = None,
    ) -> None:
        self.chain, self.address, self.first, self._signer = chain, address, first, signer
        self.asking = asking
        self._local = threading.local()

    @classmethod
    def deploy(cls, chain: Chain, signer: Signer, parameters: Parameters) -> Self:
        """Deploy OneStepProver, DisputeGame, RollupChain, Requests and OracleAdapter; raises Reverted for bad parameters.

        The game is bound to the address that the chain gets by the account's next transaction; the chain refuses a game that is bound
        to anything else.
        """
        prover = chain.transact(signer, None, artifact("OneStepProver").creation())["contractAddress"]
        bound = get_create_address(HexAddress(HexStr(signer.address)), Nonce(chain.nonce(signer.address) + 1))
        creation = artifact(GAME).creation(astuple(parameters), prover, bound)
        game = chain.transact(signer, None, creation)["contractAddress"]
        receipt = chain.transact(signer, None, artifact("RollupChain").creation(astuple(parameters), game))
        address = Address(str(receipt["contractAddress"]))
        return cls(chain, address, signer, receipt["blockNumber"], _deploy_requests(chain, signer, address))

    def using(self, signer: Signer | None) -> Self:
        """The same deployment under another account, with no anchor."""
        return type(self)(self.chain, self.address, signer, self.first, self.asking)

    def anchor(self, block: int | None = None) -> None:
        """Begin a decision of this thread: what it sends from here on has the nonces that follow from this moment.

        Call it *before* reading the state that is decided on (or name a ``block`` that the state is no older than). A
        transaction that an earlier life of the process left behind then has the same nonce, and is mined instead of the
        new one or not at all: whoever sends gets StaleView, until it has anchored and looked again.
        """
        self._local.anchor = self.chain.anchor(self.account, block)

    @contextmanager
    def anchored(self) -> Iterator[None]:
        """A round of this thread whose decisions rest on what is read in it. It ends quietly where a transaction of an earlier
        life came first: the next round sees what that one did. Without an account, nothing is sent in it.
        """
        if self._signer is None:
            yield
            return
        self.anchor()
        try:
            with suppress(StaleView):
                yield
        finally:
            self.release_anchor()

    def release_anchor(self) -> None:
        """Send on in this thread with whatever nonce is next, as without an anchor."""
        self._local.anchor = None

    @property
    def account(self) -> Address:
        return self._key().address

    def derive(self, purpose: bytes) -> bytes:
        """32 secret bytes of this account for one purpose, the same whenever they are asked for."""
        return self._key().derive(self.domain.separator + purpose)

    def _key(self) -> Signer:
        if self._signer is None:
            raise ChainError("this client has no account and only reads; give it one with client.using(signer)")
        return self._signer

    @cached_property
    def game_address(self) -> Address:
        return address_of(self._rollup("game"))

    @property
    def requests_address(self) -> Address:
        if self.asking is None:
            raise ChainError(
                "this client does not know where the Requests contract is; make it from a deployment's file"
            )
        return self.asking.requests

    def requests_chain(self) -> Address:
        """The RollupChain whose claims answer requests."""
        return address_of(self.ask_requests("CHAIN"))

    def ask_requests(self, name: str, *args: Any, block: When = "latest") -> Any:
        """What the Requests contract answers, after a block."""
        return self._read(artifact(REQUESTS).functions[name], self.requests_address, args, block)

    @cached_property
    def provers_address(self) -> Address:
        """Of the Provers contract: stakes, seats and committees."""
        return address_of(self.ask_requests("PROVERS"))

    def ask_provers(self, name: str, *args: Any, block: When = "latest") -> Any:
        """What the Provers contract answers, after a block."""
        return self._read(artifact(PROVERS).functions[name], self.provers_address, args, block)

    def adapter_requests(self) -> Address:
        """The Requests contract that the OracleAdapter asks."""
        assert self.asking is not None
        return address_of(self._read(artifact("OracleAdapter").functions["REQUESTS"], self.asking.adapter, ()))

    @cached_property
    def prover_address(self) -> Address:
        return address_of(self._game("contracts")[1])

    @cached_property
    def domain(self) -> Domain:
        return Domain(self.chain.chain_id, self.address)

    @cached_property
    def parameters(self) -> Parameters:
        fields = self._rollup("parameters")
        durations, rest = fields[: len(DURATIONS)], fields[len(DURATIONS) :]
        return Parameters(*map(Duration, durations), *rest)

    def _rollup(self, name: str, *args: Any) -> Any:
        """Read from the RollupChain."""
        return self._read(artifact("RollupChain").functions[name], self.address, args)

    def _game(self, name: str, *args: Any, block: When = "latest") -> Any:
        """Read from the DisputeGame."""
        return self._read(artifact("DisputeGame").functions[name], self.game_address, args, block)

    def _read(self, function: Function, address: Address, args: Sequence[Any], block: When = "latest") -> Any:
        data = self.chain.call(address, function.encode(args), block=block)
        if not data:
            raise ChainError(f"no contract answers {function.name} at {address}; check the address and the chain")
        values = decode(function.outputs, data)
        return values[0] if len(values) == 1 else values

    def _send(self, contract: str, name: str, *args: Any, value: int = 0, gas: int | None = None) -> Receipt:
        return self.send(Call(contract, name, args, value), gas)

    def send(self, call: Call, gas: int | None = None) -> Receipt:
        """Make a transaction of a call. ``gas``: its limit; None: as the node estimates."""
        address = self._address_of(call.contract)
        data = call.data
        receipt = self._transact(address, data, call.value, gas)
        return Receipt(
            call.name,
            self.account,
            receipt["gasUsed"],
            len(data),
            receipt["blockNumber"],
            bytes(receipt["transactionHash"]),
            tuple(logged.event for logged in decode_logs(self.chain.web3, self.domain, receipt["logs"])),
            receipt["gasUsed"] * int(receipt.get("effectiveGasPrice", 0)),
        )

    def _address_of(self, contract: str) -> Address:
        if contract == GAME:
            return self.game_address
        if contract == PROVERS:
            return self.provers_address
        return self.requests_address if contract == REQUESTS else self.address

    def multicall(self, moves: Sequence[Call], gas: int) -> Receipt:
        """Make many calls of the DisputeGame in one transaction; its events say which of them failed (``CallFailed``).

        ``gas``: for all of them: the least with which the transaction succeeds, which a node would estimate, is one with which
        calls fail.
        """
        return self.send(Call(GAME, "multicall", ([move.data for move in moves],)), gas)

    def ask_prover(self, name: str, args: Sequence[Any], gas: int) -> tuple[Any, ...]:
        """What OneStepProver says, with so much gas; raises Reverted, or Refused if that is too little."""
        function = artifact("OneStepProver").functions[name]
        data = self.chain.call(self.prover_address, function.encode(args), gas=gas)
        if not data:
            raise ChainError(f"no contract answers {name} at {self.prover_address}; check the address and the chain")
        return decode(function.outputs, data)

    def _transact(self, address: Address, data: bytes, value: int, gas: int | None = None) -> TxReceipt:
        anchor: Anchor | None = getattr(self._local, "anchor", None)
        if anchor is not None and anchor.void:
            raise StaleView("what was read before the last transaction is stale; anchor, and look at L1 again")
        try:
            return self.chain.transact(self._key(), address, data, value, anchor, gas)
        except StaleView:
            if anchor is not None:
                anchor.void = True
            raise

    def _struct(self, name: str, *args: Any, block: When) -> dict[str, Any]:
        """Read a struct from the DisputeGame, by field name."""
        values = self._game(name, *args, block=block)
        return dict(zip(artifact("DisputeGame").functions[name].fields, values, strict=True))


def address_of(raw: str) -> Address:
    return Address(to_checksum_address(raw))


def _deploy_requests(chain: Chain, signer: Signer, rollup: Address) -> RequestContracts:
    requests = chain.transact(signer, None, artifact(REQUESTS).creation(rollup))["contractAddress"]
    adapter = chain.transact(signer, None, artifact("OracleAdapter").creation(requests))["contractAddress"]
    return RequestContracts(Address(str(requests)), Address(str(adapter)))
