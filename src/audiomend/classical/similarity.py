"""Long gaps filled with the stretch of the same recording whose surroundings are most like the gap's.

After Perraudin, Holighaus, Majdak, Balazs, "Inpainting of long audio segments with similarity graphs",
IEEE/ACM TASLP 26(6), 2018, for a length that must not change: one shift for both ends of a gap, found by the
distance of log spectra around the gap and refined to a sample by the correlation of waveforms at its ends.
As known samples must stay, the cross-fades lie inside the gap, where the sound on either side goes on by an
autoregressive model (`classical/continuation.py`) while the copy comes in.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from audiomend.classical.continuation import continuations
from audiomend.classical.runs import runs

FRAME_S, HOP_S = 0.023, 0.0058  # 1024 and 256 samples at 44.1 kHz
FRAMES = 256  # of which the spectra are held at a time
RANGE_DB = 50.0  # of the spectra that are compared, as in the paper
BANDS = 40  # of equal width on a scale that is linear to 1 kHz and logarithmic beyond
BREAK_HZ = 1000.0
NEAR_S = 0.1  # frames this far from the gap count by 1/e
LEAST_SHARE = 0.5  # of the surroundings by weight that must be known at both places


@dataclass(frozen=True)
class Similarity:
    """How gaps are filled.

    Attributes:
        context_s: seconds on either side of a gap that are compared.
        reach_s: how far away the copy may begin, in seconds.
        fade_s: longest cross-fade, at most a third of the gap.
        order: of the models that continue either side.
        candidates: shifts of least distance that are refined.
        gain_db: by how much a copy's level may be changed to that around the gap.
    """

    context_s: float = 0.4
    reach_s: float = 10.0
    fade_s: float = 0.03
    order: int = 512
    candidates: int = 5
    gain_db: float = 6.0


def interpolated(x: Tensor, known: Tensor, rate: float, settings: Similarity = Similarity()) -> Tensor:
    """x with its gaps filled, each from the nearest match within reach. Computed in float64.

    A gap for which there is no known stretch of its length, with half of the surroundings known too, is left
    to the two continuations, which meet in it.

    Args:
        x: (channels, time) or (time,) real, finite at the known samples. Channels share the place.
        known: (time,) bool.
        rate: in Hz.

    Returns:
        x's shape and dtype, equal to x where known to the bit.
    """
    signal = torch.where(known, x, 0).double().reshape(-1, x.shape[-1])
    filled = x.clone().reshape(-1, x.shape[-1])
    for start, end in zip(*(ends.tolist() for ends in runs(~known)), strict=True):
        reach = round((settings.reach_s + settings.context_s) * rate)
        first, last = max(start - reach, 0), min(end + reach, x.shape[-1])
        near, whole = signal[:, first:last], known[first:last]
        filled[:, start:end] = _gap(near, whole, start - first, end - first, rate, settings)
    return filled.view(x.shape)


def _gap(x: Tensor, known: Tensor, start: int, end: int, rate: float, settings: Similarity) -> Tensor:
    """(channels, end - start) what fills one gap of (channels, time)."""
    length = end - start
    shift = _best_shift(x, known, start, end, rate, settings)
    fade = length if shift is None else min(round(settings.fade_s * rate), length // 3)
    forth, back = continuations(x, known, start, end, fade, settings.order)
    rise = _rise(fade, x)
    if shift is None:
        return forth * (1 - rise) + back * rise
    fill = x[:, start + shift : end + shift] * _gain(x, known, start, end, shift, rate, settings)
    fill[:, :fade] = fill[:, :fade] * rise + forth * (1 - rise)
    fill[:, length - fade :] = fill[:, length - fade :] * (1 - rise) + back * rise
    return fill


def unlikeness(
    x: Tensor, known: Tensor, start: int, end: int, rate: float, settings: Similarity = Similarity()
) -> float:
    """How little a recording repeats what is around a gap: the RMS difference of levels in bands, in dB.

    That between the gap's surroundings and those of the place that is most like them, weighed as in
    `interpolated`; inf where there is no place to compare.

    Args:
        x: (channels, time) real, finite at the known samples.
        known: (time,) bool.
        start, end: of the gap.
        rate: in Hz.
    """
    signal = torch.where(known, x, 0).double()
    return next(
        (distance for _, distance in _near_shifts(signal, known, start, end, rate, settings)), math.inf
    )


def _rise(length: int, like: Tensor) -> Tensor:
    """(length,) from 0 to 1 as sin², neither included."""
    places = torch.arange(1, length + 1, dtype=like.dtype, device=like.device) / (length + 1)
    return (places * (math.pi / 2)).sin().square()


def _best_shift(
    x: Tensor, known: Tensor, start: int, end: int, rate: float, settings: Similarity
) -> int | None:
    """How far from the gap lies what fills it best."""
    found = [shift for shift, _ in _near_shifts(x, known, start, end, rate, settings)]
    if not found:
        return None
    edge = round(settings.fade_s * rate)
    agreeing = [refined(x, known, start, end, shift, edge, round(HOP_S * rate)) for shift in found]
    return max(agreeing)[1]


def _near_shifts(
    x: Tensor, known: Tensor, start: int, end: int, rate: float, settings: Similarity
) -> Iterator[tuple[int, float]]:
    """Shifts in whole hops, with the RMS difference of levels in dB around the gap; the least first."""
    hop, frame = round(HOP_S * rate), round(FRAME_S * rate)
    offset = start % hop  # so that frames begin where the gap does
    if x.shape[-1] - offset < frame:
        return
    features = _log_spectra(x[:, offset:], frame, hop, rate)
    whole = known[offset:].double().unfold(-1, frame, hop).amin(-1)
    count = len(whole)
    place = torch.arange(count, device=x.device, dtype=torch.float64) * hop + frame / 2 + offset
    away = torch.maximum(start - place, place - end) / rate
    weight = whole * torch.exp(-away / NEAR_S) * ((away >= 0) & (away <= settings.context_s))
    if not weight.any():
        return
    moved, common, distance = _distances(features, whole, weight)
    shifts = moved * hop
    lost = pad((~known).cumsum(0), (1, 0))
    begin, stop = start + shifts - hop, end + shifts + hop
    fits = (begin >= 0) & (stop <= len(known))
    fits &= lost[stop.clamp(0, len(known))] == lost[begin.clamp(0, len(known))]
    fits &= common >= LEAST_SHARE * weight.sum()
    score = torch.where(fits, distance, math.inf)
    for _ in range(settings.candidates):
        best = int(score.argmin())
        if math.isinf(float(score[best])):
            return
        yield int(shifts[best]), math.sqrt(max(float(score[best]), 0.0) / len(features))
        score[max(best - 2, 0) : best + 3] = math.inf


def _distances(features: Tensor, whole: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How unlike the surroundings of a gap is what lies where they are moved to, by FFTs.

    Args:
        features: (bands, frames).
        whole: (frames,) 1 where a frame is known, else 0.
        weight: (frames,) of the surroundings, 0 elsewhere; some are above 0.

    Returns:
        (shifts,) each: by how many frames they are moved, the weight of those that are known in both places,
        and the mean by weight of the squared differences, summed over the bands; it is of no use without
        weight.
    """
    inside, count = weight.nonzero()[:, 0], len(whole)
    low, high = int(inside[0]), int(inside[-1]) + 1
    beyond = high - low  # surroundings may reach beyond the ends

    def matched(rows: Tensor, kernel: Tensor) -> Tensor:
        """Sum over frames and bands of the rows, moved by each shift, times the kernel."""
        size = rows.shape[-1] + 2 * beyond
        spectrum = torch.fft.rfft(pad(rows, (beyond, beyond)))
        product = (spectrum * torch.fft.rfft(kernel[:, low:high], size).conj()).sum(0)
        return torch.fft.irfft(product, size)[: count + beyond + 1]

    valid = features * whole
    common = matched(whole[None], weight[None])
    distance = (
        matched(whole[None], (weight * features.square().sum(0))[None])
        - 2 * matched(valid, weight * features)
        + matched((valid * features).sum(0)[None], weight[None])
    )
    return torch.arange(len(common), device=whole.device) - high, common, distance / common


