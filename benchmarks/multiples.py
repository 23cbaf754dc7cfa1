"""What mending takes as a multiple of the length of the sound: wall time.

Run: python benchmarks/multiples.py --data DIR [--set test] [--clips 9] [--threads 2] [--stereo]

DIR holds train/ and test/ with recordings. 3 s from the middle of each, one channel, are clipped to a
signal-to-distortion ratio, get two clicks a second, or are inspected as they are, clipped to 5 dB. With
--stereo both channels of those that have two are clipped, and mended by the default at each quality. One call
before each row pays for the loading. Printed: the median and the worst of the clips.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
from engine import cpu_model  # noqa: E402
from recordings import FOLDERS, clips, options, row  # noqa: E402

from audiomend.operators.click import Clicks  # noqa: E402
from audiomend.operators.hard_clip import threshold_for_sdr  # noqa: E402

CLIP_S = 3
SOUNDS = {".flac", ".ogg", ".opus"}
LEVELS = {"a-spade": (1, 3, 5, 10, 15), "ss-pew": (1, 3, 5, 10, 15), "ar": (5, 10, 15)}  # input SDRs in dB
QUALITIES = {"fast": (1, 3, 5, 10), "balanced": (1, 3, 5, 10)}
CLICKS_A_SECOND, CLICK_PEAK = 2.0, 5.6  # 15 dB above the level of the clip, as `degrade click` makes them
Array = np.ndarray
Clip = tuple[Array, int]
Row = tuple[str, str, Callable[[Array, int], object], list[Clip]]


def clipped(clip: Clip, sdr_db: float) -> Clip:
    x, rate = clip
    level = float(threshold_for_sdr(torch.from_numpy(x).reshape(1, -1), sdr_db))
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


def in_stereo(data: Path, split: str, count: int) -> Iterator[Clip]:
    """(2, time) from the middle of recordings with two channels, evenly spread over them."""
    paths = [path for folder in FOLDERS[split] for path in sorted((data / split / folder).iterdir())]
    paths = [path for path in paths if path.suffix in SOUNDS and soundfile.info(path).channels == 2]
    for path in paths[:: max(len(paths) // count, 1)][:count]:
        samples, rate = soundfile.read(path)
        first = (len(samples) - CLIP_S * rate) // 2
        yield np.ascontiguousarray(samples[first : first + CLIP_S * rate].T), rate


def declipping(sounds: list[Clip], option: str, levels: Mapping[str, tuple[int, ...]]) -> list[Row]:
    """Rows of `declip`, with this option of each name, of sounds clipped to its levels."""
    return [
        (
            name,
            f"clipped to {level} dB",
            partial(audiomend.declip, **{option: name}),
            [clipped(x, level) for x in sounds],
        )
        for name, each in levels.items()
        for level in each
    ]


def main() -> None:
    parser = options(__doc__, "test", clips=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stereo", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    chosen = arguments.data, arguments.set, arguments.clips
    if arguments.stereo:
        sounds = list(in_stereo(*chosen))
        rows = declipping(sounds, "quality", QUALITIES)
    else:
        sounds = [clip for clip in clips(*chosen, CLIP_S) if clip[0].any()]
        rows = declipping(sounds, "method", LEVELS)
        rows.append(("declick", "2 clicks a second", audiomend.declick, [clicked(x) for x in sounds]))
        rows.append(("inspect", "clipped to 5 dB", audiomend.inspect, [clipped(x, 5) for x in sounds]))
    print(f"{cpu_model()}, {arguments.threads} threads, {len(sounds)} clips of {CLIP_S} s\n")
    print("| what | damage | median | worst |\n| --- | --- | ---: | ---: |")
    for name, damage, work, damaged in rows:
        found = multiples(work, damaged)
        print(row([name, damage, f"{statistics.median(found):.2f}", f"{max(found):.2f}"]), flush=True)


if __name__ == "__main__":
    main()
