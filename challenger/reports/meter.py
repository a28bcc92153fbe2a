"""A watcher in numbers, for Prometheus."""

from __future__ import annotations

from rollup.service.metrics import counter, gauge, histogram

CHECKED = counter("watcher", "claims_checked", "Claims checked, by what was found", ["result"])
CHECK_SECONDS = histogram(
    "watcher", "check_seconds", "Seconds per check of a claim", buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300)
)
ENDED = counter("watcher", "workers_ended", "Processes of checks that came to no good end, by why", ["why"])
WAITING = gauge("watcher", "claims_waiting", "Claims that can be checked and were not yet")
GAMES = gauge("watcher", "games_open", "Open games of this account")
WON = counter("watcher", "games_won", "Games of this account that convicted a claim")
LOST = counter("watcher", "games_lost", "Games that this account lost")
MOVES = counter("watcher", "moves", "Transactions of this account that were mined, by what they did", ["move"])
GAS = counter("watcher", "gas", "Gas that this account's moves used")
HEAD = gauge("watcher", "head_block", "Last block that was read")
LAG = gauge("watcher", "lag_seconds", "Age of the last block that was read")
BALANCE = gauge("watcher", "balance_wei", "Wei of this account, by where they are", ["where"])
TROUBLES = gauge("watcher", "troubles", "Claims about which something goes wrong")
CLAIMS = gauge("watcher", "claims_known", "Claims that are remembered")
for _result in ("right", "false", "failed"):
    CHECKED.labels(_result)
for _why in ("time", "memory", "crash", "error"):
    ENDED.labels(_why)
for _where in ("free", "locked", "chain"):
    BALANCE.labels(_where)
