"""How well a prior denoises withheld sound, per noise level and material.

The figure is the gain in dB over the best scalar shrinkage of the same segment: with the energies X of the
clean signal, N = n sigma^2 of the noise and E of the error, each over the n dimensions that count,

    gain = 10 log10( (X N / (X + N)) / E ).

All dimensions count for a material; for a damage only those that it took away: clipped samples, the gap, the
band above the cut-off. Segments, damages and noise are fixed, so figures of two priors compare.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.data.level import Signal
from audiomend.evaluation.metrics import energy_ratio_db
from audiomend.models.prior import Prior
from audiomend.noise import normal
from audiomend.training.segments import DAMAGES, Part, Segment, everything, lost_part, operator_of

LEVELS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # sigma / sigma_data
SEED = 7

Gains = dict[str, list[float]]
"""Mean gain in dB at each of LEVELS, by material ("piano") or damage ("gap")."""


@torch.inference_mode()
def denoising_gains(prior: Prior, segments: Sequence[Segment], told: bool) -> Gains:
    """Gains of a prior on segments of its length; each segment suffers one of the damages in turn.

    Args:
        told: show the prior the damaged segment, and count only what was lost.

    Returns:
        gains by damage, and without `told` by material too.
    """
    rows: dict[str, list[list[float]]] = {}
    kinds = list(DAMAGES)
    for number, segment in enumerate(segments):
        kind, clean = kinds[number % len(kinds)], torch.from_numpy(segment.clean)[None]
        damage = DAMAGES[kind](segment.clean)
        operator = operator_of(damage, clean.shape[-1])
        observation = operator.forward(clean)
        denoise = prior.denoiser(condition=operator.condition(observation) if told else None)
        parts = {kind: lost_part(damage, observation)}
        if not told:
            parts[segment.material] = everything(clean.shape[-1])
        gains: Gains = {name: [] for name in parts}
        for index, level in enumerate(LEVELS):
            sigma = level * prior.card.sigma_data
            noise = torch.from_numpy(normal(SEED, number, index, 0, 0, clean.shape[-1]))
            estimate = denoise(clean + sigma * noise, sigma, 0.0).clean
            error = (estimate - clean)[0].numpy()
            for name, part in parts.items():
                gains[name].append(gain_db(segment.clean, error, sigma, part))
        for name, row in gains.items():
            rows.setdefault(name, []).append(row)
    return {name: np.mean(row, axis=0).round(3).tolist() for name, row in sorted(rows.items())}


def gain_db(clean: Signal, error: Signal, sigma: float, part: Part) -> float:
    """Gain over the best scalar shrinkage in the part's dimensions; 0 where the clean part is silent.

    clean, error: (time,); sigma: of the white noise that was removed.
    """
    signal, noise = _energy(part.of(clean)), part.dimensions * sigma**2
    if signal == 0:
        return 0.0
    return energy_ratio_db(signal * noise / (signal + noise), _energy(part.of(error)))


def _energy(x: NDArray[np.floating]) -> float:
    return float(np.sum(np.square(x, dtype=np.float64)))
