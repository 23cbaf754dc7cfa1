"""Draw docs/images/before_after.png: a real recording, clipped and mended, with its measured figures.

Run: python docs/before_after.py RECORDING [--sdr-db 7] [--quality balanced]

The picture in the README shows test/music/02_piano_wtc_bwv850.flac (Kimiko Ishizaka, CC0).
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
import torch

import audiomend
from audiomend.evaluation.metrics import evaluate
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr
from audiomend.report.spectrogram import before_after


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the before-and-after picture of the README.")
    parser.add_argument("recording", help="a clean recording")
    parser.add_argument(
        "--sdr-db", type=float, default=7.0, help="signal-to-distortion ratio of the clipping, dB"
    )
    parser.add_argument("--quality", default="balanced", help="fast, balanced or best")
    arguments = parser.parse_args()

    audiomend.tune_process()
    samples, rate = soundfile.read(arguments.recording, always_2d=True)
    clean = np.ascontiguousarray(samples.T)
    # One level for all channels, as a converter clips.
    level = float(threshold_for_sdr(torch.from_numpy(clean.reshape(1, -1)), arguments.sdr_db))
    clipped = HardClip(-level, level).forward(torch.from_numpy(clean)).numpy()
    mended = audiomend.declip(clipped, rate, quality=arguments.quality)
    lost = clipped != clean
    figures = [evaluate(clean, sound, rate, damaged=lost) for sound in (clipped, mended)]
    captions = [
        f"{name}: {figure['damaged_sdr_db']:.1f} dB on the clipped samples"
        for name, figure in zip(("clipped", "mended"), figures, strict=True)
    ]
    path = Path(__file__).parent / "images" / "before_after.png"
    before_after(path, clipped, mended, rate, captions=(captions[0], captions[1]))
    for name, figure in zip(("clipped", "mended"), figures, strict=True):
        print(name, {key: value for key, value in figure.items() if value is not None})


if __name__ == "__main__":
    main()
