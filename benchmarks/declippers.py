"""Time of the published declippers against their plain NumPy forms, and of the defaults.

Run: python benchmarks/declippers.py [--repeats 3] [--defaults CLIP.wav ...]

The clip is that of the golden tests: 0.37 s of a piano, clipped to 10 dB. Plain and fast forms take turns
with the same few steps, so that a machine whose speed drifts treats them alike, and must agree. Printed: CPU
seconds of one thread (medians), their ratio, milliseconds of a step of a frame beside those of the published
code, GFLOP per second by the FFTs' usual count, and the share of the FFTs, timed by themselves. `--defaults`
prints how many times a clip's length each method takes at 10, 5 and 1 dB.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import plain_declip as plain  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402

from audiomend.classical import ar_declip, social_sparsity, spade  # noqa: E402
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr  # noqa: E402
from audiomend.restorers.methods import METHODS, Excerpt  # noqa: E402

CLIP = Path(__file__).parents[1] / "tests" / "golden" / "declip_piano.npz"
WINDOW, HOP = 8192, 2048
SIZE = 2 * WINDOW
FFTS_GFLOP = 2 * 2.5 * SIZE * np.log2(SIZE) / 1e9  # of a step of one frame, two real FFTs
OCTAVE_MS = {"A-SPADE": 4.18, "S-SPADE": 3.95, "SS-EW": 2.3, "SS-PEW": 2.3}
"""Of a step of one frame: the survey's code under Octave 7.3 on another core of an AMD EPYC."""
LEVELS = 10, 5, 1  # input SDRs in dB

Form = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """The same steps by both forms, and how many steps of one frame they are."""

    name: str
    plain: Form
    fast: Form
    steps: int


def pairs(y: np.ndarray, level: float) -> list[Pair]:
    x, clip = torch.from_numpy(y), HardClip(-level, level)
    frames = -(-len(y) // HOP) + 3
    leap = replace(spade.PUBLISHED, step=164, tolerance=0.0)  # 100 iterations to all bins
    few = replace(social_sparsity.PUBLISHED, thresholds=2, steps=40, tolerance=0.0)
    short = replace(ar_declip.PUBLISHED, iterations=2)
    wide = -(-len(y) // SIZE) * SIZE // HOP
    return [
        Pair(
            "A-SPADE",
            lambda: plain.spade(y, -level, level, leap, True)[0],
            lambda: spade.a_spade(x, clip, leap)[0].numpy(),
            leap.most_iterations * frames,
        ),
        Pair(
            "S-SPADE",
            lambda: plain.spade(y, -level, level, leap, False)[0],
            lambda: spade.s_spade(x, clip, leap)[0].numpy(),
            leap.most_iterations * frames,
        ),
        Pair(
            "SS-EW",
            lambda: plain.social_sparsity(y, -level, level, few, (1, 1))[0],
            lambda: social_sparsity.ss_ew(x, clip, few)[0].numpy(),
            80 * wide,
        ),
        Pair(
            "SS-PEW",
            lambda: plain.social_sparsity(y, -level, level, few, few.around)[0],
            lambda: social_sparsity.ss_pew(x, clip, few)[0].numpy(),
            80 * wide,
        ),
        Pair(
            "AR",
            lambda: plain.autoregressive(y, -level, level, short),
            lambda: ar_declip.declipped(x, -level, level, short).numpy(),
            0,
        ),
    ]


def timed(form: Form) -> tuple[float, np.ndarray]:
    begun = time.process_time()
    outcome = form()
    return time.process_time() - begun, outcome


def fft_seconds(steps: int) -> float:
    """CPU seconds of the two FFTs of so many steps, sixteen frames at a time."""
    x = torch.randn(16, WINDOW, dtype=torch.float64)
    spade.synthesis(spade.analysis(x))
    seconds, _ = timed(lambda: [spade.synthesis(spade.analysis(x)) for _ in range(20)] and np.zeros(0))
    return seconds / (20 * 16) * steps


def compare(repeats: int) -> None:
    golden = np.load(CLIP)
    level = float(golden["level"])
    y = (golden["clean"] / 32768).clip(-level, level)
    print("| method | plain CPU s | CPU s | faster | ms a step | published ms | faster | GFLOP/s | FFTs |")
    print("|---|---|---|---|---|---|---|---|---|")
    for pair in pairs(y, level):
        taken: dict[str, list[float]] = {"plain": [], "fast": []}
        pair.fast()  # warm-up
        for _ in range(repeats):
            seconds, expected = timed(pair.plain)
            taken["plain"].append(seconds)
            seconds, outcome = timed(pair.fast)
            taken["fast"].append(seconds)
            assert np.abs(outcome - expected).max() < 1e-3 * np.abs(expected).max(), pair.name
        slow, fast = (statistics.median(taken[form]) for form in ("plain", "fast"))
        row = f"| {pair.name} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f} |"
        if pair.steps:
            ms, published = 1e3 * fast / pair.steps, OCTAVE_MS[pair.name]
            rate, share = FFTS_GFLOP * pair.steps / fast, fft_seconds(pair.steps) / fast
            row += f" {ms:.3f} | {published} | {published / ms:.0f} | {rate:.1f} | {share:.0%} |"
        else:
            row += " - | - | - | - | - |"
        print(row, flush=True)


def defaults(clips: list[Path]) -> None:
    names: list[tuple[str, str | None]] = [(name, None) for name in METHODS["declip"] if name != "blend"]
    names += [("blend", quality) for quality in ("fast", "balanced", "best")]
    print("| method | " + " | ".join(f"{c.stem[:16]} {db} dB" for c in clips for db in LEVELS) + " |")
    print("|---|" + "---|" * (len(LEVELS) * len(clips)))
    for name, quality in names:
        cells = [f"{times_of_length(clip, db, name, quality):.2f}" for clip in clips for db in LEVELS]
        print(f"| {name}{'@' + quality if quality else ''} | " + " | ".join(cells) + " |", flush=True)


def times_of_length(path: Path, sdr_db: float, name: str, quality: str | None) -> float:
    """CPU seconds per second of the loudest 1.5 seconds of a clip's first channel."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    length = 3 * rate // 2
    firsts = range(0, max(len(samples) - length, 1), rate // 2)
    first = max(firsts, key=lambda n: float(np.square(samples[n : n + length, 0]).sum()))
    x = torch.from_numpy(samples[first : first + length, 0])
    x = 0.1 * x / x.square().mean().sqrt()
    level = threshold_for_sdr(x, sdr_db).float()
    y = x.clamp(-level, level)
    share = float((y.abs() >= level).float().mean())
    method = METHODS["declip"][name].at(quality)
    excerpt = Excerpt(y[None], HardClip(-level[None], level[None]), 0, rate, share)
    with torch.inference_mode():
        seconds, _ = timed(lambda: method.mend(excerpt).numpy())
    return seconds * rate / length


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of the declippers.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--defaults", type=Path, nargs="+", metavar="CLIP")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.defaults:
        defaults(arguments.defaults)
    else:
        compare(arguments.repeats)


if __name__ == "__main__":
    main()
