"""Windows: where they lie, how they add up, and what is evaluated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate, implied_noise
from audiomend.denoisers.windowed import Windows, windowed
from audiomend.errors import UsageError
from audiomend.processes.base import along
from audiomend.processes.edm import EDM
from audiomend.processes.ouve import OUVE

LAYOUTS = [Windows(12, 8), Windows(16, 8), Windows(8, 8), Windows(9, 8), Windows(15, 11)]


@dataclass
class Toy:
    """Two channels; `answer(starts, rows, x, t)` is the estimate of the chosen rows."""

    answer: Callable[[Sequence[int], Tensor, Tensor, float], Estimate]
    idle_where: Callable[[int, int], Tensor | None] = lambda start, stop: None
    channels: int = 2
    calls: list[tuple[list[int], int, Tensor, Tensor, object]] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)

    def idle(self, start: int, stop: int) -> Tensor | None:
        return self.idle_where(start, stop)

    def observation(self, start: int, stop: int) -> Tensor:
        return ramp(start, stop)

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
            self.calls.append((list(starts), length, rows, x, carry))
            self.times.append((t, s))
            return self.answer(starts, rows, x, t)

        return denoise


def ramp(start: int, stop: int) -> Tensor:
    """(2, stop - start): the position, and minus the position."""
    return torch.stack((torch.arange(start, stop), -torch.arange(start, stop))).double()


def pointwise(starts: Sequence[int], rows: Tensor, x: Tensor, t: float) -> Estimate:
    return Estimate(torch.tanh(t * x))


def state(windows: Windows, count: int, seed: int = 0) -> Tensor:
    start, stop = windows.span(count)
    return torch.randn(2, stop - start, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inside(windows: Windows, x: Tensor) -> Tensor:
    """Without the fades before the first and after the last window."""
    return x[:, windows.overlap : x.shape[-1] - windows.overlap]


def test_a_file_is_covered_by_just_enough_windows():
    windows = Windows(12, 8)
    assert windows.overlap == 4
    for length, count in ((1, 1), (4, 1), (5, 2), (12, 2), (13, 3), (100, 13)):
        assert windows.count(length) == count
        start, stop = windows.span(count)
        assert start == -4
        assert stop == 8 * count
        assert stop - 4 >= length > stop - 4 - 8  # the last fade-out lies outside the file
    assert windows.count(0) == 0


@pytest.mark.parametrize("windows", LAYOUTS)
def test_fades_are_raised_cosines_that_add_up_to_one(windows):
    fade, overlap = windows.fade(), windows.overlap
    assert fade.shape == (windows.length,)
    torch.testing.assert_close(fade[:overlap] + fade[windows.hop :], torch.ones(overlap))
    assert (fade[overlap : windows.hop] == 1).all()
    phase = (torch.arange(overlap) + 0.5) / max(overlap, 1)
    torch.testing.assert_close(fade[:overlap], (1 - torch.cos(torch.pi * phase)) / 2)


@pytest.mark.parametrize(("length", "hop"), [(8, 9), (17, 8), (8, 0), (0, 0)])
def test_windows_that_leave_holes_or_overlap_twice_are_refused(length, hop):
    with pytest.raises(UsageError, match=f"{length} samples every {hop}"):
        Windows(length, hop)


@pytest.mark.parametrize("windows", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2, 3, 10])
def test_a_denoiser_without_context_gives_the_same_with_and_without_windows(windows, batch):
    x = state(windows, count=5)
    estimate = windowed(Toy(pointwise), windows, EDM(), batch)(x, 0.7, 0.1)
    torch.testing.assert_close(inside(windows, estimate.clean), inside(windows, torch.tanh(0.7 * x)))
    assert estimate.clean.shape == x.shape
    assert estimate.noise is None


def test_before_the_first_and_after_the_last_window_the_estimate_fades_to_silence():
    windows = Windows(12, 8)
    x = torch.ones(2, 28, dtype=torch.float64)
    clean = windowed(Toy(lambda starts, rows, x, t: Estimate(x)), windows, EDM(), 2)(x, 0.7, 0.1).clean
    fade = windows.fade().double()
    torch.testing.assert_close(clean[0, :12], torch.cat((fade[:4], torch.ones(8).double())))
    torch.testing.assert_close(clean[1, -4:], fade[-4:])


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_neighbours_are_cross_faded(batch):
    """Window k answers k, so the overlap goes from k - 1 to k by the raised cosine."""
    windows = Windows(12, 8)

    def number(starts: Sequence[int], rows: Tensor, x: Tensor, t: float) -> Estimate:
        k = (torch.tensor(starts).double() + 4) / 8
        return Estimate(k[:, None, None].expand(-1, 2, 12)[rows])

    clean = windowed(Toy(number), windows, EDM(), batch)(state(windows, 4), 0.7, 0.1).clean
    rise = windows.fade()[:4].double()
    for k in range(1, 4):  # window k starts at 8 k - 4, which is place 8 k of the state
        torch.testing.assert_close(clean[0, 8 * k : 8 * k + 4], (k - 1) * (1 - rise) + k * rise)
        assert (clean[:, 8 * k + 4 : 8 * k + 8] == k).all()


@pytest.mark.parametrize("windows", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2, 10])
def test_windows_are_told_their_place_and_get_their_stretch_of_the_state(windows, batch):
    toy, x = Toy(pointwise), state(windows, 5)
    windowed(toy, windows, EDM(), batch)(x, 0.7, 0.1)
    starts = [start for call in toy.calls for start in call[0]]
    assert starts == [k * windows.hop - windows.overlap for k in range(5)]
    assert set(toy.times) == {(0.7, 0.1)}
    assert [len(call[0]) for call in toy.calls] == [min(batch, 5 - done) for done in range(0, 5, batch)]
    for places, length, rows, rows_of_x, _ in toy.calls:
        assert length == windows.length
        assert rows.all()
        expected = [x[:, place + windows.overlap :][:, :length] for place in places]
        torch.testing.assert_close(rows_of_x, torch.cat(expected))


def test_idle_channels_are_not_evaluated_and_keep_the_observation():
    """Channel 1 is known everywhere, channel 0 in windows that start after position 10."""
    windows = Windows(12, 8)

    def idle(start: int, stop: int) -> Tensor | None:
        assert stop - start == 12
        return torch.tensor([start > 10, True])

    toy, x = Toy(pointwise, idle), state(windows, 5)
    clean = windowed(toy, windows, EDM(), 2)(x, 0.7, 0.1).clean
    assert [call[2].tolist() for call in toy.calls] == [[[True, False], [True, False]]]
    assert toy.calls[0][3].shape == (2, 12)
    observed = ramp(-4, 40)
    torch.testing.assert_close(clean[1, 4:-4], observed[1, 4:-4])
    torch.testing.assert_close(clean[0, 4:16], torch.tanh(0.7 * x[0, 4:16]))
    torch.testing.assert_close(clean[0, 20:-4], observed[0, 20:-4])


CLOSE = {"rtol": 0, "atol": 2e-5}  # fades are float32
PROCESSES = [EDM(), lambda start, stop: OUVE(2 * ramp(start, stop) + 1)]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_noise_that_a_guidance_keeps_is_cross_faded_beside_the_implied_noise_of_idle_rows(batch, process):
    windows, t = Windows(12, 8), 0.5
    x = state(windows, 5)

    def idle(start: int, stop: int) -> Tensor | None:
        return torch.tensor([False, True]) if start > 10 else None

    def own_noise(starts: Sequence[int], rows: Tensor, x: Tensor, t: float) -> Estimate:
        return Estimate(torch.tanh(x), noise=3 * x)

    estimate = windowed(Toy(own_noise, idle), windows, process, batch)(x, t, 0.1)
    inner = slice(4, 40)
    torch.testing.assert_close(estimate.noise[0, inner], 3 * x[0, inner], **CLOSE)
    torch.testing.assert_close(estimate.noise[1, 4:16], 3 * x[1, 4:16], **CLOSE)
    implied = implied_noise(along(process)(-4, 40), x, t, ramp(-4, 40))
    torch.testing.assert_close(estimate.noise[1, 20:40], implied[1, 20:40], **CLOSE)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("own", "implied"), [(slice(4, 16), slice(20, 40)), (slice(20, 40), slice(4, 16))])
def test_noise_that_a_guidance_keeps_in_some_windows_only_stands_beside_the_implied_noise(
    batch, own, implied, process
):
    windows, t = Windows(12, 8), 0.5
    x = state(windows, 5)

    def sometimes(starts: Sequence[int], rows: Tensor, x: Tensor, t: float) -> Estimate:
        return Estimate(torch.tanh(x), noise=3 * x if (starts[0] < 10) == (own.start < 10) else None)

    estimate = windowed(Toy(sometimes), windows, process, batch)(x, t, 0.1)
    torch.testing.assert_close(estimate.noise[:, own], 3 * x[:, own], **CLOSE)
    theirs = implied_noise(along(process)(-4, 40), x, t, torch.tanh(x))
    torch.testing.assert_close(estimate.noise[:, implied], theirs[:, implied], **CLOSE)
    shared = slice(16, 20)
    weight = windows.fade()[-4:] if own.start < 10 else windows.fade()[:4]
    faded = weight * 3 * x[:, shared] + (1 - weight) * theirs[:, shared]
    torch.testing.assert_close(estimate.noise[:, shared], faded, **CLOSE)


def test_each_batch_of_windows_sees_its_own_carry_again():
    windows = Windows(12, 8)

    def telling(starts: Sequence[int], rows: Tensor, x: Tensor, t: float) -> Estimate:
        return Estimate(x, carry=f"from {starts[0]}")

    toy, x = Toy(telling), state(windows, 5)
    denoise = windowed(toy, windows, EDM(), 2)
    first = denoise(x, 0.7, 0.1)
    denoise(x, 0.1, 0.0, first.carry)
    assert [call[4] for call in toy.calls] == [None, None, None, "from -4", "from 12", "from 28"]
