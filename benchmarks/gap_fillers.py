"""What fills longer gaps better, by how unlike the rest of the recording is to what is around the gap.

Run: python benchmarks/gap_fillers.py --data DIR [--set test] [--clips 24] [--lengths-ms 200 400 1000]

DIR holds train/ (or test/) with recordings. 5 s of one channel, from the middle of each, get two gaps of a
length. The most similar stretch fills them, and a draw of the prior.
Printed for each range of unlikeness: how many gaps, log-spectral distance and SDR in them, means for both.
"""

from collections import defaultdict
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

CLIP_S = 5
GAPS = 2
LEAST_DB = -20.0  # what an SDR counts for at least
RANGES = (0, 4, 5, 6, 7, 7.5, 8, 9, 10, inf)
Array = np.ndarray


def drawn(y: Array, rate: int, gaps: list[tuple[float, float]]) -> Array:
    """What `inpaint` does where nothing is alike."""
    every = filling.FILLINGS
    filling.FILLINGS = tuple(each for each in every if each.unlike_db == inf)
    try:
        return audiomend.inpaint(y, rate, gaps=gaps)
    finally:
        filling.FILLINGS = every


def main() -> None:
    parser = options(__doc__, "train", clips=24)
    parser.add_argument("--lengths-ms", nargs="*", type=float, default=[200.0, 400.0, 1000.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| gap, ms | unlike, dB | gaps | distance, dB: similar | drawn | SDR, dB: similar | drawn |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
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
            both = [audiomend.inpaint(y, rate, gaps=told, method="similarity"), drawn(y, rate, told)]
            for start, stop in gaps:
                unlike = unlikeness(torch.from_numpy(y), torch.from_numpy(known), start, stop, rate)
                at = np.s_[:, start:stop]
                figures = [log_spectral_distance(x[at], z[at], rate) for z in both]
                figures += [max(sdr(x[at], z[at]), LEAST_DB) for z in both]
                found[int(np.searchsorted(RANGES, unlike, side="right"))].append(figures)
        for number in sorted(found):
            means = [f"{value:.1f}" for value in np.mean(found[number], axis=0)]
            span = f"{RANGES[number - 1]:g} to {RANGES[number]:g}" if number < len(RANGES) else "no place"
            print(row([f"{length_ms:g}", span, len(found[number]), *means]), flush=True)


if __name__ == "__main__":
    main()
