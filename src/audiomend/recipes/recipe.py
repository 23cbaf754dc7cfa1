"""What a recipe decides."""

import math
from dataclasses import dataclass, field
from typing import Literal

from audiomend.data.level import RATE
from audiomend.data.pool import DEFAULT_WEIGHTS
from audiomend.errors import UsageError
from audiomend.networks.patch_unet import Architecture

LARGEST_SEED = 2**32  # torch's CPU generator looks at no more bits
Average = Literal["short", "long", "raw"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but the data and the machine.

    Attributes:
        name: of the model that comes out.
        architecture: sizes of the network.
        rate: samples per second; the pool holds 44,100.
        sigma_data: RMS that the data is scaled to.
        seed: of weights, crops, damages and noise.
        batch: crops per step.
        steps: length of the run; the learning rate falls to 0 over the last `decay_steps` (cosine).
        warmup_steps: over which it rises.
        muon_rate: learning rate of matrices and kernels (Muon, update scaled to the RMS of Adam's).
        adam_rate: of everything else.
        level_mean, level_spread: ln(sigma / sigma_data) ~ N(mean, spread).
        lowest_level, highest_level: sigma / sigma_data is clipped to them.
        bandwidth_dropped: share of crops whose bandwidth the network is not told.
        skip_above: a step whose loss is higher is left out.
        clip_norm: gradients are scaled down to this norm.
        average: weights that are validated and exported: the short or the long average, or the raw ones.
        validation_minutes: between validations.
        materials: share of each material in the crops.

    Raises:
        UsageError: a value outside its range; see `Architecture` for its sizes.
    """

    name: str
    architecture: Architecture
    rate: int = RATE
    sigma_data: float = 0.1
    seed: int = 1
    batch: int = 4
    steps: int = 250_000
    warmup_steps: int = 200
    decay_steps: int = 100_000
    muon_rate: float = 2e-3
    adam_rate: float = 1e-3
    level_mean: float = -1.0
    level_spread: float = 1.8
    lowest_level: float = 0.0015
    highest_level: float = 30.0
    bandwidth_dropped: float = 0.3
    skip_above: float = 4.0
    clip_norm: float = 1.0
    average: Average = "long"
    validation_minutes: float = 30.0
    materials: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))

    def __post_init__(self) -> None:
        if self.rate != RATE:
            raise UsageError(f"The recipe's rate is {self.rate}; only {RATE} Hz is allowed, the pool's.")
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"The recipe's {name} is {getattr(self, name)}; it must be above 0.")
        for name in _NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"The recipe's {name} is {getattr(self, name)}; it must be 0 or more.")
        if self.seed >= LARGEST_SEED:
            raise UsageError(f"The recipe's seed is {self.seed}; it must be below {LARGEST_SEED}.")
        if self.lowest_level > self.highest_level:
            low, high = self.lowest_level, self.highest_level
            raise UsageError(f"The recipe's lowest_level {low} is above its highest_level {high}.")
        if self.bandwidth_dropped > 1:
            raise UsageError(
                f"The recipe's bandwidth_dropped is {self.bandwidth_dropped}; it must lie between 0 and 1."
            )


_POSITIVE = (
    "sigma_data",
    "batch",
    "steps",
    "warmup_steps",
    "muon_rate",
    "adam_rate",
    "lowest_level",
    "highest_level",
    "skip_above",
    "clip_norm",
    "validation_minutes",
)
_NOT_NEGATIVE = ("seed", "decay_steps", "level_spread", "bandwidth_dropped")
