"""Ops whose proof once took far more gas than the audit said: a lie in one of them became final. Now the audit refuses them, and a
watcher who holds one all the same puts no bond on what it could not prove.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from challenger.checkers.re_execute import ReExecute
from challenger.defender import Behaviour
from challenger.play.simulation import REFUSALS, Doubtful, Unprovable
from challenger.reports.alerts import Kind
from challenger.watch.watcher import Watcher
from rollup.audit import audit
from rollup.errors import AuditError
from rollup.form.encoding import TensorType
from rollup.form.ops import Access, Monoid, Op, Term, Value
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.types import DType
from tests.challenger.test_watcher import Told
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import Published

WIDTH = 256
X = np.arange(WIDTH, dtype=np.int16)
CHAIN = 40


def reads(terms: Sequence[Term] = (), fill: int = 0, indirect: tuple[int, int] | None = None) -> Access:
    return Access(Value(0), DType.I16, (WIDTH,), (0,), tuple(terms), fill, indirect)


def program(monoid: Monoid, domain: tuple[int, ...], *accesses: Access) -> Program:
    op = Op(1, 1, 1, monoid, DType.I64, 1, (1,), domain, accesses, ())
    return Program.build([TensorType(DType.I16, 0, (WIDTH,))], [(1, TensorType(DType.I64, 0, (1,)))], [op], {})


ALONG = Term(0, 1, 1)
HOLES = {
    "rows of a domain dimension that nobody reads": program(Monoid.SUM, (80_000, 2), reads([Term(0, 2, 1)])),
    "the same, of a maximum": program(Monoid.MAX, (11_000, 2), reads([Term(0, 2, 1)])),
    "stride 0": program(Monoid.SUM, (180_000,), reads()),
    "255 terms on one filled dimension": program(
        Monoid.SUM, (800,), reads([ALONG, Term(0, 1, -1)] * 127 + [ALONG], fill=1)
    ),
    "a chain of 40 indices": program(
        Monoid.SUM, (WIDTH,), *(reads([ALONG], indirect=(0, j + 1)) for j in range(CHAIN)), reads([ALONG])
    ),
}


@pytest.mark.parametrize("name", HOLES)
def test_what_takes_more_gas_than_a_transaction_may_have_is_refused_by_the_audit(name: str) -> None:
    with pytest.raises(AuditError):
        audit(HOLES[name])


def no_audit(program: Program) -> None:
    """Lets everything pass."""


class Right:
    """Right about every claim of these tests: the sum of 80,000 rows of the first two elements."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def values(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(inputs[0]), np.array([80_000 * int(inputs[0][:2].sum())], np.int64)]

    def outputs(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self.values(inputs)[1:]


@pytest.mark.parametrize("why", ["the proof takes more gas than there is", "L1 sees no difference"])
def test_no_bond_is_put_on_what_l1_would_not_see(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trace is published, so the proof is tried out before the game is opened."""
    hole = HOLES["rows of a domain dimension that nobody reads"]
    network = NetworkWorld(hole, admit=no_audit, reference=Right)
    told = Told()
    client = network.client("watcher")
    watcher = Watcher(client, network.traces, Right, no_audit, alert=told, wall=network.chain.now)
    watcher.take(ReExecute(hole, Right(hole)))
    if why == "L1 sees no difference":
        monkeypatch.setattr(client, "ask_prover", lambda *_: (7, 7))
    else:
        monkeypatch.setattr("challenger.play.simulation.TRANSACTION_GAS", 400_000)
    lied = [X, np.array([5], np.int64)]
    claimed = network.claim("liar", [X], Published(hole, lied), lied[1:], Behaviour.PUBLISHES)
    for _ in range(REFUSALS - 1):
        assert watcher.poll() == []
        assert isinstance(watcher.troubles[claimed.claim_id], Doubtful) and not told.about(Kind.UNPROVABLE)
        network.chain.advance(5)
    for _ in range(4):
        assert watcher.poll() == []
        network.chain.advance(5)
    assert watcher.false_claims() == [claimed.claim_id]
    assert network.chain.nonce(client.account) == 0 and client.locked(client.account) == 0
    assert [alert.claim_id for alert in told.about(Kind.UNPROVABLE)] == [claimed.claim_id]
    assert isinstance(watcher.troubles[claimed.claim_id], Unprovable)
    assert network.status(claimed) is ClaimStatus.POSTED
