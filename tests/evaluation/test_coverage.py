"""A truth like the samples lies within K of them in (K - 1) / (K + 1) of the bins."""

from pathlib import Path

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.evaluation.coverage import Coverage, coverage, nominal, total, touched
from audiomend.evaluation.damages import Damage
from audiomend.evaluation.metrics import frame_size
from audiomend.report.coverage import MEASURED, held

RATE = 8000
SIZE = frame_size(RATE)
GAP = Damage("inpaint", 500.0, gaps=((3000, 40_000),))


def signals(count: int, seed: int = 0, length: int = 44_000) -> np.ndarray:
    """(count, 1, length) heavy-tailed noise: the count does not ask for a Gaussian."""
    random = np.random.default_rng(seed)
    return (
        random.standard_normal((count, 1, length)) * np.exp(random.standard_normal((count, 1, 1)))
    ).astype(np.float32)


def test_nineteen_samples_make_a_90_percent_band() -> None:
    assert nominal(19) == pytest.approx(0.9)
    assert nominal(2) == pytest.approx(1 / 3)


@pytest.mark.parametrize("count", [4, 19])
def test_a_truth_like_the_samples_is_covered_as_often_as_it_should(count: int) -> None:
    random = np.random.default_rng(1)
    drawn = random.standard_normal((count + 1, 1, 44_000)).astype(np.float32)
    found = coverage(list(drawn[1:]), drawn[0], RATE, GAP)
    assert found.inside == pytest.approx(nominal(count), abs=0.02)
    assert found.louder / found.bins == pytest.approx(1 / (count + 1), abs=0.015)
    assert found.softer / found.bins == pytest.approx(1 / (count + 1), abs=0.015)
    assert found.ratio == pytest.approx(1, abs=0.02)


def test_heavy_tails_are_covered_on_average() -> None:
    found = [
        coverage(list(x[1:]), x[0], RATE, GAP).inside
        for x in (signals(5, seed, 8_000) for seed in range(100))
    ]
    assert np.mean(found) == pytest.approx(nominal(4), abs=0.1)


def test_louder_and_softer_truths_and_too_little_spread() -> None:
    x = np.random.default_rng(2).standard_normal((5, 1, 44_000)).astype(np.float32)
    loud = coverage(list(0.01 * x[1:]), x[0], RATE, GAP)
    assert (loud.louder / loud.bins, loud.softer / loud.bins) == pytest.approx((1, 0), abs=0.01)
    assert loud.ratio == pytest.approx(100 / np.sqrt(1.25), rel=0.02)
    soft = coverage(list(x[1:]), 0.01 * x[0], RATE, GAP)
    assert (soft.softer / soft.bins, soft.louder / soft.bins) == pytest.approx((1, 0), abs=0.01)
    known = x[1:2] + 0.5 * x[2:]
    assert coverage(list(known), x[1], RATE, GAP).ratio == pytest.approx(np.sqrt((1 / 3) / (4 / 3)), rel=0.03)


def test_only_damaged_bins_count() -> None:
    truth = np.full((2, 4000), 0.5, np.float32)
    truth[1, 2000] = 0.9
    hz = np.fft.rfftfreq(SIZE, 1 / RATE)
    band = touched(truth, RATE, Damage("extend", 1000.0))
    assert (band == (hz > 1050)).all()
    gap = touched(truth, RATE, Damage("inpaint", 10.0, gaps=((1000, 1100),)))
    centres = np.arange(gap.shape[1]) * (SIZE // 4) + SIZE // 2
    inside = (centres >= 1000) & (centres < 1100)
    assert inside.any()
    assert (gap == inside[None, :, None]).all()
    clip = touched(truth, RATE, Damage("declip", 5.0, clip_level=0.8))
    near = np.abs(centres - 2000) <= SIZE // 4
    assert not clip[0].any()
    assert (clip[1] == near[:, None]).all()


def test_bins_far_below_the_loudest_do_not_count() -> None:
    tones = ((40, 0), (80, -50), (120, -70))
    places = 2 * np.pi / SIZE * np.arange(44_000)
    tone = sum(10 ** (db / 20) * np.cos(bins * places) for bins, db in tones)[None]
    x = [
        (tone + 1e-6 * s).astype(np.float32) for s in np.random.default_rng(3).standard_normal((3, 1, 44_000))
    ]
    found = coverage(x[1:], x[0], RATE, GAP)
    frames = touched(x[0], RATE, GAP)[0, :, 0].sum()
    assert found.bins == 6 * frames  # the bins of two tones and their neighbours under a Hann window
    with pytest.raises(UsageError, match="touches no bin"):
        coverage([np.zeros((1, 4000), np.float32)] * 2, np.zeros((1, 4000), np.float32), RATE, GAP)
    with pytest.raises(UsageError, match="1 samples span nothing"):
        coverage(x[1:2], x[0], RATE, GAP)


def test_totals_weigh_clips_by_their_bins_and_levels_by_nothing() -> None:
    whole = total([Coverage(100, 5, 10, 4.0, 1.0), Coverage(300, 0, 15, 1e6, 1e6)])
    assert (whole.bins, whole.louder, whole.softer) == (400, 5, 25)
    assert whole.inside == pytest.approx(1 - 30 / 400)
    assert whole.ratio == pytest.approx(np.sqrt((100 * 4 + 300 * 1) / 400))


def test_the_page_has_the_figures_of_the_table() -> None:
    table = (Path(__file__).parents[2] / "docs" / "results.md").read_text().split("| error / expected |\n")[1]
    verbs = {"gaps of 100 ms": "inpaint", "band above 3 kHz": "extend", "clipped to 5 dB": "declip"}
    for line in table.split("\n\n")[0].splitlines():
        damage, what, _, inside, _, _, ratio = (cell.strip() for cell in line.strip("|").split("|"))
        if what == "all":
            figures = float(inside.rstrip("%")) / 100, float(ratio)
            assert MEASURED["prior", verbs.pop(damage)] == figures
    assert not verbs


def test_the_page_says_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from audiomend.report import coverage as told

    cases = ((0.7, 1.0, "does not hold"), (0.84, 1.0, "does not hold"), (0.9, 1.3, "does not hold"))
    for inside, ratio, said in (
        *cases,
        (0.86, 1.1, "holds"),
        (0.97, 0.8, "is too wide"),
        (0.9, 0.7, "is too wide"),
    ):
        monkeypatch.setattr(told, "MEASURED", {("prior", "inpaint"): (inside, ratio)})
        sentence = held("prior", "inpaint")
        assert sentence.startswith(f"This band {said}: in gaps")
        assert f"in {inside:.0%} of the bins, where 90% would be right" in sentence
        assert f"was {ratio:.1f} times as far" in sentence
    assert "was not measured for missing bands" in held("prior", "extend")
    assert "was not measured" in held("mine", "inpaint")
