"""What mending takes as a multiple of the length of the sound: wall time of one channel.

Run: python benchmarks/multiples.py --data DIR [--set test] [--clips 9] [--threads 2]

DIR holds train/ and test/ with recordings. 3 s from the middle of each are clipped to a signal-to-distortion
ratio, get two clicks a second, or are inspected as they are, clipped to 5 dB. One call before each row pays
for the loading. Printed: the median and the worst of the clips.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from engine import cpu_model  # noqa: E402
from recordings import clips, options, row  # noqa: E402

from audiomend.operators.click import Clicks  # noqa: E402
from audiomend.operators.hard_clip import threshold_for_sdr  # noqa: E402

CLIP_S = 3
LEVELS = {"a-spade": (1, 3, 5, 10, 15), "ss-pew": (1, 3, 5, 10, 15), "ar": (5, 10, 15)}  # input SDRs in dB
CLICKS_A_SECOND, CLICK_PEAK = 2.0, 5.6  # 15 dB above the level of the clip, as `degrade click` makes them
Array = np.ndarray
Clip = tuple[Array, int]


def clipped(clip: Clip, sdr_db: float) -> Clip:
    x, rate = clip
    level = float(threshold_for_sdr(torch.from_numpy(x), sdr_db))
    return x.clip(-level, level), rate


def clicked(clip: Clip) -> Clip:
    x, rate = clip
    peak = CLICK_PEAK * float(np.sqrt(np.square(x).mean()))
    return Clicks.random(0, len(x), rate, CLICKS_A_SECOND, peak, 0).forward(torch.from_numpy(x)).numpy(), rate


def multiples(work: Callable[[Array, int], object], damaged: list[Clip]) -> list[float]:
    work(*damaged[0])
    found = []
    for clip in damaged:
        begun = time.perf_counter()
        work(*clip)
        found.append((time.perf_counter() - begun) / CLIP_S)
    return found


def main() -> None:
    parser = options(__doc__, "test", clips=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sounds = [clip for clip in clips(arguments.data, arguments.set, arguments.clips, CLIP_S) if clip[0].any()]
    rows: list[tuple[str, str, Callable[[Array, int], object], list[Clip]]] = [
        (
            method,
            f"clipped to {level} dB",
            partial(audiomend.declip, method=method),
            [clipped(x, level) for x in sounds],
        )
        for method, levels in LEVELS.items()
        for level in levels
    ]
    rows.append(("declick", "2 clicks a second", audiomend.declick, [clicked(x) for x in sounds]))
    rows.append(("inspect", "clipped to 5 dB", audiomend.inspect, [clipped(x, 5) for x in sounds]))
    print(f"{cpu_model()}, {arguments.threads} threads, {len(sounds)} clips of {CLIP_S} s\n")
    print("| what | damage | median | worst |\n| --- | --- | ---: | ---: |")
    for name, damage, work, damaged in rows:
        found = multiples(work, damaged)
        print(row([name, damage, f"{statistics.median(found):.2f}", f"{max(found):.2f}"]), flush=True)


if __name__ == "__main__":
    main()
