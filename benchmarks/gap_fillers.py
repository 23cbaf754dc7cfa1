"""What fills longer gaps better, by how unlike the rest of the recording is to what is around the gap.

Run: python benchmarks/gap_fillers.py --data DIR [--set test] [--clips 24] [--lengths-ms 200 400 800]

DIR holds train/ (or test/) with recordings. 5 s of one channel, from the middle of each, get two gaps of a
length. The most similar stretch fills them, a draw of the prior, and draws that start from that stretch with
noise of so many times the sound's level.
Printed for each range of unlikeness: how many gaps, log-spectral distance and SDR in them, means of each.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import inf

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from recordings import clips, options, row  # noqa: E402

from audiomend.classical.similarity import unlikeness  # noqa: E402
from audiomend.evaluation.damages import NotApplicableError, place_gaps  # noqa: E402
from audiomend.evaluation.metrics import log_spectral_distance, sdr  # noqa: E402
from audiomend.restorers import filling  # noqa: E402
from audiomend.restorers.filling import Filling  # noqa: E402

CLIP_S = 5
GAPS = 2
LEAST_DB = -20.0  # what an SDR counts for at least
STARTS = (0.1, 0.3, 1.0)
DRAW = {"solver": "2m", "conditioned": True}
RANGES = (0, 4, 5, 6, 7, 7.5, 8, 9, 10, inf)
Array = np.ndarray


def inpainted(y: Array, rate: int, gaps: list[tuple[float, float]], ways: Sequence[Filling]) -> Array:
    """What `inpaint` does if there are only these ways, and nothing but a walk is left of one."""
    kept = filling.FILLINGS, filling.MOST
    filling.FILLINGS, filling.MOST = tuple(ways), 0.0
    try:
        return audiomend.inpaint(y, rate, gaps=gaps)
    finally:
        filling.FILLINGS, filling.MOST = kept


def main() -> None:
    parser = options(__doc__, "train", clips=24)
    parser.add_argument("--lengths-ms", nargs="*", type=float, default=[200.0, 400.0, 800.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    drawn = [each for each in filling.FILLINGS if each.unlike_db == inf]
    walks = [replace(drawn[-1], method="similarity", walk={**DRAW, "start": start}) for start in STARTS]
    heads = ["similar", "drawn", *(f"from {start:g}" for start in STARTS)]
    print(row(["gap, ms", "unlike, dB", "gaps", *(f"{head}: distance, SDR" for head in heads)]))
    print(row(["---:", "---", "---:"] + ["---:"] * len(heads)))
    for length_ms in arguments.lengths_ms:
        found = defaultdict[int, list[list[float]]](list)
        for clip, rate in clips(arguments.data, arguments.set, arguments.clips, CLIP_S):
            x = clip.astype(np.float32)[None]
            try:
                gaps = place_gaps(x, round(length_ms / 1000 * rate), rate, seed=7)[:GAPS]
            except NotApplicableError:
                continue
            known = np.ones(x.shape[1], bool)
            for start, stop in gaps:
                known[start:stop] = False
            y, told = np.where(known, x, np.float32(0)), [(a / rate, b / rate) for a, b in gaps]
            every = [audiomend.inpaint(y, rate, gaps=told, method="similarity")]
            every += [inpainted(y, rate, told, ways) for ways in (drawn, *([walk] for walk in walks))]
            for start, stop in gaps:
                unlike = unlikeness(torch.from_numpy(y), torch.from_numpy(known), start, stop, rate)
                at = np.s_[:, start:stop]
                figures = [log_spectral_distance(x[at], z[at], rate) for z in every]
                figures += [max(sdr(x[at], z[at]), LEAST_DB) for z in every]
                found[int(np.searchsorted(RANGES, unlike, side="right"))].append(figures)
        for number in sorted(found):
            pairs = np.mean(found[number], axis=0).reshape(2, -1).T
            means = [f"{distance:.1f}, {ratio:.1f}" for distance, ratio in pairs]
            span = f"{RANGES[number - 1]:g} to {RANGES[number]:g}" if number < len(RANGES) else "no place"
            print(row([f"{length_ms:g}", span, len(found[number]), *means]), flush=True)


if __name__ == "__main__":
    main()
