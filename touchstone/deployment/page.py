"""Writes docs/economics.md and its picture from a shipped parameter file: ``python -m touchstone.deployment.page [--check]``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rollup.generated import settle
from touchstone.deployment.economics import Economics, Market, ladder
from touchstone.deployment.parameters import Terms
from touchstone.deployment.plot import draw
from touchstone.deployment.tables import Table, tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "economics.md"
PICTURE = ROOT / "docs" / "pictures" / "economics.svg"
FILE = Path("ops") / "params" / "mainnet.toml"
COMMAND = "python -m touchstone.deployment.page"

HEAD = f"""\
# What attacks and checking cost

<!-- Written by `{COMMAND}`; do not edit. -->

With the parameters of `{FILE}`. `touchstone economics FILE` says the same of any parameter file or deployment, for one gas price or a
range, in dollars if it is told the price of an ether, with the cost of checking a claim, and as JSON. `touchstone deploy` refuses
parameters by the same figures ([decisions.md](decisions.md), *Money*): every false claim and every challenge below must cost the attacker
ten times what it costs the defender, at the highest gas price.

At one gas price, in dollars, with two pictures of a range (`--plot` needs `pip install 'touchstone-rollup[plot]'`):

```sh
touchstone economics {FILE} --gas-price "5 gwei" --eth 3000
touchstone economics {FILE} --gas-price "1 gwei..200 gwei" --plot economics.svg --plot economics.png
```

How it is counted:

- Gas is measured ([costs.md](costs.md)). The attacker pays by the cheaper price list of calldata, the defender by the dearer one. Disputes
  are the longest that are possible: the deepest trace that is expected, an element divided as far as it can be, proofs as large as any
  program that passes the audit can ask for.
- A reward is nobody's gain where a false claim is judged: an account of the liar's own may be the one that takes it. A sequencer pays for
  posting a false claim, so that its liar pays no gas.
- A challenge stops the challenge clock once for each claim. Whoever challenges its own claim gets back what its own accounts earn by
  answering; only what burns for certain counts.
- A sequencer takes no fee for a claim. A right claim that nobody needs costs whoever makes it the release of its bond, which rests for a
  challenge period before (`--interest` says what that is worth); a sequencer limits how fast it takes claims.
- Requests have the largest callback and the smallest fee that is taken, which pays for an answer up to twice the base fee at which the
  request was made. Whoever copies an answer has no work and takes the fee: only a prover that the request names is safe from copies.
- Censorship is counted at the gas price that an honest party bids: blocks that are full, or a base fee above that price, take the gas of
  the target of every block at least. Nobody is bribed, and an honest party does not raise its bid. What the attack is worth is what the
  answer is worth: compare its loss with that.
- Not counted: computing, what a delay costs whoever waits, and the fees of an L1 that has other rules than EIP-1559.
"""


def economics() -> Economics:
    """What the page is about."""
    terms = Terms.load(ROOT / FILE)
    return Economics(terms, Market(ladder(*terms.conditions.gas_prices)))


def page() -> str:
    """The whole document."""
    shown = f"\n![What attacks cost, and when checking pays](pictures/{PICTURE.name})\n"
    return HEAD + shown + "".join(_section(one) for one in tables(economics()))


def _section(one: Table) -> str:
    rows = [one.head, ("---",) * len(one.head), *one.rows]
    text = f"{one.text}\n\n" if one.text else ""
    return f"\n## {one.title}\n\n{text}" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def picture() -> str:
    """The picture as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PICTURE.name
        draw(economics(), file)
        return file.read_text()


def main(arguments: Sequence[str]) -> int:
    """Write both, or say which is stale."""
    return max(settle(PAGE, page(), COMMAND, arguments), settle(PICTURE, picture(), COMMAND, arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
