"""Declipping by sparsity in overlapping frames: A-SPADE and S-SPADE.

Each windowed frame is moved, by turns, to the nearest signal whose spectrum has k pairs of bins and to the
nearest one that agrees with the clipped frame; k grows until the two meet (Kitić, Bertin, Gribonval,
"Sparsity and cosparsity for audio declipping: a flexible non-convex approach", LVA/ICA 2015). A-SPADE
compares them as spectra, S-SPADE as signals (Záviška, Rajmic, Mokrý, Průša, "A proper version of
synthesis-based sparse audio declipper", ICASSP 2019). The spectrum is a unitary transform of twice the
frame's length, so that synthesis, the first half of the inverse, is analysis' adjoint and a left inverse.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from audiomend.classical.level import level_gain
from audiomend.classical.parallel import side_by_side, slices
from audiomend.operators.hard_clip import HardClip
from audiomend.transforms.stft import circular_frames, circular_overlap_add

OVERLAPS = 4  # hops of a window
HANN_POWER = 1.5  # sum of the squared windows that cover a sample
BATCH = 16  # frames at a time, so that what an iteration touches stays in the cache


@dataclass(frozen=True)
class Spade:
    """How SPADE runs; as it stands, as published for 44.1 kHz.

    Attributes:
        window: frame length in samples, a multiple of 4.
        redundancy: bins for each sample of a frame. With 1, frames are not padded.
        step, every: k begins at `step` and grows by it after each `every` iterations.
        growth: k grows by this share of it, rounded down, if that is more.
        tolerance: a frame is done when the 2-norm of the difference is at most this.
        rms: level the observation is brought to before, since tolerance is absolute; None leaves it.
        dtype: number format of all arithmetic.
        untouched: run frames without a clipped sample too. The outcome is the frame itself.
    """

    window: int = 8192
    redundancy: int = 2
    step: int = 1
    every: int = 2
    growth: float = 0.0
    tolerance: float = 0.1
    rms: float | None = None
    dtype: torch.dtype = torch.float64
    untouched: bool = True

    @property
    def most_iterations(self) -> int:
        return math.ceil((self.redundancy * self.window // 2 + 1) * self.every / self.step)


PUBLISHED = Spade()
DEFAULT = Spade(step=2, tolerance=0.2, rms=0.15, dtype=torch.float32, untouched=False)
HEAVY = replace(DEFAULT, step=1, tolerance=0.5)  # most samples clipped: 0.7 dB at 1 dB


@dataclass(frozen=True, eq=False)
class Form:
    """Where the two points are compared: z = lift(x), and x = drop(z) undoes it.

    sparse keeps k pairs of bins of rows of z; norm is that of z.
    """

    lift: Callable[[Tensor], Tensor]
    drop: Callable[[Tensor], Tensor]
    sparse: Callable[[Tensor, int], Tensor]
    norm: Callable[[Tensor], Tensor]


def a_spade(observation: Tensor, clip: HardClip, settings: Spade = DEFAULT) -> tuple[Tensor, Tensor]:
    """A-SPADE (Kitić et al. 2015, algorithm 1, with the best iterate kept).

    Args:
        observation: (..., time) real, clipped.
        clip: its levels.

    Returns:
        The restored signal, (..., time) of the observation's dtype, equal to it between the levels; and
        (..., frames) how many iterations each frame took.
    """
    return _restored(observation, clip, settings, a_form(settings.redundancy))


def s_spade(observation: Tensor, clip: HardClip, settings: Spade = DEFAULT) -> tuple[Tensor, Tensor]:
    """S-SPADE (Záviška et al. 2019, algorithm 3); arguments and outcome as those of `a_spade`."""
    return _restored(observation, clip, settings, s_form(settings.redundancy))


def a_form(redundancy: int) -> Form:
    """Points are compared as spectra."""

    def lift(x: Tensor) -> Tensor:
        return analysis(x, redundancy)

    def drop(z: Tensor) -> Tensor:
        return synthesis(z, redundancy)

    return Form(lift, drop, hard_threshold, spectral_norm)


def s_form(redundancy: int) -> Form:
    """Points are compared as signals."""

    def sparse(x: Tensor, k: int) -> Tensor:
        return synthesis(hard_threshold(analysis(x, redundancy), k), redundancy)

    return Form(_same, _same, sparse, _norm)


def analysis(frames: Tensor, redundancy: int = 2) -> Tensor:
    """(..., window) real -> (..., redundancy * window / 2 + 1) complex: half of the unitary spectrum."""
    return torch.fft.rfft(frames, n=redundancy * frames.shape[-1], norm="ortho")


def synthesis(spectrum: Tensor, redundancy: int = 2) -> Tensor:
    """(..., bins) complex -> (..., window) real: the adjoint of `analysis`, and a left inverse."""
    length = 2 * (spectrum.shape[-1] - 1)
    return torch.fft.irfft(spectrum, n=length, norm="ortho")[..., : length // redundancy]


def hard_threshold(spectrum: Tensor, k: int) -> Tensor:
    """Keep the k largest bins, each with its conjugate. Bin 0 counts by half of its magnitude, as published.

    Of equal ones the lower bins are kept. spectrum: (rows, bins) complex.
    """
    bins = spectrum.shape[-1]
    if k >= bins:
        return spectrum
    power = torch.add(*torch.view_as_real(spectrum).square().unbind(-1))
    power[:, 0] /= 4
    least = _kth_largest(power, k)
    keep = torch.ge(power, least, out=torch.empty_like(power))  # numbers 0 and 1, which are faster than bools
    if int(keep.sum()) != k * len(keep):
        above = power > least
        equal = power == least
        keep = above | (equal & (equal.cumsum(-1) <= k - above.sum(-1, keepdim=True)))
    return spectrum * keep


def spectral_norm(spectrum: Tensor) -> Tensor:
    """(..., bins) half spectra to the 2-norms of the whole ones."""
    return (
        2 * _norm(spectrum).square() - spectrum[..., 0].abs().square() - spectrum[..., -1].abs().square()
    ).sqrt()


def _kth_largest(x: Tensor, k: int) -> Tensor:
    """(rows, n) to (rows, 1)."""
    place = x.shape[-1] - k
    if x.device.type == "cpu":  # some fifteen times faster than torch.kthvalue
        return torch.from_numpy(np.partition(x.numpy(), place, axis=-1)[:, place : place + 1])
    return x.kthvalue(place + 1, dim=-1, keepdim=True).values


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(torch.view_as_real(x).flatten(-2) if x.is_complex() else x, dim=-1)


def _same(x: Tensor) -> Tensor:
    return x


def _restored(observation: Tensor, clip: HardClip, settings: Spade, form: Form) -> tuple[Tensor, Tensor]:
    low, high = clip.levels(observation)
    inf = observation.new_full((), math.inf)
    lower = torch.where(observation <= low, -inf, observation)
    upper = torch.where(observation >= high, inf, observation)

    gain = level_gain(observation, settings.rms)
    hop = settings.window // OVERLAPS
    window = torch.hann_window(settings.window, dtype=torch.float64).to(settings.dtype).to(observation.device)

    def framed(x: Tensor) -> Tensor:
        frames = math.ceil(x.shape[-1] / hop) + OVERLAPS - 1
        return circular_frames(pad(x, (0, frames * hop - x.shape[-1])), settings.window, hop)

    y, lowest, highest = (framed((x * gain).to(settings.dtype)) for x in (observation, lower, upper))
    shape = y.shape[:-1]
    clipped = (lowest < highest).any(-1)
    rows = (clipped | settings.untouched).flatten().nonzero()[:, 0]
    best = (y * window).flatten(0, -2)
    iterations = torch.zeros(len(best), dtype=torch.int64, device=best.device)
    bounds = [torch.where(x.isinf(), x, x * window).flatten(0, -2) for x in (lowest, highest)]

    def solve_some(batch: slice) -> None:
        some = rows[batch]
        best[some], iterations[some] = solve(best[some], bounds[0][some], bounds[1][some], settings, form)

    batches = slices(len(rows), BATCH)
    with side_by_side() as run:
        run(solve_some, batches)
    signal = circular_overlap_add(best.view(*shape, -1) * (window / HANN_POWER), hop) / gain
    signal = signal[..., : observation.shape[-1]].to(observation.dtype)
    return signal.clamp(lower, upper), iterations.view(shape)


def solve(y: Tensor, lower: Tensor, upper: Tensor, settings: Spade, form: Form) -> tuple[Tensor, Tensor]:
    """SPADE of windowed frames: the best iterate of each, and its iterations (rows,).

    Rows go on by themselves; those that are done leave the batch.

    Args:
        y: (rows, window) where they start.
        lower, upper: (rows, window) bounds of each sample, equal where it is known.
    """
    restored = torch.empty_like(y)
    iterations = torch.full((len(y),), settings.most_iterations, device=y.device)
    rows = torch.arange(len(y), device=y.device)
    best = x = y
    z = form.lift(y)
    u = torch.zeros_like(z)
    nearest = torch.full((len(y),), math.inf, dtype=y.dtype, device=y.device)
    k = settings.step
    for iteration in range(settings.most_iterations):
        sparse = form.sparse(z + u, k)
        distance = form.norm(z - sparse)
        better = distance <= nearest
        best = x if better.all() else torch.where(better[:, None], x, best)
        nearest = torch.minimum(distance, nearest)
        u -= sparse
        done = distance <= settings.tolerance
        if done.any():
            restored[rows[done]], iterations[rows[done]] = best[done], iteration
            state = (u, best, nearest, lower, upper, rows)
            u, best, nearest, lower, upper, rows = (part[~done] for part in state)
            if len(rows) == 0:
                break
        x = (-form.drop(u)).clamp_(lower, upper)
        z = form.lift(x)
        u += z
        if (iteration + 2) % settings.every == 0:  # counted from 1, after the step
            k += max(settings.step, int(settings.growth * k))
    restored[rows] = best
    return restored, iterations
