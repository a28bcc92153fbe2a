"""Who is killed, and when: soon after a transition, by a seeded choice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from challenger.state.l1_state import L1State
from rollup.errors import ChainError
from tests.campaigns.network import ProcessNetwork

SERVICES = ("sequencer", "prover", "watcher-1", "watcher-2")
CHAIN = "chain"
"""Stands for the node's last blocks: they are replaced."""

VICTIMS = (*SERVICES, CHAIN)
DEEPEST = 3
"""Most blocks that a reorganisation replaces."""


@dataclass
class Killer:
    """Kills one service soon after a transition, by a seeded choice, and starts it again, or replaces the last blocks; one at a time.

    Only services count as killed, ``reorganisations`` beside them.
    """

    net: ProcessNetwork
    random: random.Random
    most: int
    """How many it makes."""
    kills: Counter[str] = field(default_factory=Counter)
    reorganisations: int = 0
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def happened(self, transition: str) -> None:
        """Kill, unless somebody just dies. Kinds of transitions that had fewer kills are preferred."""
        if self.total >= self.most:
            return
        often = max(self.kills.values(), default=0)
        mine = sum(count for name, count in self.kills.items() if name.startswith(f"{transition}/"))
        if self.random.random() > (0.9 if mine <= often else 0.3) or not self._busy.acquire(blocking=False):
            return
        victim = self.random.choice(VICTIMS)
        thread = threading.Thread(target=self._kill, args=(transition, victim, self.random.random() * 0.8))
        self._threads.append(thread)
        thread.start()

    def _kill(self, transition: str, victim: str, delay: float) -> None:
        try:
            time.sleep(delay)
            if victim == CHAIN:
                self._reorganise()
            elif (service := self.net.services[victim]).alive:
                service.kill()
                self.kills[f"{transition}/{victim}"] += 1
                service.start()
        finally:
            self._busy.release()

    def _reorganise(self) -> None:
        """Other blocks take the place of the last ones; their transactions are all in the first of them."""
        node = self.net.node
        node.interval(0)
        try:
            node.reorg_keeping(min(self.random.randint(1, DEEPEST), node.height - self.net.reader.first))
            self.reorganisations += 1
        finally:
            node.interval(1)

    def settle(self) -> None:
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    @property
    def total(self) -> int:
        return sum(self.kills.values())


class Observer(threading.Thread):
    """Tells the killer what enters the mempool and what is mined."""

    def __init__(self, net: ProcessNetwork, killer: Killer) -> None:
        super().__init__(daemon=True)
        self.net, self.killer = net, killer
        self.l1 = L1State(net.reader.first)
        self.over = threading.Event()
        self._pending: set[str] = set()

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                pending = set(self.net.node.pending())
                for _ in pending - self._pending:
                    self.killer.happened("sent")
                self._pending = pending
                for logged in self.l1.read(self.net.reader):
                    self.killer.happened(type(logged.event).__name__)
            except (ChainError, httpx.HTTPError, AssertionError):
                continue
