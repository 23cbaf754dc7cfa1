"""The shipped prior: one denoiser for all material at 44.1 kHz."""

from dataclasses import dataclass, field

from audiomend.networks.patch_unet import Architecture


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but the data and the machine.

    Attributes:
        name: of the model that comes out.
        architecture: sizes of the network.
        rate: samples per second.
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
    """

    name: str
    architecture: Architecture
    rate: int = 44_100
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
    materials: dict[str, float] = field(
        default_factory=lambda: {
            "piano": 0.35,
            "instruments": 0.25,
            "music": 0.12,
            "singing": 0.08,
            "speech": 0.20,
        }
    )


def prior() -> Recipe:
    """The prior in the package: 5.05 M parameters, 11 GFLOP for 2.97 s of sound."""
    return Recipe(name="prior", architecture=Architecture())


def tiny() -> Recipe:
    """A network small enough to train in a test: learns little, shows that everything works."""
    small = Architecture(length=8192, widths=(8, 16), window=256, hop=64, long_window=1024)
    return Recipe(name="tiny", architecture=small, batch=2, steps=40, warmup_steps=4, decay_steps=10)
