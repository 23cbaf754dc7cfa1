"""The published settings of the declippers, and of what fills gaps, against what published code restored.

Run: python benchmarks/golden_classical.py --golden DIR [--methods ar ...] [--clips piano ...] [--sdr-db 5]
     python benchmarks/golden_classical.py --golden DIR --gaps [--clips piano ...]

DIR holds declip.npz: `CLIP/clean16`, of each clip 2 s at 44.1 kHz; `CLIP/SDR/theta`, the level that it was
clipped to; and, of each method, `CLIP/SDR/METHOD/iters` and, of most, `.../clipped16` over `.../scale`, the
restored samples where the clip lies beyond the level, in time order. Printed: the largest difference in
steps of that storage (half a step is its rounding), the ratio of the signal to the difference in dB, what
either gains on the clipped samples in dB, whether every frame (of social sparsity, every threshold) took as
many iterations, and CPU seconds of one thread.

For gaps it holds inpaint.npz, too: `CLIP/MS/starts0` and `.../len`, the gaps of these clips in samples, and
`CLIP/MS/METHOD`, what each method put into them, one after the other. Printed: the largest difference.

Exit code 1 where one differs: by more than 0.525 steps (3.2e-5 of a peak up to 2); in an iteration; SS-PEW,
in which 10,000 steps and a switch at the level make more of rounding, by more than 0.05 dB of gain, however
many steps; in a gap, by more than the limit that stands beside it.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from published_declippers import PUBLISHED  # noqa: E402
from recordings import row  # noqa: E402

from audiomend.classical import janssen, spain  # noqa: E402
from audiomend.classical.continuation import CONTINUED, continued  # noqa: E402
from audiomend.classical.runs import runs  # noqa: E402
from audiomend.evaluation.metrics import sdr  # noqa: E402
from audiomend.operators.hard_clip import HardClip  # noqa: E402

KEYS = {"ar": "jrect", "s-spade": "sspade_new", "a-spade": "aspade", "ss-ew": "EW", "ss-pew": "PEW"}
MOST_STEPS = 3.2e-5 * 16384  # of storage; peaks up to 2 are stored in steps of 1 / 16384
MOST_GAIN_DB = 0.05
MOST_IN_GAPS = 1e-6
MOST_BURG_OF_SPEECH = 5e-6  # empty above 8 kHz: scaled by 1 + 1e-15, its own result moves by 1.8e-6
CLIPS, LEVELS, GAPS_MS = ("piano", "speech", "bells", "rhythm"), (1, 5, 10, 15), (20, 50)
Array = np.ndarray
HEADS = "steps", "agreement, dB", "gain, dB", "published", "iterations", "CPU s"


@dataclass(frozen=True)
class Outcome:
    """Steps and dB of the difference and both gains, NaN without stored samples; CPU seconds."""

    steps: float
    agreement_db: float
    gain_db: float
    published_db: float
    counts: bool | None  # None: the method has a fixed number
    seconds: float

    def differs(self, method: str) -> bool:
        if method == "ss-pew":
            apart = abs(self.gain_db - self.published_db) > MOST_GAIN_DB
        else:
            apart = self.steps > MOST_STEPS
        return apart or self.counts is False

    def cells(self) -> list[str]:
        figures = [
            f"{self.steps:.3f}",
            f"{self.agreement_db:.1f}",
            f"{self.gain_db:.3f}",
            f"{self.published_db:.3f}",
        ]
        counts = {None: "–", True: "equal", False: "differ"}[self.counts]
        return [*("–" if figure == "nan" else figure for figure in figures), counts, f"{self.seconds:.0f}"]


def compared(golden: dict[str, Array], method: str, clip: str, sdr_db: int) -> Outcome:
    stem = f"{clip}/{sdr_db}"
    clean, level = golden[f"{clip}/clean16"] / 32768, float(golden[f"{stem}/theta"])
    lost, observed = np.abs(clean) > level, clean.clip(-level, level)
    begun = time.process_time()
    signal, counts = PUBLISHED[method](torch.from_numpy(observed), HardClip(-level, level))
    seconds = time.process_time() - begun
    restored, before = signal.numpy()[lost], sdr(clean[lost], observed[lost])
    steps = agreement_db = published_db = np.nan
    if f"{stem}/{KEYS[method]}/clipped16" in golden:
        scale = float(golden[f"{stem}/{KEYS[method]}/scale"])
        expected = golden[f"{stem}/{KEYS[method]}/clipped16"] / scale
        steps = float(np.abs(restored - expected).max() * scale)
        agreement_db, published_db = sdr(expected, restored), sdr(clean[lost], expected) - before
    equal = None if counts is None else np.array_equal(counts.numpy(), golden[f"{stem}/{KEYS[method]}/iters"])
    return Outcome(steps, agreement_db, sdr(clean[lost], restored) - before, published_db, equal, seconds)


def stored(golden: dict[str, Array], arguments: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Method, clip and input SDR of what can be compared: samples, or iterations; AR always has 5."""
    for method in arguments.methods:
        for clip in arguments.clips:
            for sdr_db in arguments.sdr_db:
                key = f"{clip}/{sdr_db}/{KEYS[method]}"
                if f"{key}/clipped16" in golden or (method != "ar" and f"{key}/iters" in golden):
                    yield method, clip, sdr_db


