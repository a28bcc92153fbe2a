"""The figures in docs/campaigns.md, from what the campaigns measured: ``python -m tests.campaigns.page [--check]``.

``make crash ARGS="--json docs/campaigns/crash.json"`` (likewise ``load``, ``soak``) measures; everything around the figures is
written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rollup.generated import settle

PAGE = Path(__file__).parents[2] / "docs" / "campaigns.md"
MEASURED = PAGE.with_suffix("")

Found = Mapping[str, Any]


def crash(found: Found) -> str:
    """What L1 said in the end, and the kills by what had just happened and who was killed."""
    rows = [
        ("kills; reorganisations", f"{found['kills']}; {found['reorganisations']}, in {found['rounds']} rounds"),
        ("claims accepted over HTTP; all on L1", f"{found['claims']}; {found['posted']}"),
        ("lost; posted twice", "0; 0"),
        ("groups of several claims; claims in them", f"{found['groups']}; {found['claims_in_groups']}"),
        ("bonds that came back; bonds of false claims", f"{found['bonds_freed']}; {found['bonds_lost']}"),
        ("requests answered and paid; refunded", f"{found['answered']}; {found['refunded']}"),
        ("callbacks that failed", found["callbacks_that_failed"]),
        *books(found),
        ("games; moves; moves made twice", f"{found['games']}; {found['moves']}; 0"),
        ("transactions that did nothing", found["idle_transactions"]),
        ("transactions that failed", found["failed_transactions"]),
    ]
    kills = {tuple(name.split("/", 1)): count for name, count in found["by"].items()}
    victims = sorted({victim for _, victim in kills})
    by = [
        (transition, *(kills.get((transition, victim), 0) for victim in victims))
        for transition in sorted({transition for transition, _ in kills})
    ]
    return table(("", "figure"), rows) + "\n" + table(("killed after", *victims), by)


def books(found: Found) -> list[tuple[str, str]]:
    """Where the money is, in ETH."""
    eth = {name: f"{Decimal(found[f'{name}_wei']) / 10**18:f}" for name in ("in", "out", "free", "burned")}
    fees = {name: f"{Decimal(found[f'fees_{name}_wei']) / 10**18:f}" for name in ("in", "out", "earned")}
    return [
        ("ETH into the ledger = out + free + burned", "{in} = {out} + {free} + {burned}".format(**eth)),
        ("ETH of fees = given back + earned", "{in} = {out} + {earned}".format(**fees)),
    ]


def throughput(found: Found) -> str:
    """One run."""
    rows = [
        ("claims accepted; lost; on L1 twice", f"{found['claims']:,}; {found['lost']}; {found['twice']}"),
        ("claims in the fullest block", found["claims_in_block"]),
        ("their gas in it", f"{found['gas_of_block']:,}"),
        ("gas for each claim", f"{found['gas_per_claim']:,}"),
        ("the same if a byte of calldata costs 64 gas", f"{found['gas_per_claim_7976']:,}"),
        ("groups in its batch; claims in the largest", f"{found['groups']}; {found['largest_group']}"),
        ("claims that the reorganisation took back", found["undone_claims"]),
    ]
    return table(("", "figure"), rows)


def load(found: Found) -> str:
    """A row for each database."""
    head = ("database", "offered", "accepted", "median", "99th percentile", "slowest", "on L1", "twice", "memory")
    rows = [
        (
            *(name, f"{one['offered']:,} at {one['rate']} a second", f"{one['accepted']:,}"),
            *(f"{one[key]} ms" for key in ("p50_ms", "p99_ms", "max_ms")),
            *(f"{one['on_l1']:,}", one["twice"], "{} to {} MiB".format(*one["memory_mb"])),
        )
        for name, one in found.items()
    ]
    return table(head, rows)


def soak(found: Found) -> str:
    """A row for each service."""
    rows = [
        (name, *(f"{size} MiB" for size in found["megabytes"][name]), f"{growth:.3f}")
        for name, growth in found["growth"].items()
    ]
    said = f"{found['claims']:,} claims in {found['minutes']:g} minutes, {found['refused']} of them refused.\n\n"
    return said + table(("service", "memory at the start", "at the end", "last fifth over second"), rows)


def models(found: Found) -> str:
    """A row for each measure of each real model."""
    met = {None: "", True: "met", False: "**not met**"}
    rows = [(row["model"], row["measure"], row["shown"], row["required"], met[row["met"]]) for row in found["rows"]]
    return table(("model", "measure", "value", "required", ""), rows)


def hostile(found: Found) -> str:
    """What became of the descriptors; how near the dearest proofs came to their bounds; why the rest was refused."""
    rows = [
        ("descriptors", f"{found['tried']:,}"),
        ("accepted; refused", f"{found['accepted']:,}; {found['tried'] - found['accepted']:,}"),
        ("proofs measured", f"{sum(found['proofs'].values()):,}"),
        ("over their bound; with another answer than the reference's", "0; 0"),
        ("whole programs that the executor ran as the reference does", f"{found['executor']:,}"),
        ("dearest proof, Prague", f"{found['dearest']:,} gas"),
    ]
    measures = ("execution", "calldata", "leaves", "transaction")
    ratios = [
        (kind, f"{found['proofs'][kind]:,}", *(f"{one[what]:.3f}" if what in one else "" for what in measures))
        for kind, one in sorted(found["ratios"].items())
    ]
    refused = [(reason, f"{count:,}") for reason, count in found["refused"].items()]
    return "\n".join(
        (
            table(("", "figure"), rows),
            table(("largest real over bound", "proofs", *measures), ratios),
            table(("refused because of", "descriptors"), refused),
        )
    )


def invariants(found: Found) -> str:
    """Accepted calls of every entry point."""
    counts = found["accepted"]
    rows = [(f"`{name}`", f"{count:,}") for name, count in counts.items()]
    said = f"{sum(counts.values()):,} calls were accepted in {found['seconds']:,} seconds.\n\n"
    return said + table(("entry point", "accepted calls"), rows)


FIGURES: Mapping[str, Callable[[Found], str]] = {
    "crash": crash,
    "load": load,
    "throughput": throughput,
    "soak": soak,
    "models": models,
    "hostile": hostile,
    "invariants": invariants,
}


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    cells = [list(map(str, row)) for row in (head, *rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def filled(text: str, measured: Path = MEASURED) -> str:
    """The page with the figures of the files in ``measured`` between its marks."""
    for name, figures in FIGURES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        file = measured / f"{name}.json"
        command = f'make {name} ARGS="--json docs/campaigns/{name}.json"'
        made = figures(json.loads(file.read_text())) if file.exists() else f"Not measured yet: `{command}`.\n"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}{made}{end}{after}"
    return text


if __name__ == "__main__":
    sys.exit(settle(PAGE, filled(PAGE.read_text()), "python -m tests.campaigns.page", sys.argv[1:]))
