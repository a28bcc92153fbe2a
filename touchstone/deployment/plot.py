"""The economics of a deployment as a picture, drawn by matplotlib: an optional dependency."""

from __future__ import annotations

from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from rollup.errors import SettingsError
from rollup.files import write_file
from rollup.words import GWEI
from touchstone.deployment.attacks import Attack
from touchstone.deployment.cast import challenges, lies
from touchstone.deployment.economics import ETHER, Economics
from touchstone.deployment.tables import show_price

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = (".svg", ".png")
POINTS = 120
"""Of every curve."""
SMALLEST = 1e-6
"""Least share of false claims that is drawn."""


def draw(found: Economics, file: Path) -> None:
    """Write the picture to ``file``: over gas prices, how many times what defending costs attacks cost; and over the cost of a
    check, the share of false claims from which on checking pays. Raises SettingsError for another kind of file, a single gas price,
    or without matplotlib; FileError if it can't be written.
    """
    kind = file.suffix.lower()
    if kind not in KINDS:
        raise SettingsError(f"{file} is neither .svg nor .png; name such a file")
    low, high = found.market.prices[0], found.market.highest
    if low == high:
        raise SettingsError('a plot needs a range of gas prices; give one like --gas-price "1 gwei..200 gwei"')
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise SettingsError(
            "matplotlib draws the plot and is not installed; run pip install 'touchstone-rollup[plot]'"
        ) from None
    with rc_context({"svg.hashsalt": "touchstone", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(14, 7.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        _ratios(left, found, [low * (high / low) ** (step / POINTS) for step in range(POINTS + 1)])
        _shares(right, found)
        buffer = BytesIO()
        figure.savefig(buffer, format=kind[1:], dpi=110, metadata={"Date": None} if kind == ".svg" else None)
    write_file(file, buffer.getvalue())


def _ratios(axes: Axes, found: Economics, prices: list[float]) -> None:
    for attacks, dashes, start in ((lies(found.terms), "-", "a false claim "), (challenges(found.terms), "--", "")):
        for number, attack in enumerate(attacks):
            points = [(price / GWEI, ratio) for price in prices if isfinite(ratio := _ratio(attack, price, found))]
            if points:
                axes.plot(*zip(*points, strict=True), dashes, color=f"C{number}", label=start + attack.name)
    axes.axhline(found.market.factor, color="black", linewidth=1)
    axes.annotate(
        f"{found.market.factor} times", (prices[0] / GWEI, found.market.factor), (3, 3), textcoords="offset points"
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(prices[0] / GWEI, prices[-1] / GWEI),
        xlabel="gas price (gwei)",
        ylabel="attacker's loss over defender's",
        title="What attacks cost\n(where a curve is missing, the defender loses nothing)",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)


def _ratio(attack: Attack, price: float, found: Economics) -> float:
    return attack.ratio(round(price), found.market.interest)


def _shares(axes: Axes, found: Economics) -> None:
    market = found.market
    prices = (market.prices[0], market.prices[len(market.prices) // 2], market.highest)
    unit = 1.0 if market.ether is None else float(market.ether)
    for price, color in zip(prices, ("tab:green", "tab:orange", "tab:red"), strict=True):
        dearest = min(found.convictions(price), key=lambda one: one.earning)
        earning = float(dearest.earning) / ETHER * unit
        if earning > 0:
            points = [SMALLEST ** (step / POINTS) for step in range(POINTS + 1)]
            label = f"{show_price(price)} a gas, a false claim {dearest.name}"
            axes.plot([earning * share for share in points], points, color=color, label=label)
    if market.check is not None:
        axes.axvline(market.check / ETHER * unit, color="black", linewidth=1, label="the cost of a check")
    axes.set(
        xscale="log",
        yscale="log",
        ylim=(SMALLEST, 1),
        xlabel=f"cost of checking a claim ({'ETH' if market.ether is None else 'dollars'})",
        ylabel="share of false claims",
        title="From which share of false claims on checking pays by itself\n(above its curve)",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=1, frameon=False)
