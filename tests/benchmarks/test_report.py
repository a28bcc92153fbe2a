"""What results say: spreads, tables, a page without anything stale, and a comparison that notices what became worse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.measure import Spread, ratios, take_turns
from benchmarks.report import page
from benchmarks.report.compare import TOLERANCE, compare
from benchmarks.report.plot import picture
from benchmarks.report.tables import against_jax, everything
from benchmarks.results import COMMITMENT, JAX, OUTPUT, WATCHER, BadResults, Measured, Results, Start, Timed, fewer

SPEEDS = r"times (its|the|their|as|that) ?(\w+ )*(long|time|fast)\b"
README = Path(__file__).parents[2] / "README.md"


def results(times: float, outputs: str = "aa", workload: str = "digits", program: str = "01") -> Results:
    """Integers take ``times`` times what JAX takes, give or take a little, in each of five rounds."""
    jax = [1.0, 1.1, 0.9, 1.0, 1.0]
    wobble = [0.99, 1.0, 1.01, 1.0, 1.0]
    seconds = {
        name: [times * a * b for a, b in zip(jax, wobble, strict=True)] for name in (OUTPUT, COMMITMENT, WATCHER)
    }
    timed = Timed(workload, {JAX: jax, **seconds}, {"llama.cpp": "not installed"}, outputs, "bb")
    starts = [
        Start(role, caches, 1.5, 1 << 20, 1 << 25, 1 << 26, 1 << 23)
        for role in ("prover", "watcher")
        for caches in ("cold", "warm")
    ]
    floor = {
        "multiplications": 2e9,
        "multiplications_per_second": 1e10,
        "bytes": 5e8,
        "bytes_per_second": 1e10,
        "seconds": 0.25,
    }
    profile = {"pass_seconds": 0.5, "kinds": [["norms", 3, 1.0]], "floor": floor}
    measured = Measured("digits", "digits", "w16a16", program, [timed], starts, profile)
    machine = {"cpu": "one", "flags": ["avx2"], "cores": 2, "memory_gib": 8, "os": "an OS", "python": "3.11"}
    machine |= {"versions": {"jax": "1"}, "commit": "c", "date": "d", "isa": None, "xla_flags": "", "native": ""}
    return Results(machine, 5, False, [measured], {"digits w15a16": "unknown"})


def test_the_page_names_workloads_of_fewer_rounds() -> None:
    found = results(2.0)
    assert fewer(found) == {} and "of 5 rounds and, in" in page.page(found, found, found)
    found.rounds = 9
    assert fewer(found) == {"digits": 5} and "of 9 rounds (5 for digits) and, in" in page.page(found, found, found)


def test_a_ratio_is_one_rounds_and_a_spread_has_quartiles() -> None:
    assert ratios([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == Spread(2.0, 1.5, 2.5)
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)


def test_the_page_names_the_commit_of_what_was_measured_later() -> None:
    found = results(2.0)
    found.machine["commit"] = "aaaa"
    assert "Commit bbbb" not in page.page(found, found, found)
    found.measured[0].commit = "bbbb"
    assert "Commit bbbb: digits, w16a16." in page.page(found, found, found)


def test_contestants_take_turns_and_each_round_begins_with_another() -> None:
    calls: list[str] = []
    times = take_turns({name: lambda name=name: calls.append(name) for name in "xy"}, 3, least=0.0)
    assert "".join(calls) == "xxyy" + "xy" + "yx" + "xy"
    assert {name: len(found) for name, found in times.items()} == {"x": 3, "y": 3}


def test_results_come_back_from_their_file_and_others_are_refused(tmp_path: Path) -> None:
    results(2.0).save(tmp_path / "found.json")
    assert Results.load(tmp_path / "found.json") == results(2.0)
    (tmp_path / "other.json").write_text("{}")
    for name in ("other.json", "absent.json"):
        with pytest.raises(BadResults, match="is no results file"):
            Results.load(tmp_path / name)


def test_the_tables_have_every_figure_and_what_is_missing() -> None:
    assert "| digits | w16a16 | 1,000 (1,000 to 1,000) | 2.00 (2.00 to 2.00) |" in against_jax(results(2.0))
    text = everything(results(2.0))
    assert "| llama.cpp | not installed | digits |" in text
    assert "| digits | w16a16 | 1.5 | 1.5 | 1.5 | 1.5 | 8.0 | 3.9 | 0.06 |" in text
    assert "| norms | 3 | 1000.00 | 100% |" in text and "| a pass, as it is compiled |  | 500.00 | 50% |" in text
    assert "- digits w15a16 was left out: unknown" in text


def test_a_picture_is_the_same_each_time() -> None:
    assert picture(results(2.0)) == picture(results(2.0)) != picture(results(3.0))


def test_what_became_slower_is_worse_and_what_became_faster_is_not() -> None:
    before = results(2.0)
    assert not compare(before, results(3.0)).good(TOLERANCE)
    assert compare(before, results(3.0)).good(2.0)
    found = compare(before, results(1.0))
    assert found.good(TOLERANCE) and [round(one.faster, 2) for one in found.compared] == [2.0] * 3


def test_other_integers_of_the_same_program_and_lost_workloads_are_worse() -> None:
    before = results(2.0)
    assert compare(before, results(2.0, outputs="cc")).changed == ["digits, w16a16"]
    assert compare(before, results(2.0, outputs="cc", program="02")).good(TOLERANCE)
    assert compare(before, results(2.0, workload="others")).gone == ["digits, w16a16"]
    assert not compare(before, results(2.0, workload="others")).good(TOLERANCE)


def test_the_command_compares_files_and_ends_with_1_for_what_is_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("before.json", "after.json")]
    for file, times in zip(files, (2.0, 3.0), strict=True):
        results(times).save(Path(file))
    assert main(["compare", *files]) == 1
    assert "0.67 SLOWER" in capsys.readouterr().out
    assert main(["compare", *reversed(files)]) == 0
    assert "1.50 |" in capsys.readouterr().out


def test_the_page_of_benchmarks_is_fresh() -> None:
    assert page.main(["--check"]) == 0


def test_the_readme_quotes_no_speed_that_is_not_on_the_page() -> None:
    """Whatever it says to take so many times as long stands there, with its quartiles."""
    readme, shown = README.read_text(), page.PAGE.read_text()
    assert "(docs/benchmarks.md)" in readme
    assert not [line for line in readme.splitlines() if re.search(SPEEDS, line) and not _shown(line, shown)]


def test_a_speed_that_is_not_on_the_page_is_noticed() -> None:
    shown = "| digits | w16a16 | 2.41 (2.30 to 2.52) |"
    assert re.search(SPEEDS, "256 digits take 2.41 (2.30 to 2.52) times as long as float32")
    assert _shown("256 digits take 2.41 (2.30 to 2.52) times as long as float32", shown)
    assert not _shown("256 digits take 2.3 times as long as float32", shown)


def _shown(line: str, shown: str) -> bool:
    quoted = re.findall(r"[\d.,]+ \([\d.,]+ to [\d.,]+\)", line)
    return bool(quoted) and all(one in shown for one in quoted)