def extrapolated(x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(time,) whose gaps are what goes on from before, fading into what leads to after (Kauppinen 2001)."""
    filled = x.clone()
    for start, end in zip(*(ends.tolist() for ends in runs(~known)), strict=True):
        sides = torch.stack((x[start - CONTINUED : start], x[end : end + CONTINUED].flip(0)))
        mean = sides.mean(1, keepdim=True)
        forth, back = continued(sides - mean, end - start, order=1024) + mean
        share = torch.linspace(0, torch.pi / 2, end - start, dtype=x.dtype).cos().square()
        filled[start:end] = share * forth + (1 - share) * back.flip(0)
    return filled


FILLED: dict[str, tuple[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "janssen_lpc512": (
        "Janssen, LPC of order 512",
        lambda x, known: janssen.interpolated(x, known, janssen.Janssen(order=512, burg=False)),
    ),
    "janssen_burg1024": ("Janssen, Burg of order 1024", janssen.interpolated),
    "aspain": ("A-SPAIN", lambda x, known: spain.interpolated(x, known, spain.PUBLISHED)),
    "extrap_burg1024": ("extrapolation, Burg of order 1024", extrapolated),
}


def fillings(
    clean: dict[str, Array], golden: dict[str, Array], names: Sequence[str]
) -> Iterator[tuple[str, str, int, float]]:
    """Clip, method, length of the gaps in ms and largest difference of what can be compared."""
    for clip in names:
        x = torch.from_numpy(clean[f"{clip}/clean16"] / 32768)
        for ms in GAPS_MS:
            if f"{clip}/{ms}/len" not in golden:
                continue
            known = torch.ones(len(x), dtype=torch.bool)
            for start in golden[f"{clip}/{ms}/starts0"]:
                known[start : start + int(golden[f"{clip}/{ms}/len"])] = False
            for key, (_, filled) in FILLED.items():
                found = filled(x, known)[~known].numpy()
                yield clip, key, ms, float(np.abs(found - golden[f"{clip}/{ms}/{key}"]).max())


def gaps(clean: dict[str, Array], golden: dict[str, Array], names: Sequence[str]) -> bool:
    """Prints the table of gaps; whether one differs."""
    print(
        row(["clip", "method", "gaps, ms", "largest difference", "limit"]),
        row(["---"] * 2 + ["---:"] * 3),
        sep="\n",
    )
    differ = False
    for clip, key, ms, largest in fillings(clean, golden, names):
        limit = MOST_BURG_OF_SPEECH if (clip, key) == ("speech", "janssen_burg1024") else MOST_IN_GAPS
        print(row([clip, FILLED[key][0], ms, f"{largest:.1e}", f"{limit:.0e}"]), flush=True)
        differ |= largest > limit
    return differ


def clipped(golden: dict[str, Array], arguments: argparse.Namespace) -> bool:
    """Prints the table of clipped sound; whether one differs."""
    print(
        row(["method", "clip", "SDR, dB", *HEADS]),
        row(["---"] * 2 + ["---:"] * 5 + ["---", "---:"]),
        sep="\n",
    )
    differ = False
    for method, clip, sdr_db in stored(golden, arguments):
        outcome = compared(golden, method, clip, sdr_db)
        print(row([method, clip, sdr_db, *outcome.cells()]), flush=True)
        differ |= outcome.differs(method)
    return differ


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--golden", type=Path, required=True)
    parser.add_argument("--gaps", action="store_true", help="what fills gaps, instead of declippers")
    parser.add_argument("--methods", nargs="*", choices=KEYS, default=list(KEYS), help="of the declippers")
    parser.add_argument("--clips", nargs="*", choices=CLIPS, default=CLIPS)
    parser.add_argument("--sdr-db", nargs="*", type=int, choices=LEVELS, default=LEVELS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    golden = dict(np.load(arguments.golden / "declip.npz"))
    if arguments.gaps:
        differ = gaps(golden, dict(np.load(arguments.golden / "inpaint.npz")), arguments.clips)
    else:
        differ = clipped(golden, arguments)
    sys.exit(int(differ))


if __name__ == "__main__":
    main()
