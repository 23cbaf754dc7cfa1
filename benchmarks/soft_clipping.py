"""How much of soft clipping `declip` takes away, curve by curve and drive by drive.

Run: python benchmarks/soft_clipping.py --data DIR [--set test] [--clips 24]

DIR holds train/ and test/ with recordings. 3 s of one channel from the middle of each are bent to a
signal-to-distortion ratio, by a curve that the program knows or does not, and rounded to 16 bits. In the row
of infinite SDR nothing was bent, and nothing must change.
"""

import time
from collections.abc import Callable
from math import inf, pi

import numpy as np
from recordings import clips, options, row
from scipy.optimize import brentq

import audiomend
from audiomend.evaluation.metrics import sdr

CLIP_S = 3
PEAK = 0.9
Array = np.ndarray


def curves() -> dict[str, Callable[[Array], Array]]:
    """f(x) with slope 1 at 0 and limits of ±1, but for the last; the last but one is of no known family."""
    return {
        "tanh": np.tanh,
        "arctan": lambda x: 2 / pi * np.arctan(pi / 2 * x),
        "x / √(1 + x²)": lambda x: x / np.sqrt(1 + x * x),
        "cubic": lambda x: np.where(np.abs(x) < 1.5, x - 4 * x**3 / 27, np.sign(x)),
        "x / (1 + |x|)": lambda x: x / (1 + np.abs(x)),
        "tanh above, half as much below": lambda x: np.where(x > 0, np.tanh(x), 2 * np.tanh(x / 2)),
    }


def bent(x: Array, curve: Callable[[Array], Array], sdr_db: float) -> Array:
    def short(log_level: float) -> float:
        return sdr(x, np.exp(log_level) * curve(x / np.exp(log_level))) - sdr_db

    level = np.exp(brentq(short, np.log(1e-3), np.log(1e3)))
    return level * curve(x / level)


def main() -> None:
    parser = options(__doc__, "test", clips=24)
    parser.add_argument("--curves", nargs="*", help="the first letters of some; all without it")
    parser.add_argument("--sdr-db", nargs="*", type=float, default=[5.0, 10.0, 20.0, 30.0])
    arguments = parser.parse_args()
    found = clips(arguments.data, arguments.set, arguments.clips, CLIP_S)
    chosen = [(PEAK * clip / np.abs(clip).max(), rate) for clip, rate in found if clip.any()]
    print("| curve | SDR, dB | clips | changed | SDR then: median | 10 % | worse | s of CPU for a second |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    table = [("none", inf, lambda x: x)]
    for name, curve in curves().items():
        if not arguments.curves or any(name.startswith(word) for word in arguments.curves):
            table += [(name, level, curve) for level in arguments.sdr_db]
    for name, level, curve in table:
        figures, changed, worse, begun = [], 0, 0, time.process_time()
        for clean, rate in chosen:
            damaged = np.rint((clean if level == inf else bent(clean, curve, level)) * 2**15) / 2**15
            mended = audiomend.declip(damaged, rate)
            changed += bool((mended != damaged).any())
            before, after = sdr(clean, damaged), sdr(clean, mended)
            worse += after < before
            figures.append(after)
        seconds = (time.process_time() - begun) / (CLIP_S * len(chosen))
        share = f"{np.median(figures):.1f}", f"{np.quantile(figures, 0.1):.1f}", worse
        print(row([name, f"{level:g}", len(chosen), changed, *share, f"{seconds:.2f}"]), flush=True)


if __name__ == "__main__":
    main()
