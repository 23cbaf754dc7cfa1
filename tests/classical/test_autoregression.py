"""Autoregressive restorers: exact on predictable signals, equal to published code, silent elsewhere."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from audiomend.classical.ar_declip import DEFAULT, GLP, PUBLISHED, SHORTER, ArDeclip, declipped
from audiomend.classical.autoregression import approached, burg, least_residual, lpc
from audiomend.classical.janssen import Janssen, interpolated
from audiomend.classical.thresholding import SOFT, USUAL, thresholded
from audiomend.errors import UsageError
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.low_pass import LowPass

GOLDEN = Path(__file__).parents[1] / "golden" / "autoregressive.npz"


def noise(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sinusoids(time: int) -> torch.Tensor:
    n = torch.arange(time, dtype=torch.float64)
    return 0.5 * torch.sin(0.31 * n + 0.2) + 0.3 * torch.sin(0.83 * n + 1.0)


def test_lpc_solves_the_normal_equations():
    x, order = noise(2, 300).cumsum(-1) * 0.1 + noise(2, 300, seed=4), 12
    a = lpc(x, order)
    for row, coefficients in zip(x, a, strict=True):
        r = torch.stack([(row[: 300 - k] * row[k:]).sum() for k in range(order + 1)])
        lags = (torch.arange(order)[:, None] - torch.arange(order)).abs()
        torch.testing.assert_close(
            coefficients[1:], torch.linalg.solve(r[lags], -r[1:]), rtol=1e-9, atol=1e-12
        )
    assert (a[:, 0] == 1).all()


def test_lpc_holds_the_white_noise_that_it_is_told_of():
    x, white = noise(2, 300).cumsum(-1) * 0.1, torch.tensor([0.7, 3.0], dtype=torch.float64)
    for row, energy, a in zip(x, white, lpc(x, 5, white), strict=True):
        r = torch.stack([(row[: 300 - k] * row[k:]).sum() for k in range(6)])
        r[0] += energy
        lags = (torch.arange(5)[:, None] - torch.arange(5)).abs()
        torch.testing.assert_close(a[1:], torch.linalg.solve(r[lags], -r[1:]), rtol=1e-9, atol=1e-12)


def plain_burg(x: torch.Tensor, order: int) -> torch.Tensor:
    """As in the books, of (time,)."""
    a, forward, backward = torch.ones(1, dtype=torch.float64), x, x
    for _ in range(order):
        forward, backward = forward[1:], backward[:-1]
        k = -2 * (forward @ backward) / (forward @ forward + backward @ backward)
        forward, backward = forward + k * backward, backward + k * forward
        a = torch.nn.functional.pad(a, (0, 1))
        a = a + k * a.flip(0)
    return a


def test_burg_finds_the_reflections_of_least_error_and_ignores_the_filling():
    lengths = torch.tensor([200, 120, 150])
    x = noise(3, 200) * (torch.arange(200) < lengths[:, None])
    a = burg(x, 20, lengths)
    for row, length, found in zip(x, lengths.tolist(), a, strict=True):
        torch.testing.assert_close(found, plain_burg(row[:length], 20), rtol=1e-11, atol=1e-12)
    long = torch.nn.functional.pad(x, (0, 50))
    torch.testing.assert_close(burg(long, 20, lengths), a, rtol=1e-12, atol=1e-12)
    whole = noise(1, 200)
    expected = plain_burg(whole[0], 20)
    torch.testing.assert_close(burg(whole, 20, torch.tensor([200]))[0], expected, rtol=1e-11, atol=1e-12)


def test_burg_finds_the_poles_of_sinusoids():
    a = burg(sinusoids(4000)[None], 4, torch.tensor([4000]))[0]
    residual = torch.nn.functional.conv1d(sinusoids(400)[None, None], a.flip(0)[None, None])
    assert residual.abs().max() < 1e-3


def test_silence_has_the_trivial_model():
    zeros = torch.zeros(1, 50, dtype=torch.float64)
    trivial = torch.eye(6, dtype=torch.float64)[:1]
    assert torch.equal(lpc(zeros, 5), trivial)
    assert torch.equal(burg(zeros, 5, torch.tensor([50])), trivial)


def test_a_predictable_signal_is_interpolated_to_machine_precision():
    """a * x = 0 inside, and the ends, where it is not, miss nothing: the residual's minimum is the signal."""
    w, v = np.cos(0.31), np.cos(0.83)
    a = torch.tensor(np.convolve([1, -2 * w, 1], [1, -2 * v, 1]))
    x = sinusoids(400)[None]
    missing = torch.zeros_like(x, dtype=torch.bool)
    missing[0, 150:170] = missing[0, 230:240] = True
    damaged = torch.where(missing, 7.0, x)
    assert (least_residual(damaged, missing, a[None]) - x).abs().max() < 1e-8


