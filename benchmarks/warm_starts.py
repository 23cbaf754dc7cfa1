"""Whether the prior betters a classical estimate of clipped sound: a walk that starts from it, beside both.

Run: python benchmarks/warm_starts.py --data DIR [--clips 6] [--sdr-db 1 3 5 7 10 15]

DIR holds train/ with recordings; 2 s of one channel, from the middle of each, are clipped to an input SDR.
Printed, in dB on the clipped samples, means over the clips: each classical method, the walk of the prior from
the damaged signal, and what 8 evaluations make of each estimate from noise levels on, over the prior's.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from recordings import clips, options, row  # noqa: E402
from torch import Tensor  # noqa: E402

from audiomend.evaluation.metrics import sdr  # noqa: E402
from audiomend.operators.hard_clip import threshold_for_sdr  # noqa: E402
from audiomend.restorers import frame  # noqa: E402
from audiomend.restorers.damage import Clipped  # noqa: E402
from audiomend.samplers.base import Signal  # noqa: E402

CLIP_S = 2
PARENTS = ("ar", "ss-pew", "blend")
LEVELS = (0.05, 0.2, 0.8)
STEPS = 8
Array = np.ndarray


def continued(y: Array, rate: int, level: float, estimate: Array, start: float) -> Array:
    """What a walk of the prior from this noise level on makes of an estimate."""

    def guessed(damaged: Signal, first: int, last: int) -> Tensor:
        x = damaged(first, last)
        gain = damaged(0, len(y)).norm() / float(np.linalg.norm(y))
        low, high = (min(max(at, 0), len(y)) for at in (first, last))  # outside of the clip there is silence
        x[:, low - first : high - first] = torch.from_numpy(estimate[low:high]) * gain
        return x

    def prepared(source: Any, damage: Clipped, gain: float, options: Any) -> Any:
        return prepare(
            source, replace(damage, guessed=guessed), gain, replace(options, walk={"start": start})
        )

    prepare = frame.prepare_walk
    with mock.patch.object(frame, "prepare_walk", prepared):
        return audiomend.declip(y, rate, method="diffusion", steps=STEPS, clip_level=level)


def figures(clean: Array, rate: int, sdr_db: float) -> Iterator[float]:
    """SDR of the parents, the prior, and the parents walked on."""
    level = float(threshold_for_sdr(torch.from_numpy(clean), sdr_db))
    y, lost = clean.clip(-level, level), np.abs(clean) >= level
    estimates = [audiomend.declip(y, rate, method=name, clip_level=level) for name in PARENTS]
    walked = audiomend.declip(y, rate, method="diffusion", clip_level=level)
    on = [continued(y, rate, level, each, start) for each in estimates for start in LEVELS]
    yield from (sdr(clean[lost], z[lost]) for z in (*estimates, walked, *on))


def main() -> None:
    parser = options(__doc__, "train", clips=6)
    parser.add_argument("--sdr-db", nargs="*", type=float, default=[1.0, 3.0, 5.0, 7.0, 10.0, 15.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = list(clips(arguments.data, arguments.set, arguments.clips, CLIP_S))
    heads = ("input SDR, dB", *PARENTS, "prior", *(f"{name} at {at:g}" for name in PARENTS for at in LEVELS))
    print(row(heads), row(["---:"] * len(heads)), sep="\n")
    for sdr_db in arguments.sdr_db:
        means = np.mean(
            [list(figures(clip / np.abs(clip).max(), rate, sdr_db)) for clip, rate in chosen], axis=0
        )
        print(row([f"{sdr_db:g}", *(f"{mean:.1f}" for mean in means)]), flush=True)


if __name__ == "__main__":
    main()