def _log_spectra(x: Tensor, frame: int, hop: int, rate: float) -> Tensor:
    """(channels, time) to (channels * BANDS, frames): levels in dB, down to RANGE_DB below the loudest."""
    window = torch.hann_window(frame, dtype=x.dtype, device=x.device)
    frequency = torch.arange(frame // 2 + 1, dtype=x.dtype, device=x.device) * (rate / frame)
    scale = torch.where(
        frequency < BREAK_HZ, frequency / BREAK_HZ, 1 + (frequency / BREAK_HZ).clamp(min=1).log()
    )
    band = (scale / scale[-1] * BANDS).long().clamp(max=BANDS - 1)
    parts: list[Tensor] = []
    for frames in x.unfold(-1, frame, hop).split(FRAMES, dim=-2):
        power = torch.fft.rfft(frames * window).abs().square()
        parts.append(power.new_zeros(*power.shape[:-1], BANDS).index_add_(-1, band, power))
    level = 10 * torch.cat(parts, dim=-2).clamp(min=1e-30).log10()
    level = torch.maximum(level, level.max() - RANGE_DB)
    return level.transpose(-1, -2).flatten(0, 1)


def refined(
    x: Tensor, known: Tensor, start: int, end: int, shift: int, edge: int, hop: int
) -> tuple[float, int]:
    """The shift within a hop of this one at which the waveforms before and after the gap agree most.

    Returns:
        their correlation, -1 to 1, and the shift.
    """
    product = norm = power = x.new_zeros(2 * hop + 1)
    for low, high in ((max(start - edge, 0), start), (end, min(end + edge, len(known)))):
        if low == high:  # the gap is at an end
            continue
        target = x[:, low:high] * known[low:high]
        begin, stop = low + shift - hop, high + shift + hop
        near = pad(x[:, max(begin, 0) : stop], (max(-begin, 0), max(stop - len(known), 0)))
        product = product + conv1d(near[None], target[None])[0, 0]
        norm = norm + conv1d(near[None].square(), known[low:high].double().expand_as(target)[None])[0, 0]
        power = power + target.square().sum()
    correlation = product / (norm * power).sqrt().clamp(min=1e-30)
    lost = pad((~known).cumsum(0), (1, 0))
    shifts = shift + torch.arange(-hop, hop + 1, device=x.device)
    begin, stop = (start + shifts).clamp(min=0), (end + shifts).clamp(max=len(known))
    correlation = torch.where(lost[stop] == lost[begin], correlation, -2.0)
    best = int(correlation.argmax())
    return float(correlation[best]), int(shifts[best])


def _gain(
    x: Tensor, known: Tensor, start: int, end: int, shift: int, rate: float, settings: Similarity
) -> Tensor:
    """(end - start,) from the level before the gap to that after it, in dB along a line, within limits."""
    width = round(NEAR_S * rate)
    ratios: list[Tensor] = []
    for low, high in ((max(start - width, 0), start), (end, min(end + width, len(known)))):
        there = torch.arange(low, high, device=x.device) + shift
        both = known[low:high] & (there >= 0) & (there < len(known))
        both &= known[there.clamp(0, len(known) - 1)]
        here = x[:, low:high][:, both].square().sum()
        copied = x[:, there[both]].square().sum()
        ratios.append(10 * torch.log10(here / copied) if here > 0 and copied > 0 else x.new_zeros(()))
    first, last = (ratio.clamp(-settings.gain_db, settings.gain_db) for ratio in ratios)
    line = torch.linspace(0, 1, end - start, dtype=x.dtype, device=x.device)
    return 10 ** ((first + (last - first) * line) / 20)
