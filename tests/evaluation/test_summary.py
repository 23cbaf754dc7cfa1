"""Rows, intervals and tables made of results."""

import csv
import io

import numpy as np
import pytest

from audiomend.evaluation.results import Result
from audiomend.evaluation.summary import Row, bootstrap_interval, summarise
from audiomend.evaluation.tables import decibels, severity_title, to_csv, to_markdown


def result(
    clip: str, method: str, value: float | None, wall_s: float = 1.0, error: str | None = None
) -> Result:
    figures = {} if error else {"clipped_sdr_db": value}
    return Result(clip, 3.0, method, figures, 2.0, "hash", wall_s, wall_s, 100.0 * wall_s, {}, error)


def row(results: list[Result], set_name: str, method: str) -> Row:
    (found,) = [r for r in summarise(results) if (r.set, r.method) == (set_name, method)]
    return found


def test_a_row_holds_mean_median_and_counts() -> None:
    cells = [result(f"music/{i}", "a", v) for i, v in enumerate((1.0, 2.0, 6.0))]
    got = row([*cells, result("music/9", "a", None, error="broke")], "music", "a")
    assert (got.mean, got.median, got.clips, got.failed) == (3.0, 2.0, 3, 1)


def test_time_is_the_median_and_memory_the_largest() -> None:
    cells = [result(f"music/{i}", "a", 1.0, wall_s) for i, wall_s in enumerate((1.0, 9.0, 2.0))]
    got = row(cells, "music", "a")
    assert (got.rtf, got.peak_mib) == (1.0, 900.0)  # 2 s of work on 2 s of sound


def test_sets_are_apart_and_pooled() -> None:
    cells = [result("music/1", "a", 1.0), result("music/2", "a", 3.0), result("speech/1", "a", 8.0)]
    assert [row(cells, name, "a").mean for name in ("music", "speech", "all")] == [2.0, 8.0, 4.0]


def test_one_set_is_not_pooled() -> None:
    assert [r.set for r in summarise([result("music/1", "a", 1.0)])] == ["music"]


def test_undefined_figures_do_not_count() -> None:
    got = row([result("music/1", "a", None), result("music/2", "a", 4.0)], "music", "a")
    assert (got.mean, got.clips, got.failed) == (4.0, 1, 0)


def test_a_method_that_always_fails_still_has_its_row() -> None:
    cells = [result("music/1", "a", 1.0), result("music/1", "b", None, error="broke")]
    got = row(cells, "music", "b")
    assert (got.mean, got.low, got.rtf, got.failed) == (None, None, None, 1)


def test_the_interval_is_the_quantiles_of_the_mean_of_resamples() -> None:
    """Of two values 0 and 1 the resampled mean is 0, 1/2 or 1 with 1/4, 1/2, 1/4: quantiles are known."""
    assert bootstrap_interval([0.0, 1.0], coverage=0.95) == (0.0, 1.0)
    assert bootstrap_interval([0.0, 1.0], coverage=0.4) == (0.5, 0.5)
    assert bootstrap_interval([0.0, 1.0], coverage=0.6) == (0.0, 1.0)


def test_the_interval_is_near_the_normal_one() -> None:
    x = np.random.default_rng(5).standard_normal(400)
    low, high = bootstrap_interval(x)
    half = 1.96 * x.std() / np.sqrt(400)
    assert (low, high) == (
        pytest.approx(x.mean() - half, abs=0.006),
        pytest.approx(x.mean() + half, abs=0.006),
    )


def test_the_interval_covers_the_true_mean_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(6)
    hits = 0
    for _ in range(100):
        low, high = bootstrap_interval(random.standard_normal(40))
        hits += low <= 0 <= high
    assert 88 <= hits <= 99  # the percentile bootstrap covers about 94 % at 40 values


def test_the_interval_depends_on_the_seed_only() -> None:
    x = np.random.default_rng(7).standard_normal(10)
    assert bootstrap_interval(x, 1) == bootstrap_interval(x, 1) != bootstrap_interval(x, 2)


def test_one_value_is_its_own_interval() -> None:
    assert bootstrap_interval([4.0]) == (4.0, 4.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14159, "3.1"),
        (-3.16, "-3.2"),
        (0.0, "0.0"),
        (-0.01, "0.0"),
        (300.0, "inf"),
        (-300.0, "-inf"),
        (None, "-"),
    ],
)
def test_decibels_have_one_decimal(value: float | None, text: str) -> None:
    assert decibels(value) == text


def test_severities_in_words() -> None:
    assert severity_title("declip", 3.0) == "input SDR 3 dB"
    assert severity_title("inpaint", 50.0) == "gaps of 50 ms"
    assert severity_title("extend", 3000.0) == "low-pass at 3000 Hz"


CELLS = [
    result("music/1", "damaged", 2.0, 0.0),
    result("music/1", "ours", 8.0, 3.0),
    result("music/2", "ours", None, error="broke"),
    result("speech/1", "ours", 6.0, 5.0),
    result("speech/1", "bad", None, error="broke"),
]


def test_the_markdown_table() -> None:
    assert to_markdown("declip", summarise(CELLS)).splitlines() == [
        "**input SDR 3 dB**: SDR on the clipped samples, dB (higher is better); mean [95 % interval] median",
        "",
        "| method | music | speech | all | RTF | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| damaged | 2.0 [2.0, 2.0] 2.0 | - | 2.0 [2.0, 2.0] 2.0 | - | - |",
        "| ours | 8.0 [8.0, 8.0] 8.0 (1 of 2) | 6.0 [6.0, 6.0] 6.0 | 7.0 [6.0, 8.0] 7.0 (2 of 3) | 2 | 500 |",
        "| bad | - | failed | failed | - | - |",
    ]


def test_the_csv_has_a_line_per_row_and_reads_back() -> None:
    rows = summarise(CELLS)
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(lines) == len(rows)
    (ours,) = [line for line in lines if (line["set"], line["method"]) == ("all", "ours")]
    assert (ours["figure"], ours["mean"], ours["clips"], ours["failed"]) == (
        "clipped_sdr_db",
        "7.0",
        "2",
        "1",
    )
    assert next(line for line in lines if line["method"] == "bad")["mean"] == ""
