"""A band above a cut-off, copied from below it: spectral band replication without side information.

In each short-time frame the upper half of the known band is copied upwards as often as needed (Dietz,
Liljeryd, Kjörling, Kunz, "Spectral band replication, a novel approach in audio coding", AES 112, 2002). There
the encoder sends the envelope of the new band. Here it is extrapolated, as in blind bandwidth extension
(Larsen and Aarts, "Audio Bandwidth Extension", 2004): a straight line of level in dB over log2 frequency,
fitted to the upper octave of the known band by weighted least squares, goes on beyond the cut-off. The copy
is whitened before it takes that level, as in the inverse filtering of spectral band replication: partials
and formants of the source would stand in the wrong places, and treble is more like noise than what lies
below.

That band is one estimate. What else may have been there is drawn from what the level above a cut-off was in
training recordings, given the level below it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from audiomend.noise import normal

WINDOW_S = 2048 / 44_100
OVERLAPS = 4  # hops of a window
FITTED = (0.5, 0.96)  # of the cut-off: a steep filter of the file's own falls beyond
COPIED = (0.46, 0.92)  # the upper half of what a gentler one leaves too, to the bins
CROSSOVER = (0.95, 1.0)  # of the cut-off: the new band rises where a steep low-pass falls
FLATTEST_DB = -24.0  # per octave, of the continued envelope
FLOOR = 1e-14  # of a frame's greatest power, added before the logarithm

# Of the level above the cut-off, given that of the line there: docs/choices.md, "Draws".
DRAWN_EDGE_DB, EDGE_DEVIATION_DB = 3.0, 6.0
DRAWN_SLOPE_DB, SLOPE_DEVIATION_DB = -11.0, 5.0  # per octave
CHANGE_DEVIATION_DB = 6.0
CHANGE_HOPS = 8  # 93 ms, in which it becomes independent
NOISE, LINE, CHANGE = 0, 1, 2  # draws of `audiomend.noise.normal`
DRAWN_SAMPLE = 1 << 33  # a posterior sample of its own: no walk draws its noise there


def reach(rate: float) -> int:
    """Samples on either side of a place that its new band depends on: a window and a hop."""
    window = _window(rate)
    return window + window // OVERLAPS


def replicated(x: Tensor, rate: float, cutoff_hz: float, first: int = 0) -> Tensor:
    """The new band alone, to be added to the signal.

    The power of each bin is smoothed over three frames. A line fitted to its dB over log2 frequency has the
    slope a and the level p at the cut-off c. Bin f takes the value of its source bin, divided by the root of
    that bin's smoothed power, times 10^((p + b log2(f / c)) / 20), b being a but at most -24 dB per octave:
    a sound that ends by nature goes on to end. For noise that is 1.7 dB below the line of the mean power.
    Within 0.95 to 1 times the cut-off the band rises as a sine.

    Args:
        x: (..., time) real, finite; zero outside.
        rate: in Hz.
        cutoff_hz: above 0. Where half the known band is narrower than four bins (below 187 Hz) nothing is
            invented.
        first: absolute position of x's first sample. Frames lie at absolute positions, so a stretch with
            `reach` samples more on either side gives what the whole signal gives.

    Returns:
        (..., time) of x's dtype.
    """

    def copied(plan: _Plan, spectrum: Tensor, power: Tensor, start: int) -> Tensor:
        del start
        slope, edge = plan.line(power)
        fall = slope.clamp(max=FLATTEST_DB) * plan.octaves
        return plan.at(edge + fall) * spectrum[..., plan.source] * power[..., plan.source].rsqrt()

    return _added_band(x, rate, cutoff_hz, first, copied)


def drawn(x: Tensor, rate: float, cutoff_hz: float, seed: int, first: int = 0) -> Tensor:
    """One of the bands that may have been above the cut-off: noise at a level that is drawn.

    In dB the power density at f is p + 3 + 6 z_1 + (5 z_2 - 11) log2(f / c) + 6 z_3, with p the level of
    `replicated`'s line at the cut-off c in each frame, z_1 and z_2 standard normal numbers of the seed and
    z_3 one that changes with time, independent after 93 ms.

    x, rate, cutoff_hz, first: as for `replicated`.
    seed: 0 <= seed < 2^64; all rows of x have the same noise.
    """
    z_1, z_2 = normal(seed, DRAWN_SAMPLE, 0, LINE, 0, 2).tolist()

    def noise(plan: _Plan, spectrum: Tensor, power: Tensor, start: int) -> Tensor:
        window, count = 2 * (spectrum.shape[-1] - 1), spectrum.shape[-2]
        hop = window // OVERLAPS
        drawn = normal(seed, DRAWN_SAMPLE, 0, NOISE, start, start + (count - 1) * hop + window)
        white = _spectra(torch.from_numpy(drawn).double(), window)[:, plan.lowest :]
        _, edge = plan.line(power)
        level = edge + DRAWN_EDGE_DB + EDGE_DEVIATION_DB * z_1
        level = level + CHANGE_DEVIATION_DB * changing(seed, start // hop, count)[:, None]
        fall = (DRAWN_SLOPE_DB + SLOPE_DEVIATION_DB * z_2) * plan.octaves
        return plan.at(level + fall) * white / _taper(window).square().sum().sqrt()

    return _added_band(x, rate, cutoff_hz, first, noise)


def changing(seed: int, first: int, count: int) -> Tensor:
    """(count,) a standard normal number for each frame from `first` on, that changes with time."""
    low, high = first // CHANGE_HOPS, (first + count - 1) // CHANGE_HOPS + 2
    knots = torch.from_numpy(normal(seed, DRAWN_SAMPLE, 0, CHANGE, low, high)).double()
    place = torch.arange(first, first + count) - low * CHANGE_HOPS
    knot, turn = place // CHANGE_HOPS, math.pi / 2 * (place % CHANGE_HOPS) / CHANGE_HOPS
    return turn.cos() * knots[knot] + turn.sin() * knots[knot + 1]


_Band = Callable[["_Plan", Tensor, Tensor, int], Tensor]
"""(plan, spectrum and smoothed power (..., frames, bins), position of the first frame) -> the new band."""


def _added_band(x: Tensor, rate: float, cutoff_hz: float, first: int, band_of: _Band) -> Tensor:
    window = _window(rate)
    plan = _plan(window, cutoff_hz * window / rate)
    if plan is None or x.shape[-1] == 0:
        return torch.zeros_like(x)
    hop = window // OVERLAPS
    before = window - hop + first % hop  # frames begin at multiples of a hop
    after = window - 1 - (first + x.shape[-1] - 1) % hop
    spectrum = _spectra(F.pad(x.double(), (before, after)), window)
    band = torch.zeros_like(spectrum)
    band[..., plan.lowest :] = band_of(plan, spectrum, _smooth(spectrum.abs().square()), first - before)
    taper = _taper(window)
    pieces = torch.fft.irfft(band, window) * taper / (taper.square().sum() / hop)
    return _overlap_add(pieces, hop)[..., before : before + x.shape[-1]].to(x.dtype)


def _taper(window: int) -> Tensor:
    return torch.hann_window(window, dtype=torch.float64)


def _spectra(x: Tensor, window: int) -> Tensor:
    """(..., time) to (..., frames, bins)."""
    return torch.fft.rfft(x.unfold(-1, window, window // OVERLAPS) * _taper(window))


@dataclass(frozen=True, eq=False)
class _Plan:
    """What depends on the window and the cut-off only.

    Attributes:
        fitted: bins (first, stop) of the fit.
        weights: (stop - first, 2) whose product with levels is the weighted least-squares line: its slope,
            and its level at the middle of the fitted band.
        middle: log2 of that middle over the cut-off.
        lowest: first bin of the new band.
        source: (new,) bins that are copied to those from `lowest` on.
        octaves: (new,) log2 of the bin over the cut-off.
        rise: (new,) gain of the cross-over.
    """

    fitted: tuple[int, int]
    weights: Tensor
    middle: float
    lowest: int
    source: Tensor
    octaves: Tensor
    rise: Tensor

    def line(self, power: Tensor) -> tuple[Tensor, Tensor]:
        """(..., bins) power to (..., 1): its line's slope in dB per octave, and dB at the cut-off."""
        fitted = 10 * power[..., slice(*self.fitted)].log10()
        slope, level = (fitted @ self.weights).unsqueeze(-2).unbind(-1)
        return slope, level - slope * self.middle

    def at(self, level: Tensor) -> Tensor:
        """(..., new) levels in dB to magnitudes, with the gain of the cross-over."""
        return self.rise * 10 ** (level / 20)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _plan(window: int, cutoff: float) -> _Plan | None:
    """cutoff: in bins, not rounded."""
    start, stop = (math.ceil(share * cutoff) for share in FITTED)
    lowest = math.ceil(CROSSOVER[0] * cutoff)
    # Moved by a multiple of OVERLAPS bins a partial keeps its phase from frame to frame; moved as a whole, a
    # click stays a click.
    width = OVERLAPS * int((COPIED[1] - COPIED[0]) * cutoff / OVERLAPS)
    top = math.ceil(COPIED[1] * cutoff)
    if width == 0 or lowest > window // 2:
        return None
    fitted = torch.arange(start, stop, dtype=torch.float64)
    weight = 1 / fitted / (1 / fitted).sum()  # as much for every octave
    octaves = (fitted / cutoff).log2()
    middle = (weight * octaves).sum()
    centred = octaves - middle
    bins = torch.arange(lowest, window // 2 + 1)
    source = top - width + (bins - top) % width
    place = ((bins / cutoff - CROSSOVER[0]) / (CROSSOVER[1] - CROSSOVER[0])).clamp(0, 1)
    return _Plan(
        fitted=(start, stop),
        weights=torch.stack([weight * centred / (weight * centred**2).sum(), weight], dim=-1),
        middle=middle.item(),
        lowest=lowest,
        source=source,
        octaves=(bins.double() / cutoff).log2(),
        rise=(math.pi / 2 * place.double()).sin(),
    )


def _smooth(power: Tensor) -> Tensor:
    """(..., frames, bins): the mean of each frame and its two neighbours, above zero."""
    around = F.pad(power, (0, 0, 1, 1))
    smooth = (around[..., :-2, :] + power + around[..., 2:, :]) / 3
    return smooth + FLOOR * smooth.amax(-1, keepdim=True) + torch.finfo(smooth.dtype).tiny


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """(..., frames, window) to (..., (frames + OVERLAPS - 1) * hop)."""
    pieces = frames.unflatten(-1, (OVERLAPS, hop))
    shifted = [F.pad(pieces[..., k, :], (0, 0, k, OVERLAPS - 1 - k)) for k in range(OVERLAPS)]
    return torch.stack(shifted).sum(0).flatten(-2)


def _window(rate: float) -> int:
    return OVERLAPS * max(1, round(WINDOW_S * rate / OVERLAPS))
