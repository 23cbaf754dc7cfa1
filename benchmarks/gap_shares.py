"""What a mean of Janssen's fill and a walk gains in short gaps, and how much of the fill is best.

Run: python benchmarks/gap_shares.py --data DIR [--clips 24] [--lengths-ms 20 50 100]

DIR holds train/ with recordings and with the notes and samples of pianos. 4 s of one channel, of as many
rendered pianos as recordings of music and of speech, get about a gap a second. Printed for each material and
length: means over the gaps of SDR and log-spectral distance, of the fill, the walk from it, means of both.
"""

from collections.abc import Iterator
from pathlib import Path

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from recordings import clips, options, row  # noqa: E402

from audiomend.data.grow import Growth, open_studio, render_piano  # noqa: E402
from audiomend.evaluation.damages import NotApplicableError, place_gaps  # noqa: E402
from audiomend.evaluation.metrics import log_spectral_distance, sdr  # noqa: E402
from audiomend.restorers import filling  # noqa: E402

CLIP_S = 4
FIXED = (0.4, 0.8)  # shares of the fill that are tried beside the one that is taken
LEAST_DB = -20.0  # what an SDR counts for at least
Array = np.ndarray


def pianos(data: Path, count: int) -> Iterator[tuple[Array, int]]:
    """The middles of renders of pieces that the prior was not trained on."""
    studio = open_studio(data, 0, False, Growth())
    for number in range(count):
        x, rate = render_piano(studio, "validation", number)[1], 44_100
        first = (len(x) - CLIP_S * rate) // 2
        yield x[first : first + CLIP_S * rate], rate


def walked(y: Array, rate: int, gaps: list[tuple[float, float]]) -> Array:
    """What `inpaint` would give without a share of the fill."""
    most, filling.MOST = filling.MOST, 0.0
    try:
        return audiomend.inpaint(y, rate, gaps=gaps)
    finally:
        filling.MOST = most


def measured(x: Array, rate: int, length_ms: float) -> Iterator[list[float]]:
    """SDR and distance of each way, for each gap."""
    gaps = place_gaps(x, round(length_ms / 1000 * rate), rate, seed=7)
    y = x.copy()
    for start, stop in gaps:
        y[:, start:stop] = 0
    told = [(start / rate, stop / rate) for start, stop in gaps]
    fill, walk = audiomend.inpaint(y, rate, gaps=told, method="janssen"), walked(y, rate, told)
    beside = round(filling.BESIDE_S * rate)
    for start, stop in gaps:
        inside = np.s_[:, start:stop]
        sides = y[:, max(start - beside, 0) : start], y[:, stop : stop + beside]
        part = filling.share(*(torch.from_numpy(z) for z in (fill[inside], *sides)))
        ways = (1.0, 0.0, *FIXED, float(part))
        mixed = [share * fill[inside] + (1 - share) * walk[inside] for share in ways]
        true = x[inside]
        yield [max(sdr(true, z), LEAST_DB) for z in mixed] + [
            log_spectral_distance(true, z, rate) for z in mixed
        ]


def main() -> None:
    parser = options(__doc__, "train", clips=24)
    parser.add_argument("--lengths-ms", nargs="*", type=float, default=[20.0, 50.0, 100.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    count = arguments.clips // 3
    sound = {
        name: list(clips(arguments.data, "train", count, CLIP_S, (name,)))
        for name in ("music", "speech_wb16")
    }
    sound["piano"] = list(pianos(arguments.data, count))
    heads = ("fill", "walk", *(f"{share:g} fill" for share in FIXED), "auto")
    print(row(["material", "gap, ms", "gaps", *(f"{head}: SDR, distance" for head in heads)]))
    print(row(["---"] + ["---:"] * (2 + len(heads))))
    for length_ms in arguments.lengths_ms:
        for name, those in sound.items():
            found = list[list[float]]()
            for clip, rate in those:
                try:
                    found += measured(clip.astype(np.float32)[None], rate, length_ms)
                except NotApplicableError:
                    continue
            means = np.mean(found, axis=0).reshape(2, -1).T
            print(
                row([name, f"{length_ms:g}", len(found), *(f"{a:.1f}, {b:.1f}" for a, b in means)]),
                flush=True,
            )


if __name__ == "__main__":
    main()
