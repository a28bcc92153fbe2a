"""Lies now and then, so that a development network has disputes to see: ``python -m touchstone.devnet.liar RPC SEQUENCER``."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from functools import partial

from rollup.l1.node.chain import Chain
from rollup.service import logs
from rollup.service.loop import Loop
from rollup.service.server import Lifetime
from touchstone.lying.liar import Liar
from touchstone.lying.lies import About

EVERY = 30.0
"""Seconds between the end of one lie and the beginning of the next."""

_log = logs.logger("touchstone.lying.liar")


def tell(rpc: str, sequencer: str) -> None:
    """One lie, of any kind, from its making to its conviction."""
    Liar(Chain.connect(rpc), sequencer, _log.info).run(None, random.choice(list(About)))


def main(arguments: Sequence[str]) -> None:
    rpc, sequencer = arguments
    logs.configure()
    lifetime = Lifetime()
    lying = Loop("lie", partial(tell, rpc, sequencer), EVERY)
    lying.start()
    lifetime.wait()
    # A lie takes minutes; its thread is a daemon, and nobody misses it.
    lying.stop(timeout=1.0)


if __name__ == "__main__":
    main(sys.argv[1:])
