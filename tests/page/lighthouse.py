"""The front in Lighthouse, with 10,000 claims in the store: ``make lighthouse``. A slow phone on a slow line is simulated, so that the
score depends on what the page asks for and does; a busy machine still lowers it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from tests import machine
from tests.page.world import PageWorld

LEAST = 95
SECONDS = 180
CATEGORIES = ("performance", "accessibility", "best-practices")
METRICS = (
    "first-contentful-paint",
    "largest-contentful-paint",
    "total-blocking-time",
    "cumulative-layout-shift",
    "speed-index",
)


def measure(url: str, chromium: str) -> dict[str, Any]:
    """Lighthouse's report, as it writes it."""
    program = machine.ROOT / ".build/lighthouse/node_modules/lighthouse/cli/index.js"
    flags = ["--quiet", "--output=json", f"--only-categories={','.join(CATEGORIES)}"]
    command = ["node", str(program), url, *flags, "--chrome-flags=--headless=new --no-sandbox"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, "CHROME_PATH": chromium}
    )
    if done.returncode != 0:
        raise click.ClickException(f"Lighthouse failed: {done.stderr.strip()[-500:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@click.command()
@click.option("--runs", default=3, show_default=True, help="Runs, of which the median counts.")
def main(runs: int) -> None:
    """Print the scores of the front, and fail if its performance is below what is promised."""
    chromium = machine.browser()
    if chromium is None:
        raise click.ClickException("this machine has no Chromium; install it")
    with tempfile.TemporaryDirectory() as folder:
        world = PageWorld(Path(folder))
        try:
            reports = [measure(world.url, chromium) for _ in range(runs)]
        finally:
            world.stop()
    for category in CATEGORIES:
        scores = [round(100 * report["categories"][category]["score"]) for report in reports]
        click.echo(f"{category:26} {statistics.median(scores):g} (of {scores})")
    for metric in METRICS:
        click.echo(f"{metric:26} {[report['audits'][metric]['displayValue'] for report in reports]}")
    median = statistics.median(100 * report["categories"]["performance"]["score"] for report in reports)
    if median < LEAST:
        sys.exit(f"performance is {median:g}, less than {LEAST}")


if __name__ == "__main__":
    main()
