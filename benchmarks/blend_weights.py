"""What the blend's weights of social sparsity and of A-SPADE are worth, beside other weights.

Run: python benchmarks/blend_weights.py --data DIR [--set test] [--clips 12] [--sdr-db 1 3 5 7 10 15]

DIR holds train/ (or test/) with recordings; 2 s of one channel, from the middle of each, are clipped to an
input SDR. Printed, in dB on the clipped samples, means over the clips: the mean of the other estimates,
social sparsity in long frames, A-SPADE in short ones, the third of each, the blend, and the best weights of
each clip, which take the truth to know; in how many clips the blend is more than 0.3 dB below the best of the
first three.
"""

from collections.abc import Iterator
from dataclasses import replace

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from recordings import clips, options, row  # noqa: E402
from torch import Tensor  # noqa: E402

from audiomend.classical import blend  # noqa: E402
from audiomend.evaluation.metrics import sdr  # noqa: E402
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr  # noqa: E402
from audiomend.restorers.methods import MANY_SHARE, frame_at  # noqa: E402

CLIP_S = 2
FAR_DB = 0.3
HEADS = (
    "input SDR, dB",
    "clips",
    "the others",
    "SS-PEW",
    "A-SPADE",
    "third of each",
    "blend",
    "best weights",
    "below",
)
WEIGHTS = [(a / 20, b / 20) for a in range(21) for b in range(21 - a)]


def estimates(y: Tensor, clip: HardClip, rate: int, share: float) -> list[Tensor]:
    """The mean of the others, social sparsity, A-SPADE, and the blend."""
    chosen = blend.HEAVY if share > MANY_SHARE else blend.BALANCED
    chosen = replace(chosen, window=frame_at(rate), rate=float(rate))
    others = blend.blended(y, clip, replace(chosen, long=(), short=()))
    rows = blend.rows_of(y, clip)
    parts = [form(rows, chosen).view_as(y) for form in (blend.swept, blend.in_short_frames)]
    return [others, *parts, blend.blended(y, clip, chosen)]


def figures(clean: np.ndarray, rate: int, sdr_db: float) -> Iterator[float]:
    """SDR of the columns from "the others" to "best weights"."""
    x = torch.from_numpy(clean)
    level = float(threshold_for_sdr(x, sdr_db))
    lost = x.abs() >= level
    clip = HardClip(-level, level)
    *parts, mixed = estimates(clip.forward(x).float(), clip, rate, float(lost.double().mean()))

    def found(estimate: Tensor) -> float:
        return sdr(clean[lost.numpy()], estimate[lost].double().numpy())

    yield from map(found, (*parts, torch.stack(parts).mean(0), mixed))
    errors = torch.stack([(part - x)[lost] for part in parts])
    products = errors @ errors.T / x[lost].square().sum()
    weights = torch.tensor([(1 - a - b, a, b) for a, b in WEIGHTS], dtype=products.dtype)
    yield -10 * float(torch.einsum("wi,ij,wj->w", weights, products, weights).min().log10())


def main() -> None:
    parser = options(__doc__, "train", clips=12)
    parser.add_argument("--sdr-db", nargs="*", type=float, default=[1.0, 3.0, 5.0, 7.0, 10.0, 15.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = list(clips(arguments.data, arguments.set, arguments.clips, CLIP_S))
    print(row(HEADS), row(["---:"] * len(HEADS)), sep="\n")
    for sdr_db in arguments.sdr_db:
        rows = np.array([list(figures(clip / np.abs(clip).max(), rate, sdr_db)) for clip, rate in chosen])
        below = int((rows[:, 4] < rows[:, :3].max(1) - FAR_DB).sum())
        cells = [f"{sdr_db:g}", str(len(rows)), *(f"{mean:.1f}" for mean in rows.mean(0)), str(below)]
        print(row(cells), flush=True)


if __name__ == "__main__":
    main()
