"""A real node for tests: anvil as a child process, with the chain's troubles at hand (reorgs, drops, fees, restarts)."""

from __future__ import annotations

import gzip
import secrets
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from eth_utils.crypto import keccak

from rollup.claim import Address
from rollup.l1.account.signing import Signer
from rollup.l1.node.chain import Chain
from tests import machine
from tests.world import ETHER

PATIENCE = 30.0
"""Seconds that a node may take to answer its first request."""


class Anvil:
    """One node on a free port; a context manager, started by entering it or by ``start``.

    ``state``: a file that the node writes every second and begins with, so that it survives ``kill`` but for its last
    second. ``interval``: seconds per block; None mines a block for every transaction. ``mining`` False: none but on
    demand. ``slots``: blocks per epoch; ``finalized`` lies two epochs behind.
    """

    def __init__(
        self, *, state: Path | None = None, interval: int | None = None, mining: bool = True, slots: int = 32
    ) -> None:
        found = machine.anvil()
        assert found is not None, "there is no anvil; run 'npm ci' in contracts/, or deselect with -m 'not anvil'"
        self._command = [found, "--quiet", "--hardfork", "prague", "--enable-tx-gas-limit", "--slots-in-an-epoch"]
        self._command += [str(slots), "--order", "fifo"]
        if state is not None:
            self._command += ["--state", str(state), "--state-interval", "1"]
        if interval is not None:
            self._command += ["--block-time", str(interval)]
        if not mining:
            self._command += ["--no-mining"]
        self.state = state
        self.port = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._kept: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=PATIENCE, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Anvil:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._http.close()
        if self._folder is not None:
            self._folder.cleanup()

    # The process

    def start(self) -> Anvil:
        """Start the process, on the port that it had before if it had one, and wait until it answers."""
        asked = self.port
        for _ in range(3):
            self.port = asked or machine.free_port()
            kept = [] if self._kept is None else ["--load-state", str(self._kept)]
            command = [*self._command, *kept, "--port", str(self.port)]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            if self._answers():
                return self
            self.kill()
        raise AssertionError(f"anvil does not start: {' '.join(self._command)}")

    def _answers(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.rpc("eth_chainId")
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            return self._process.poll() is None
        return False

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the process; one with a state file writes it first."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def crash(self) -> None:
        """SIGKILL, as a machine that fails: with a state file its last second is lost, without one no block is."""
        if self.state is None:
            if self._kept is None:
                self._folder = tempfile.TemporaryDirectory(prefix="anvil-")
                self._kept = Path(self._folder.name) / "state.json"
            dumped = self.rpc("anvil_dumpState", True)
            self._kept.write_bytes(gzip.decompress(bytes.fromhex(dumped.removeprefix("0x"))))
        self.kill()

    def revive(self) -> None:
        """Start again after a crash, on the same port; the mempool is lost."""
        self.start()

    def restart(self) -> None:
        """Crash and come back at once."""
        self.crash()
        self.revive()

    # Requests

    def rpc(self, method: str, *params: Any) -> Any:
        """The result of a request; raises AssertionError with the node's words if it refuses."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._http.post(self.url, json=request).json()
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def chain(self, **options: Any) -> Chain:
        """A connection of the project's own kind."""
        return Chain.connect(self.url, **options)

    # Accounts

    def key(self, name: str) -> str:
        """A private key as hex that follows from a name, the one that ``EmbeddedChain.signer`` gives it."""
        return "0x" + keccak(text=f"touchstone {name}").hex()

    def signer(self, name: str, wei: int = 1000 * ETHER) -> Signer:
        """The account of that key, with this much money."""
        signer = Signer.from_key(keccak(text=f"touchstone {name}"))
        self.fund(signer.address, wei)
        return signer

    def fund(self, account: Address, wei: int) -> None:
        """Set what an account holds."""
        self.rpc("anvil_setBalance", account, hex(wei))

    def give(self, account: Address, wei: int) -> None:
        """Send money that a reorganisation keeps, which it does not with what ``fund`` sets; returns once it is mined."""
        (giver, *_) = self.rpc("eth_accounts")
        sent = self.rpc("eth_sendTransaction", {"from": giver, "to": account, "value": hex(wei)})
        deadline = time.monotonic() + PATIENCE
        while self.rpc("eth_getTransactionReceipt", sent) is None:
            assert time.monotonic() < deadline, f"{wei} wei for {account} are not mined after {PATIENCE:.0f} s"
            time.sleep(0.05)

    # Blocks and time

    @property
    def height(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def now(self) -> int:
        """Time of the latest block."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def mine(self, blocks: int = 1) -> None:
        self.rpc("anvil_mine", hex(blocks))

    def advance(self, seconds: int) -> None:
        """Let time pass, and mine a block at its end."""
        self.at(self.now() + seconds)
        self.mine()

    def at(self, time: int) -> None:
        """Give the next block exactly this time."""
        self.rpc("evm_setNextBlockTimestamp", time)

    def automine(self, on: bool) -> None:
        """Whether every transaction is mined at once. Turning it on mines what waits."""
        self.rpc("evm_setAutomine", on)
        if on and self.pending():
            self.mine()

    def interval(self, seconds: int) -> None:
        """Mine a block every so often; 0 ends it."""
        self.rpc("evm_setIntervalMining", seconds)

    # Trouble

    def reorg(self, depth: int) -> None:
        """Replace the last blocks with as many empty ones; their transactions are gone for good."""
        self._otherwise()
        self.rpc("anvil_reorg", depth, [])

    def rollback(self, depth: int) -> None:
        """Take the last blocks away: the chain is shorter."""
        self.rpc("anvil_rollback", depth)

    def reorg_keeping(self, depth: int) -> None:
        """Replace the last blocks; the first of the new ones holds all their transactions again, in their order."""
        height = self.height
        moved = [
            transaction
            for number in range(height - depth + 1, height + 1)
            for transaction in self.rpc("eth_getBlockByNumber", hex(number), False)["transactions"]
        ]
        self._otherwise()
        self.rpc("anvil_reorg", depth, [[self.rpc("eth_getRawTransactionByHash", one), 0] for one in moved])

    def _otherwise(self) -> None:
        """Blocks of the same second with the same transactions are the same blocks, unless somebody else makes them."""
        self.rpc("evm_increaseTime", 1)
        self.rpc("anvil_setCoinbase", f"0x{secrets.token_hex(20)}")

    def pending(self) -> list[str]:
        """Hashes of the transactions that wait, in no order."""
        waiting = self.rpc("txpool_content")
        return [one["hash"] for kind in ("pending", "queued") for by in waiting[kind].values() for one in by.values()]

    def drop(self, transaction: str | bytes) -> None:
        """Forget a transaction that waits."""
        named = transaction if isinstance(transaction, str) else "0x" + bytes(transaction).hex()
        self.rpc("anvil_dropTransaction", named)

    def drop_all(self) -> None:
        self.rpc("anvil_dropAllTransactions")

    def set_base_fee(self, wei: int) -> None:
        """Base fee of the next block; those after it drift from there."""
        self.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))