@pytest.mark.parametrize("order", [4, 40])  # solved as bands, and as matrices filled up to one size
def test_rows_that_miss_different_numbers_equal_the_dense_least_squares(order: int):
    x = noise(3, 60)
    missing = torch.zeros(3, 60, dtype=torch.bool)
    missing[0, 5:40:2] = missing[1, 20:37] = missing[2, 59] = True
    a = torch.cat([torch.ones(3, 1), 0.4 * noise(3, order, seed=5)], dim=-1).double()
    restored = least_residual(x, missing, a)
    assert torch.equal(restored[~missing], x[~missing])
    for i in range(3):
        filters = torch.zeros(60 + order, 60, dtype=torch.float64)
        for k in range(order + 1):
            filters[torch.arange(60) + k, torch.arange(60)] = a[i, k]
        m = missing[i]
        solution = torch.linalg.lstsq(filters[:, m], -(filters[:, ~m] @ x[i, ~m])).solution
        torch.testing.assert_close(restored[i, m], solution, rtol=1e-9, atol=1e-11)


def test_long_gaps_equal_the_dense_solution_alone_and_beside_others():
    time, length = 1324, 1024
    x = noise(5, time)
    missing = torch.zeros(5, time, dtype=torch.bool)
    missing[:, 100 : 100 + length] = True
    missing[1, 20] = True  # not one gap any more
    missing[2, 100] = False  # shorter
    missing[3, :100] = True  # from the first sample on
    missing[4, :10] = True
    a = torch.cat([torch.ones(5, 1), 0.3 * noise(5, 6, seed=5)], dim=-1).double()
    restored = least_residual(x, missing, a)
    for row in range(5):
        b = torch.nn.functional.conv1d(a[row][None, None], a[row][None, None], padding=6)[0, 0]
        lags = torch.arange(time)[:, None] - torch.arange(time)
        matrix = torch.where(lags.abs() <= 6, b[(lags + 6).clamp(0, 12)], 0)
        m = missing[row]
        expected = torch.linalg.solve(matrix[m][:, m], -matrix[m][:, ~m] @ x[row, ~m])
        torch.testing.assert_close(restored[row, m], expected, rtol=1e-8, atol=1e-10)
        assert torch.equal(restored[row, ~m], x[row, ~m])


@pytest.mark.parametrize("stop", [205, 456])  # as a matrix and as a band
def test_a_gap_stays_where_its_matrix_is_singular(stop: int):
    x, missing = noise(1, 1000), torch.zeros(1, 1000, dtype=torch.bool)
    missing[0, 200:stop] = True
    assert torch.equal(least_residual(x, missing, torch.zeros(1, 5, dtype=torch.float64)), x)
    broken = torch.full((1, 5), math.nan, dtype=torch.float64)
    assert torch.equal(least_residual(x, missing, broken), x)


def test_conjugate_gradients_approach_the_least_residual():
    x, missing = noise(3, 120), noise(3, 120, seed=7) > 0.5
    missing[2, 40:60] = True
    a = torch.cat([torch.ones(3, 1), 0.4 * noise(3, 5, seed=5)], dim=-1).double()
    exact = least_residual(x, missing, a)
    errors = [(approached(x, missing, a, steps) - exact).norm() / (x - exact).norm() for steps in (0, 8, 25)]
    assert errors[0] == 1
    assert errors[1] < 0.03
    assert errors[2] < 1e-6
    near = approached(x, missing, a, 60)  # it stays where it is
    torch.testing.assert_close(near, exact, rtol=0, atol=1e-9)
    assert torch.equal(near[~missing], x[~missing])


def test_the_model_itself_makes_the_gradients_short():
    """Poles near the circle: without the inverse of the magnitude, eight steps would get nowhere."""
    a = burg(sinusoids(2000)[None] + 1e-3 * noise(1, 2000), 12, torch.tensor([2000]))
    x = sinusoids(400)[None]
    missing = torch.zeros_like(x, dtype=torch.bool)
    missing[0, 100:300:2] = True
    damaged = torch.where(missing, 0.9 * x, x)
    exact = least_residual(damaged, missing, a)
    assert (approached(damaged, missing, a, 8) - exact).norm() < 5e-4 * (damaged - exact).norm()


