"""The picture of what differs: levels of the samples, colour by the share, in the place where it differs."""

import numpy as np
import pytest

from audiomend.evaluation.metrics import frame_size
from audiomend.evaluation.spread import Spread, spread
from audiomend.report.differing import INVENTED, KNOWN, Differing, differing, grids, paint
from audiomend.report.spectrogram import SILENCE_DB, height

RATE = 8000
COLUMNS, ROWS = 100, 60


def tone(hz: float, seconds: float = 2.0, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE + phase)


def row_of(hz: float) -> int:
    return ROWS - 1 - int(height(hz, RATE) * ROWS)


def test_known_and_invented_tones() -> None:
    """A tone of full scale in every sample, and one of another phase in each: opposite ones share nothing."""
    samples = np.stack([tone(500) + 0.1 * tone(2000, phase=p) for p in (0, np.pi)])[:, None]
    level, share = grids(spread(samples, RATE), RATE, COLUMNS, ROWS)
    assert level.shape == share.shape == (ROWS, COLUMNS)
    middle = slice(10, 90)
    assert level[row_of(500), middle] == pytest.approx(-4.7, abs=0.1)  # averaged over the bins of a row
    assert level[row_of(2000), 20:80].mean() == pytest.approx(level[row_of(500), 50] - 20, abs=4)
    assert share[row_of(500), middle].max() < 1e-3
    assert share[row_of(2000), middle].min() > 0.999
    assert abs(level.argmax(axis=0)[50] - row_of(500)) <= 1


def test_a_row_averages_its_bins_and_columns_follow_time() -> None:
    samples = np.random.default_rng(0).standard_normal((8, 2, 4 * RATE))
    samples[:, :, : 2 * RATE] = samples[:1, :, : 2 * RATE]
    level, share = grids(spread(samples, RATE), RATE, COLUMNS, ROWS)
    assert share[:, :48].max() == pytest.approx(0, abs=1e-9)
    assert share[:, 53:].min() > 0.5
    bins = 4 * round(512 * RATE / 44_100)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(bins) / bins)
    white = -10 * np.log10(hann.sum() ** 2 / (hann**2).sum() / 4)
    assert level[:20, 53:].mean() == pytest.approx(white, abs=0.4)


def test_a_column_shows_the_frame_in_its_middle() -> None:
    frames, bins = 8, frame_size(RATE) // 2 + 1
    energy = np.repeat(10.0 ** np.arange(frames)[:, None], bins, axis=1)[None]
    found = Spread(np.arange(frames), np.linspace(0, RATE / 2, bins), energy, energy / 4)
    every, _ = grids(found, RATE, frames, ROWS)
    level, share = grids(found, RATE, 2, ROWS)
    np.testing.assert_allclose(level, every[:, [2, 6]])
    np.testing.assert_allclose(np.diff(every), 10)
    np.testing.assert_allclose(share, 0.25)


def test_silence_is_dark_and_nothing_is_invented_in_it() -> None:
    level, share = grids(spread(np.zeros((2, 1, RATE)), RATE), RATE, COLUMNS, ROWS)
    assert (level == SILENCE_DB).all()
    assert not share.any()


def test_colours() -> None:
    level, share = np.array([[0.0, 0.0, -40.0, -80.0, 20.0]]), np.array([[0.0, 1.0, 1.0, 0.5, 0.0]])
    found = np.asarray(paint(level, share, 0.0))[0]
    assert found[0].tolist() == found[4].tolist() == list(KNOWN)
    assert found[1].tolist() == list(INVENTED)
    assert found[2].tolist() == pytest.approx([c / 2 for c in INVENTED], abs=0.5)
    assert found[3].tolist() == [0, 0, 0]


def test_the_article_says_how_much_differs_and_where() -> None:
    samples = np.stack([tone(500)] * 2)[:, None]
    alike = differing(Differing(samples, "A <note>."), RATE, (COLUMNS, ROWS), 0.0, "")
    assert "Here the samples are alike. A &lt;note&gt;." in alike
    assert "between 2 posterior samples" in alike
    samples[:, :, 4000:8000] *= np.array([1, -1])[:, None, None]
    page = differing(Differing(samples), RATE, (COLUMNS, ROWS), 0.0, "<rect/>")
    assert "<rect/>" in page
    told = page.split(" of the energy of those frames differs between them")[0]
    share = float(told.rsplit("differ, ", 1)[1].rstrip("%"))
    assert share > 90
