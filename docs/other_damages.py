"""Damages that no verb finds: phases that were lost, and samples that were taken at random.

Run: python docs/other_damages.py RECORDING [--steps 69] [--model NAME]

Prints how far three seconds of the recording come back from the magnitudes of their short-time spectrum, and
from five per cent of their samples: two tasks of CQT-Diff (Moliner et al. 2023). Silence would get 0 dB.
"""

import argparse
import sys

import soundfile
import torch
from torch import Tensor

import audiomend
from audiomend.operators.mask import Mask
from audiomend.operators.stft_magnitude import StftMagnitude
from audiomend.restorers.presets import find

SECONDS = 3.0
KEPT = 0.05  # of the samples


def from_magnitudes(x: Tensor, rate: int, steps: int | None, model: str | None) -> tuple[Tensor, float]:
    """(channels, frames) -> the signal from its magnitudes, and by how many dB they are met."""
    operator = StftMagnitude()
    magnitudes = operator.forward(x)
    found = audiomend.invert(
        magnitudes, operator, x.shape[-1], rate, preset="cqtdiff-rg", steps=steps, model=model
    )
    return found, ratio_db(magnitudes, operator.forward(found))


def from_random_samples(x: Tensor, rate: int, steps: int | None, model: str | None) -> tuple[Tensor, float]:
    """(channels, frames) -> the signal from a share of its samples, and its SDR in dB."""
    operator = Mask.random(x.shape[-1], KEPT, torch.Generator().manual_seed(0))
    task = {"preset": "cqtdiff", "task": "random-samples"}
    found = audiomend.invert(
        operator.forward(x), operator, x.shape[-1], rate, **task, steps=steps, model=model
    )
    return found, ratio_db(x, found)


def ratio_db(reference: Tensor, estimate: Tensor) -> float:
    return (20 * torch.log10(reference.norm() / (reference - estimate).norm())).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("--steps", type=int, help="evaluations of the network, 69 as published")
    parser.add_argument("--model", help="a model's name or folder")
    arguments = parser.parse_args()
    fewest = find("cqtdiff-dc-rg").fewest_steps("inpaint")  # as many as of cqtdiff-rg
    if arguments.steps is not None and arguments.steps < fewest:
        print(f"With fewer than {fewest} steps the result may be worse than silence.", file=sys.stderr)
    samples, rate = soundfile.read(arguments.recording, dtype="float32", always_2d=True)
    x = torch.from_numpy(samples[: round(SECONDS * rate)].T.copy())
    x *= audiomend.load_model(arguments.model).card.sigma_data / x.square().mean().sqrt()
    for what, invert in {"magnitudes": from_magnitudes, "random samples": from_random_samples}.items():
        _, decibels = invert(x, rate, arguments.steps, arguments.model)
        print(f"from {what}: {decibels:.1f} dB")


if __name__ == "__main__":
    main()
