"""Time of the published declippers against their plain NumPy forms, and of the defaults.

Run: python benchmarks/declippers.py [--repeats 3] [--defaults CLIP.wav ...] [--gflop]

The clip is that of the golden tests: 0.37 s of a piano, clipped to 10 dB. Plain and fast forms take turns
with the same few steps, so that a machine whose speed drifts treats them alike, and must agree. Printed: CPU
seconds of one thread (medians), their ratio, milliseconds of a step of a frame beside those of the published
code, GFLOP per second by the FFTs' usual count, and the share of the FFTs, timed by themselves. `--defaults`
prints how many times a clip's length each method takes at 10, 5 and 1 dB. `--gflop` prints, instead of times,
what a second at 44.1 kHz costs in FFTs, 5 N log2 N for a complex one of N points and half of it for a real
one, and in AR's Cholesky factors, n³/3 of a matrix and n w² of a band: the published SPADE and social
sparsity by the counts of the golden tests, the others counted as they run, over 2 s of the same piano clipped
to 10 dB.
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
from scipy.linalg import solveh_banded  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from audiomend.classical import ar_declip, autoregression, social_sparsity, spade  # noqa: E402
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr  # noqa: E402
from audiomend.restorers.methods import METHODS, Excerpt  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
CLIP = GOLDEN / "declip_piano.npz"
WINDOW, HOP = 8192, 2048
SIZE = 2 * WINDOW
FFTS_GFLOP = 2 * 2.5 * SIZE * np.log2(SIZE) / 1e9  # of a step of one frame, two real FFTs
OCTAVE_MS = {"A-SPADE": 4.18, "S-SPADE": 3.95, "SS-EW": 2.3, "SS-PEW": 2.3}
"""Of a step of one frame: the survey's code under Octave 7.3 on another core of an AMD EPYC."""
LEVELS = 10, 5, 1  # input SDRs in dB
RATE, RMS = 44_100, 0.1
COUNTS = {"a-spade": "aspade", "s-spade": "sspade", "ss-ew": "ew", "ss-pew": "pew"}
QUALITIES = "fast", "balanced", "best"

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


def names() -> list[tuple[str, str | None]]:
    """Methods of `declip`, and their qualities where they have any."""
    plain_names = [(name, None) for name in METHODS["declip"] if name != "blend"]
    return [*plain_names, *(("blend", quality) for quality in QUALITIES)]


def defaults(clips: list[Path]) -> None:
    print("| method | " + " | ".join(f"{c.stem[:16]} {db} dB" for c in clips for db in LEVELS) + " |")
    print("|---|" + "---|" * (len(LEVELS) * len(clips)))
    for name, quality in names():
        cells = [f"{times_of_length(clip, db, name, quality):.2f}" for clip in clips for db in LEVELS]
        print(f"| {name}{'@' + quality if quality else ''} | " + " | ".join(cells) + " |", flush=True)


def times_of_length(path: Path, sdr_db: float, name: str, quality: str | None) -> float:
    """CPU seconds per second of the loudest 1.5 seconds of a clip's first channel."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    length = 3 * rate // 2
    firsts = range(0, max(len(samples) - length, 1), rate // 2)
    first = max(firsts, key=lambda n: float(np.square(samples[n : n + length, 0]).sum()))
    method, excerpt = (
        METHODS["declip"][name].at(quality),
        clipped(samples[first : first + length, 0], rate, sdr_db),
    )
    with torch.inference_mode():
        seconds, _ = timed(lambda: method.mend(excerpt).numpy())
    return seconds * rate / length


def clipped(samples: np.ndarray, rate: int, sdr_db: float) -> Excerpt:
    """(time,), at a usual level."""
    x = torch.from_numpy(samples).float()
    x = RMS * x / x.square().mean().sqrt()
    level = threshold_for_sdr(x, sdr_db).float()
    y = x.clamp(-level, level)
    share = float((y.abs() >= level).float().mean())
    return Excerpt(y[None], HardClip(-level[None], level[None]), 0, rate, share)


class Work(TorchDispatchMode):
    """Counts the floating-point operations of real FFTs and Cholesky factors."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        kind = func.overloadpacket
        if kind is torch.ops.aten._fft_r2c:
            self.flops += args[0].numel() * 2.5 * np.log2(args[0].shape[args[1][-1]])
        elif kind is torch.ops.aten._fft_c2r:
            self.flops += out.numel() * 2.5 * np.log2(args[3])
        elif kind is torch.ops.aten.linalg_cholesky_ex:
            self.flops += args[0].numel() * args[0].shape[-1] / 3
        return out

    def banded(self, band: np.ndarray, *args, **kwargs) -> np.ndarray:
        self.flops += band.shape[1] * band.shape[0] ** 2
        return solveh_banded(band, *args, **kwargs)


def counted(form: Callable[[], object]) -> float:
    """GFLOP of what it does."""
    work = Work()
    autoregression.solveh_banded = work.banded
    try:
        with torch.no_grad(), work:  # in inference mode composite operations would come whole
            form()
    finally:
        autoregression.solveh_banded = solveh_banded
    return work.flops / 1e9


def gflop() -> None:
    golden, samples = np.load(CLIP), np.load(GOLDEN / "autoregressive.npz")["clean16"] / 32768
    seconds = len(samples) / RATE
    steps = {name: golden[f"{COUNTS[name]}_iterations"] for name in COUNTS}
    each = {name: c.mean() if name.endswith("spade") else c.sum() for name, c in steps.items()}
    published = {name: f"{FFTS_GFLOP * count * RATE / HOP:.0f}" for name, count in each.items()}
    level = float(threshold_for_sdr(torch.from_numpy(samples), LEVELS[0]))
    y = torch.from_numpy(samples).clamp(-level, level)
    work = counted(lambda: ar_declip.declipped(y, -level, level, ar_declip.PUBLISHED))
    published["ar"] = f"{work / seconds:.2g}"
    excerpt = clipped(samples, RATE, LEVELS[0])
    print("| method | published, GFLOP a second | default |", "|---|---:|---:|", sep="\n")
    for name, quality in names():
        method = METHODS["declip"][name].at(quality)
        cost = counted(lambda method=method: method.mend(excerpt)) / seconds
        label = f"{name}@{quality}" if quality else name
        print(f"| {label} | {published.get(name, '–')} | {cost:.2g} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of the declippers.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--defaults", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--gflop", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.gflop:
        gflop()
    elif arguments.defaults:
        defaults(arguments.defaults)
    else:
        compare(arguments.repeats)


if __name__ == "__main__":
    main()
