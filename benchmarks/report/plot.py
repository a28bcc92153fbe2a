"""Results as a picture, drawn by matplotlib."""

from __future__ import annotations

from io import BytesIO

from benchmarks.results import COMMITMENT, JAX, OUTPUT, WATCHER, Results

PHASES = {OUTPUT: ("C0", "o"), COMMITMENT: ("C1", "s"), WATCHER: ("C2", "D")}
"""Colour and mark of each."""

ROW = 0.42
"""Inches of a row."""


def picture(results: Results) -> str:
    """An SVG: for each workload, how many times JAX float32's time integers take, with quartiles."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = [(one, timed) for one, timed in results.timed() if timed.ratio(OUTPUT, JAX) is not None]
    with rc_context({"svg.hashsalt": "touchstone", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(10, 1.5 + ROW * max(1, len(rows))), layout="constrained")
        axes = figure.subplots()
        for number, (phase, (colour, mark)) in enumerate(PHASES.items()):
            found = [(at, ratio) for at, (_, timed) in enumerate(rows) if (ratio := timed.ratio(phase, JAX))]
            if not found:
                continue
            middle = [ratio.median for _, ratio in found]
            spread = [
                [ratio.median - ratio.low for _, ratio in found],
                [ratio.high - ratio.median for _, ratio in found],
            ]
            places = [at + 0.2 * (number - 1) for at, _ in found]
            axes.errorbar(middle, places, xerr=spread, fmt=mark, color=colour, markersize=4, capsize=2, label=phase)
        axes.axvline(1, color="black", linewidth=1)
        axes.set(
            xscale="log",
            yticks=range(len(rows)),
            yticklabels=[f"{timed.workload}, {one.formats}" for one, timed in rows],
            xlabel=f"times {JAX}'s time (median of {results.rounds} rounds, and quartiles)",
        )
        axes.invert_yaxis()
        axes.grid(alpha=0.3, axis="x", which="both")
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.08), ncols=3, frameon=False)
        buffer = BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().decode()
