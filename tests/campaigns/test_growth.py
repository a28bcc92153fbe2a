"""What the campaigns judge by."""

from __future__ import annotations

from tests.campaigns.load import Result
from tests.campaigns.soak import growth


def test_memory_that_grows_after_warming_up_is_noticed() -> None:
    assert growth([100] * 50) == 1.0
    assert growth([*[50] * 10, *[100] * 40]) == 1.0
    assert growth(list(range(100, 200, 2))) > 1.3


def test_a_latency_counts_from_the_moment_that_a_claim_was_due() -> None:
    result = Result([0.01] * 98 + [0.5] * 2, [], 1.0)
    assert result.quantile(0.5) == 0.01
    assert result.quantile(0.99) > 0.4
