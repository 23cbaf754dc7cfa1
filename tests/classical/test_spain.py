"""A-SPAIN: equal to the published code, exact where it can be, silent elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.classical import spain
from audiomend.classical.spain import DEFAULT, PUBLISHED, Spain, interpolated
from audiomend.errors import UsageError

GOLDEN = Path(__file__).parents[1] / "golden" / "autoregressive.npz"
SMALL = replace(PUBLISHED, window=256)


def tones(time: int) -> Tensor:
    """Two sinusoids in the middle of bins of 512 samples."""
    n = torch.arange(time, dtype=torch.float64)
    return 0.5 * torch.sin(2 * np.pi * 20 / 512 * n + 0.2) + 0.3 * torch.sin(2 * np.pi * 77 / 512 * n + 1)


def holed(time: int, *gaps: tuple[int, int]) -> Tensor:
    known = torch.ones(time, dtype=torch.bool)
    for start, end in gaps:
        known[start:end] = False
    return known


def error_db(restored: Tensor, x: Tensor, known: Tensor) -> float:
    return float(20 * torch.log10((restored - x)[..., ~known].norm() / x[..., ~known].norm()))


@pytest.mark.parametrize("gap", [0, 1])
def test_gaps_equal_those_of_the_published_code(gap: int):
    golden = np.load(GOLDEN)
    start, size = int(golden["gap_starts"][gap]), int(golden["gap_samples"])
    shift = start - 4096 - gap  # an odd one too: the frames go with the gap
    x = torch.tensor(golden["clean16"][shift : start + size + 4096] / 32768)
    known = holed(len(x), (start - shift, start - shift + size))
    restored = interpolated(x, known, PUBLISHED)
    expected = golden["gaps_aspain"][gap * size : (gap + 1) * size]
    assert np.abs(restored[~known].numpy() - expected).max() < 1e-6


def test_the_default_does_not_depend_on_the_level_and_is_the_published_one_at_its_own():
    x, known = tones(2000), holed(2000, (900, 980))
    around = torch.cat([x[708:900], x[980:1172]])  # what the frames of 256 show
    x = x * 0.15 / around.square().mean().sqrt()
    settings = replace(DEFAULT, window=256)
    restored = interpolated(x, known, settings)
    torch.testing.assert_close(interpolated(x / 64, known, settings) * 64, restored, rtol=0, atol=1e-6)
    assert error_db(restored, interpolated(x, known, SMALL), known) < -40
    coarse = replace(SMALL, tolerance=0.3)
    levelled = replace(coarse, rms=0.15)
    torch.testing.assert_close(interpolated(3 * x, known, levelled), 3 * interpolated(x, known, coarse))


def test_tones_go_on_and_known_samples_stay():
    x = torch.stack([tones(2000), -2 * tones(2000)]).float()
    known = holed(2000, (700, 740), (1300, 1311))
    damaged = torch.where(known, x, 9.0)
    restored = interpolated(damaged, known, SMALL)
    assert restored.dtype == torch.float32
    assert torch.equal(restored[:, known], x[:, known])
    assert error_db(restored, x, known) < -25
    torch.testing.assert_close(restored[0], interpolated(damaged[0], known, SMALL), rtol=0, atol=1e-6)
    assert torch.equal(interpolated(x, holed(2000), SMALL), x)


def test_reversed_sound_is_filled_in_reverse():
    """The frames lie symmetrically about the centre of a gap of odd length."""
    x = tones(1500) + 0.3 * tones(1500).flip(0).cumsum(0) / 20
    known = holed(1500, (800, 851))
    forth = interpolated(x, known, replace(SMALL, tolerance=1e-3))
    back = interpolated(x.flip(0), known.flip(0), replace(SMALL, tolerance=1e-3))
    assert error_db(back.flip(0), forth, known) < -20


def test_another_gap_within_a_frame_is_missing_too_and_ends_are_silence():
    x = tones(1200)
    known = holed(1200, (0, 10), (600, 640), (660, 670), (1190, 1200))
    damaged = torch.where(known, x, float("nan"))
    restored = interpolated(damaged, known, SMALL)
    assert restored.isfinite().all()
    inner = holed(1200, (600, 640), (660, 670))
    assert error_db(restored, x, inner) < -12
    apart = interpolated(
        torch.nn.functional.pad(damaged, (300, 300)),
        holed(1800, (300, 310), (900, 940), (960, 970), (1490, 1500)),
        SMALL,
    )
    torch.testing.assert_close(restored, apart[300:1500], rtol=0, atol=1e-9)
    assert not interpolated(torch.zeros(1200), known, DEFAULT).any()


@pytest.mark.parametrize(("start", "end"), [(700, 740), (700, 741), (701, 741), (701, 742), (700, 766)])
def test_frames_lie_where_the_authors_have_them(start: int, end: int):
    """One is centred at ⌈(s + f) / 2⌉ - ⌈a / 2⌉, counting from 1; the first is the first to reach the gap."""
    window, hop = 264, 66
    first = spain._first_frame(start, end, window)
    assert (first + window // 2 - (-(-(start + 1 + end) // 2) - 1 - hop // 2)) % hop == 0
    assert first + window - hop <= start < first + window


def test_with_all_bins_at_once_nothing_is_invented():
    known = holed(2000, (900, 980))
    assert not interpolated(tones(2000), known, replace(SMALL, step=257))[~known].any()
    assert interpolated(tones(2000), known, replace(SMALL, step=16))[~known].any()


@pytest.mark.parametrize("window", [0, 2, 258])
def test_a_window_that_cannot_be_is_named(window: int):
    with pytest.raises(UsageError, match=str(window)):
        Spain(window=window)


def test_published_settings_are_those_of_the_authors():
    assert Spain(4096, 1, 0.01, None, torch.float64) == PUBLISHED
