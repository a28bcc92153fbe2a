"""How large a batch may become, and how long a claim waits for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rollup.types import Duration

DEFAULT_AGE = cast("Duration", 12)
DEFAULT_GRACE = cast("Duration", 120)
DEFAULT_DISTRUST = cast("Duration", 3600)


@dataclass(frozen=True)
class Limits:
    """When a batch is due: so many claims, so many bytes, so much gas, or its oldest claim has waited so long. A batch
    never exceeds ``count``, ``bytes`` and ``gas``, unless one claim alone has more bytes.

    ``grace``: how long a claimant whose bonds no longer suffice may have its claims held back before they are refused; a
    deposit that a reorganisation undid is mined again in that time. ``distrust``: for how long no claim is taken from, or posted
    for, a claimant who made L1 skip one: by using its nonce or its balance for something else in front of a batch.
    """

    count: int = 512
    bytes: int = 120 * 1024
    gas: int = 15_000_000
    age: Duration = DEFAULT_AGE
    grace: Duration = DEFAULT_GRACE
    distrust: Duration = DEFAULT_DISTRUST

    @property
    def margin(self) -> int:
        """Seconds for which a claim must still be valid when it comes in: else it expires before it is posted, and who sends
        many of that kind fills the disk with what no bond is ever locked for.
        """
        return 30 + min(int(self.age), 60)


DEFAULT_LIMITS = Limits()
