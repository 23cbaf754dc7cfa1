"""Draw docs/images/path.png: the road from noise to sound, for a phrase with a hole in it.

Run: python docs/path.py

Columns are steps of one walk of `inpaint`; above the state x_t, below the estimate of the clean sound after
guidance. The phrase is the one of `audiomend demo`.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from audiomend.denoisers.windowed import Windows
from audiomend.models.prior import load
from audiomend.processes.edm import EDM
from audiomend.report.phrase import synthesise
from audiomend.report.spectrogram import levels, paint
from audiomend.restorers.damage import Gaps
from audiomend.restorers.diffusion import Restoration, windows_for
from audiomend.restorers.memory import ArrayReader
from audiomend.restorers.settings import way
from audiomend.samplers.base import Walk, seeded
from audiomend.samplers.trajectory import Step, trajectory

STEPS = 16
SHOWN = (0, 3, 6, 9, 12, 15)
PANEL = (230, 190)
GAP_S = (1.20, 1.32)
MARGIN, LABEL = 12, 34


def walk(samples: np.ndarray, rate: int) -> list[Step]:
    prior = load()
    gap = (round(GAP_S[0] * rate), round(GAP_S[1] * rate))
    damage = Gaps(((gap,),) * len(samples), severity=GAP_S[1] - GAP_S[0])
    chosen = way("inpaint", "balanced", STEPS, severity=damage.severity)
    gain = 0.1 / float(np.sqrt(np.mean(samples**2)))
    source = ArrayReader(samples, rate)
    problem = Restoration(source, damage, prior, chosen, gain, 0, 0, lambda _: None)
    windows: Windows = windows_for(prior, rate)
    levels_of_noise = chosen.levels(prior.card.sigma_data)
    how = Walk(EDM(), levels_of_noise, chosen.stages, seeded(0), windows)
    with torch.inference_mode():
        return list(trajectory(problem, how, problem.observation, samples.shape[1]))


def main() -> None:
    samples, rate = synthesise()
    samples = samples[:, : round(2.6 * rate)]
    samples[:, round(GAP_S[0] * rate) : round(GAP_S[1] * rate)] = 0
    steps = walk(samples, rate)
    width = MARGIN + len(SHOWN) * (PANEL[0] + MARGIN)
    image = Image.new("RGB", (width, 2 * (PANEL[1] + LABEL) + MARGIN), "#12121a")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for column, index in enumerate(SHOWN):
        step = steps[index]
        before = steps[index - 1].state.x if index else None
        x = MARGIN + column * (PANEL[0] + MARGIN)
        state = step.state.x if before is None else before
        for row, (sound, label) in enumerate(
            ((state, f"state, noise {step.t:.3g}"), (step.estimate.clean, "estimate, guided"))
        ):
            y = LABEL + row * (PANEL[1] + LABEL)
            picture = levels(sound[:1].numpy(), rate, *PANEL)
            image.paste(paint(picture, 0.0), (x, y))
            draw.text((x, y - 24), label, fill="#f2f0f5", font=font)
    image.save(Path(__file__).parent / "images" / "path.png", optimize=True)


if __name__ == "__main__":
    main()
