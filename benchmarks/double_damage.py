"""Sounds with one to three damages, through `restore`: is each of them mended, and nothing else spoilt?

Run: python benchmarks/double_damage.py --data DIR [--set test] [--clips 4]

DIR holds train/ and test/ with recordings. 3 s from the middle of each are damaged in the order in which it
happens: a dull microphone, clipping or a curve, falls of level, clicks of the record, gaps. Each damage is
judged where it is and no later one lies upon it: clipping, curves, falls, clicks and gaps by the SDR there,
in dB, below the cut-off if there is one; a low-pass by the log-spectral distance above it. The whole is
judged in octaves and seconds: "worse" counts those whose SDR fell by more than 0.5 dB, beyond 40 dB none, of
all that were not emptied.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from recordings import clips, options, row

import audiomend
from audiomend.evaluation.metrics import evaluate, sdr
from audiomend.operators.click import Clicks
from audiomend.operators.dropout import Dropout
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask
from audiomend.operators.soft_clip import SoftClip, level_for_sdr

CLIP_S = 3
CLIP_DB, BEND_DB, CUTOFF_SHARE = 10.0, 15.0, 0.2  # of the sample rate
CLICKS_PER_S, CLICK_DB = 5.0, 15.0
GAPS_S, GAP_S = (0.8, 1.9), 0.02  # of falls of level, too
FALL_DB, FADE_S = 30.0, 0.002  # as `degrade dropout` does
CASES = (
    ("clip", "gap"),
    ("clip", "click"),
    ("low-pass", "clip"),
    ("click", "gap"),
    ("low-pass", "gap"),
    ("low-pass", "click"),
    ("bend", "gap"),
    ("bend", "click"),
    ("low-pass", "bend"),
    ("clip", "click", "gap"),
    ("low-pass", "clip", "gap"),
    ("dropout",),
    ("dropout", "click"),
)
BELOW = 0.9  # of a cut-off
ALLOWED_DB, ENOUGH_DB = 0.5, 40.0
Array = np.ndarray


def damaged(x: Array, rate: int, name: str) -> Array:
    """x after one damage."""
    signal = torch.from_numpy(x)[None]
    if name == "low-pass":
        y = LowPass(CUTOFF_SHARE * rate, rate).forward(signal)
    elif name == "clip":
        level = threshold_for_sdr(signal, CLIP_DB)
        y = HardClip(-level, level).forward(signal)
    elif name == "bend":
        y = SoftClip(level_for_sdr(lambda: [signal], BEND_DB)).forward(signal)
    elif name == "click":
        peak = float(signal.square().mean().sqrt()) * 10 ** (CLICK_DB / 20)
        y = Clicks.random(0, len(x), rate, CLICKS_PER_S, peak, 0).forward(signal)
    else:
        places = [(round(start * rate), round((start + GAP_S) * rate)) for start in GAPS_S]
        if name == "dropout":
            lost = Dropout.at(places, FALL_DB, round(FADE_S * rate), 0, len(x))
        else:
            lost = Mask.from_gaps(places, 0, len(x))
        y = lost.forward(signal)
    return y[0].numpy()


def figure(name: str, clean: Array, other: Array, where: Array, rate: int) -> float:
    """Of one damage; the higher, the better."""
    if name == "low-pass":
        found = evaluate(clean, other, rate, cutoff_hz=CUTOFF_SHARE * rate)
        return -float(found["above_lsd_db"] or 0.0)
    return sdr(clean[where], other[where])


def below(x: Array, rate: int) -> Array:
    """What a low-pass leaves of the band that it keeps."""
    return LowPass(BELOW * CUTOFF_SHARE * rate, rate).forward(torch.from_numpy(x)[None])[0].numpy()


def worse(clean: Array, before: Array, after: Array, rate: int, cutoff_hz: float) -> tuple[int, int]:
    """How many octaves of a second are worse than they were, and of how many."""
    hz = np.fft.rfftfreq(len(clean), 1 / rate)
    edges = [0.0, *(125.0 * 2 ** np.arange(12))]
    count = total = 0
    for low, high in zip(edges, [*edges[1:], np.inf], strict=True):
        inside = (hz >= low) & (hz < min(high, cutoff_hz))
        if not inside.any():
            continue
        bands = [np.fft.irfft(np.fft.rfft(x) * inside, len(x)) for x in (clean, before, after)]
        for k in range(CLIP_S):
            c, b, a = (band[k * rate : (k + 1) * rate] for band in bands)
            if np.square(c).mean() > 1e-6 * np.square(clean).mean():
                total += 1
                count += min(sdr(c, b), ENOUGH_DB) - min(sdr(c, a), ENOUGH_DB) > ALLOWED_DB
    return count, total


@dataclass(frozen=True)
class Judged:
    """What became of one clip.

    Attributes:
        figures: of each damage, before and after.
        worse: octaves of a second that are worse than they were, and of how many.
        done: what the stages did, in words.
    """

    figures: list[tuple[float, float]]
    worse: tuple[int, int]
    done: str


def judged(clean: Array, rate: int, names: Sequence[str], quality: str) -> Judged:
    """Damage a clip in this order, and mend it."""
    states = [clean]
    for name in names:
        states.append(damaged(states[-1], rate, name))
    y = states[-1]
    mended, told = audiomend.restore(y, rate, quality=quality)
    figures: list[tuple[float, float]] = []
    for k, name in enumerate(names):
        touched = states[k + 1] != states[k]
        pairs = zip(states[k + 1 :], states[k + 2 :], strict=False)
        where = touched & ~np.any([~touched, *(after != before for before, after in pairs)], axis=0)
        heard = [clean, y, mended]
        if "low-pass" in names and name != "low-pass":
            heard = [below(x, rate) for x in heard]
        before, after = (figure(name, heard[0], x, where, rate) for x in heard[1:])
        figures.append((before, after))
    cutoff = BELOW * CUTOFF_SHARE * rate if "low-pass" in names else np.inf
    done = ", ".join(f"{one.stage.stage}: {one.method or 'nothing'}" for one in told.done)
    return Judged(figures, worse(clean, y, mended, rate, cutoff), done)


def main() -> None:
    parser = options(__doc__, "test", clips=4)
    parser.add_argument("--quality", default="fast")
    parser.add_argument("--each", action="store_true", help="a line for each clip, too")
    parser.add_argument("--cases", nargs="*", help="such as clip+gap; all without it")
    arguments = parser.parse_args()
    chosen = list(clips(arguments.data, arguments.set, arguments.clips, CLIP_S))
    print("| damages | clips | figure of each: damaged, mended (better in) | worse elsewhere | CPU s |")
    print("| --- | --- | --- | --- | --- |")
    for names in CASES:
        if arguments.cases and "+".join(names) not in arguments.cases:
            continue
        every, begun = list[Judged](), time.process_time()
        for number, (clean, rate) in enumerate(chosen):
            one = judged(clean, rate, names, arguments.quality)
            every.append(one)
            if arguments.each:
                each = [f"{name} {a:.1f} -> {b:.1f}" for name, (a, b) in zip(names, one.figures, strict=True)]
                spoilt, of = one.worse
                print(f"  {number}: {', '.join(each)}; {one.done}; worse {spoilt} of {of}", flush=True)
        seconds = (time.process_time() - begun) / len(chosen)
        told: list[str] = []
        for name, pairs in zip(names, zip(*(one.figures for one in every), strict=True), strict=True):
            before, after = np.median(pairs, axis=0)
            told.append(f"{name} {before:.1f}, {after:.1f} ({sum(b > a for a, b in pairs)})")
        spoilt, of = np.sum([one.worse for one in every], axis=0)
        cells = " + ".join(names), len(chosen), "; ".join(told), f"{spoilt} of {of}", f"{seconds:.0f}"
        print(row(cells), flush=True)


if __name__ == "__main__":
    main()