@pytest.mark.parametrize(
    ("key", "settings"),
    [("gaps_lpc512", Janssen(order=512, burg=False)), ("gaps_burg1024", Janssen())],
)
def test_gaps_equal_those_of_the_published_code(key: str, settings: Janssen):
    golden = np.load(GOLDEN)
    start, size = int(golden["gap_starts"][0]), int(golden["gap_samples"])
    x = torch.tensor(golden["clean16"][start - 4096 : start + size + 4096] / 32768)
    known = torch.ones(len(x), dtype=torch.bool)
    known[4096 : 4096 + size] = False
    restored = interpolated(x, known, settings)
    assert np.abs(restored[~known].numpy() - golden[key][:size]).max() < 1e-6


def test_clipping_equals_that_of_the_published_code():
    golden = np.load(GOLDEN)
    theta = float(golden["theta"])
    x, frames = torch.tensor(golden["clean16"] / 32768), 16384
    clipped = x[:frames].clamp(-theta, theta)
    at = x[: frames - 8192].abs() > theta  # frames that begin there see the same samples
    restored = declipped(clipped, -theta, theta, PUBLISHED)[: frames - 8192][at].numpy()
    expected = golden["clipped16"][: int(at.sum())] / golden["scale"]
    assert np.abs(restored - expected).max() < 3.2e-5


def test_the_default_is_as_good_and_its_settings_are_those_that_were_chosen():
    assert ArDeclip(512, 8192, 2, 75, 50, False, True) == DEFAULT
    assert ArDeclip(512, 8192, 5, 0, 0, False, False) == PUBLISHED
    assert ArDeclip(512, 8192, 5, 0, 0, True, False) == GLP
    assert SHORTER == 4
    golden = np.load(GOLDEN)
    theta = float(golden["theta"])
    x = torch.tensor(golden["clean16"][:16384] / 32768)
    clipped = x.clamp(-theta, theta)
    published = torch.tensor(golden["clipped16"] / golden["scale"])
    at = (x.abs() > theta).nonzero()[:, 0]
    error = (declipped(clipped, -theta, theta) - x)[at].norm()
    assert error < 10 ** (0.5 / 20) * (published[: len(at)] - x[at]).norm()


@pytest.mark.parametrize("gradients", [0, 3])
def test_the_start_is_a_threshold_that_falls_in_each_frame(gradients: int):
    long = sinusoids(600).clamp(-0.5, 0.4)
    first = int((long[256:] == 0.4).nonzero()[0])
    frame, clip = long[first : first + 512], HardClip(-0.5, 0.4)  # clipped in its middle
    kinds = (replace(kind, window=128, steps=20, rising=0.0) for kind in (USUAL, SOFT))
    start = torch.stack([thresholded(frame.float(), clip, kind) for kind in kinds]).mean(0).double()
    missing = (frame == 0.4) | (frame == -0.5)
    where = start[None], missing[None], lpc(start[None], 16)
    expected = (approached(*where, gradients) if gradients else least_residual(*where))[0]
    settings = ArDeclip(order=16, frame=512, iterations=1, start=20, gradients=gradients)
    whole = torch.nn.functional.pad(frame, (256, 256))  # there is one frame alone where another's middle is
    mended = declipped(whole, -0.5, 0.4, settings)
    assert expected[256] > 0.4
    torch.testing.assert_close(mended[512], expected[256], rtol=0, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("reflected", "expected"),
    # Of order 1, a = -r(1) / r(0), and the middle of 1, x, 1 becomes -2a / (1 + a²). From 0, 1, 2, 1 on: a is
    # -2/3 and x 12/13. Reflected at 2 that is 40/13, and a -520/969; else a is -156/241.
    [(True, 2 * 520 * 969 / (520**2 + 969**2)), (False, 2 * 156 * 241 / (156**2 + 241**2))],
)
def test_what_falls_short_of_the_level_is_reflected_between_two_iterations(
    sign: int, reflected: bool, expected: float
):
    settings = ArDeclip(1, 4, iterations=2, start=0, gradients=0, reflected=reflected, consistent=False)
    y = sign * torch.tensor([0.0, 1, 2, 1], dtype=torch.float64)
    levels = (-math.inf, 2.0) if sign > 0 else (-2.0, math.inf)
    assert float(declipped(y, *levels, settings)[2]) == pytest.approx(sign * expected, rel=1e-12)
    consistent = declipped(y, *levels, replace(settings, consistent=True))
    assert torch.equal(consistent, y)


@pytest.mark.parametrize("reflected", [False, True])
def test_all_frames_at_once_are_the_plain_form(
    reflected: bool, benchmark_file: Callable[[str], ModuleType]
) -> None:
    y = (sinusoids(1000) + 0.1 * noise(1000)).clamp(-0.3, 0.4)
    settings = replace(PUBLISHED, order=16, frame=256, iterations=4, reflected=reflected)
    mended = declipped(y, -0.3, 0.4, settings)
    expected = torch.from_numpy(benchmark_file("plain_declip").autoregressive(y.numpy(), -0.3, 0.4, settings))
    torch.testing.assert_close(mended, expected, rtol=0, atol=1e-10)
    for other in (replace(settings, reflected=not reflected), replace(settings, iterations=5)):
        assert (declipped(y, -0.3, 0.4, other) - expected).norm() > 1e-3


@pytest.mark.parametrize("reflected", [False, True])
def test_known_samples_stay_and_clipped_ones_are_consistent(reflected: bool):
    x = torch.stack([sinusoids(3000), 1.3 * sinusoids(3000)])
    low, high = torch.tensor([[-0.5], [-0.4]]), torch.tensor([[0.4], [0.6]])
    y = x.clamp(low, high).float()
    settings = ArDeclip(order=32, frame=512, reflected=reflected)
    restored = declipped(y, low, high, settings)
    above, below = y >= high, y <= low
    assert torch.equal(restored[~(above | below)], y[~(above | below)])
    assert (restored >= y)[above].all()
    assert (restored <= y)[below].all()
    assert (restored - x).norm() < 0.2 * (y - x).norm()
    for i in range(2):
        alone = declipped(y[i], float(low[i]), float(high[i]), settings)
        torch.testing.assert_close(restored[i], alone, rtol=0, atol=1e-6)


def test_whole_hops_of_silence_before_shift_the_result():
    x = torch.nn.functional.pad(sinusoids(2000).clamp(-0.5, 0.5), (600, 600))
    settings = ArDeclip(order=16, frame=512)
    shifted = declipped(torch.nn.functional.pad(x, (512, 0)), -0.5, 0.5, settings)
    torch.testing.assert_close(shifted[512:], declipped(x, -0.5, 0.5, settings), rtol=0, atol=1e-9)


def test_gaps_of_unlike_lengths_channels_and_ends():
    x = torch.stack([sinusoids(3000), noise(3000) * 0.01 + sinusoids(3000)])
    known = torch.ones(3000, dtype=torch.bool)
    known[:5] = known[900:930] = known[2000:2100] = False
    settings = Janssen(order=32, context=400)
    restored = interpolated(x, known, settings)
    assert torch.equal(restored[:, known], x[:, known])
    torch.testing.assert_close(restored[1], interpolated(x[1], known, settings), rtol=0, atol=1e-9)
    inner = ~known
    inner[:5] = False  # the first samples have silence on their other side
    assert (restored - x)[:, inner].norm() < 0.1 * x[:, inner].norm()
    assert torch.equal(interpolated(x, known.new_ones(3000)), x)


def test_a_gap_beside_another_is_what_its_own_surroundings_make_of_it():
    x, known = sinusoids(2000) + 0.1 * noise(2000), torch.ones(2000, dtype=torch.bool)
    known[900:930] = known[1000:1040] = False
    settings, around = Janssen(order=32, context=400), slice(500, 1330)
    alone = interpolated(x[around], known[around], settings)
    torch.testing.assert_close(interpolated(x, known, settings)[900:930], alone[400:430], rtol=0, atol=1e-9)


def test_in_a_short_sound_the_order_is_one_less_than_its_length():
    x, known = sinusoids(60), torch.ones(60, dtype=torch.bool)
    known[25:30] = False
    filled, *others = (interpolated(x, known, Janssen(order, context=4096)) for order in (1024, 59, 58, 30))
    torch.testing.assert_close(filled, others[0], rtol=0, atol=0)
    assert all((filled - other).abs().max() > 1e-9 for other in others[1:])


@pytest.mark.parametrize("wrong", [{"order": 0}, {"order": 5000}, {"iterations": 0}])
def test_settings_out_of_range_are_named(wrong: dict[str, int]):
    for kind in (Janssen, ArDeclip):
        with pytest.raises(UsageError, match=str(*wrong.values())):
            kind(**wrong)
    with pytest.raises(UsageError, match="order is 400; it must be from 1 to 399"):
        Janssen(order=400, context=400)


def test_a_gap_in_a_dull_sound_is_filled_at_its_level() -> None:
    """Nothing above a fifth of the rate: the matrix of a gap of 882 samples is all but singular."""
    white = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = LowPass(44_100 / 5, 44_100).forward(0.01 * white.cumsum(dim=1))
    known = torch.ones(x.shape[1], dtype=torch.bool)
    known[9000:9882] = False
    filled = interpolated(x * known, known, Janssen(order=1024, context=4096, iterations=2))
    assert filled.abs().max() < 1.2 * x.abs().max()
