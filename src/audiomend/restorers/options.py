"""What a user may choose, the same for every verb."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiomend.errors import OptionError, unknown
from audiomend.models.precision import check
from audiomend.models.prior import Prior, load_model
from audiomend.restorers.presets import PUBLISHED, find
from audiomend.restorers.regions import Interval

QUALITY_STEPS = {"fast": 8, "balanced": 16, "best": 32}


@dataclass(frozen=True)
class Options:
    """What a user may choose, the same for every verb.

    Attributes:
        method: a name of `methods.names` for the verb.
        model: a shipped model's name, a model's folder, what `load_model` gave, or None for the default.
        quality: fast, balanced or best: 8, 16 or 32 network evaluations, for a draw 16 at least; None is
            balanced, or the preset's own number.
        steps: evaluations, instead of a quality.
        preset: a published way to walk, of `presets.PRESETS`; or published: the method, which is one of
            `presets.PUBLISHED_METHODS`, as its paper has it.
        guidance, solver, sampler: names of `guiding.GUIDANCE`, `way.SOLVERS` and `walking.SAMPLERS`, instead
            of the preset's or the verb's.
        seed: of all noise.
        strength: 0 leaves the damage, 1 mends it; between, a share of the change is made.
        regions: sample intervals outside which nothing changes; empty means everywhere.
        precision: auto, float32 or bfloat16, of a model that is yet to be loaded, like the next.
        device: auto, cpu, cuda or mps.
        walk: other values for fields of `Way`, for comparisons.
        draw: walk to a sample of the posterior, instead of the most accurate signal.

    Raises:
        UsageError: a value that no way to mend could have, whether the way taken has a use for it or not.
    """

    method: str = "auto"
    model: str | Path | Prior | None = None
    quality: str | None = None
    steps: int | None = None
    preset: str | None = None
    guidance: str | None = None
    solver: str | None = None
    sampler: str | None = None
    seed: int = 0
    strength: float = 1.0
    regions: tuple[Interval, ...] = ()
    precision: str = "auto"
    device: str = "auto"
    walk: Mapping[str, object] = field(default_factory=dict[str, object])
    draw: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise OptionError("strength", f"is {self.strength:g}; it must lie between 0 and 1.")
        if not 0 <= self.seed < 2**64:
            raise OptionError("seed", f"is {self.seed}; it must be a whole number from 0 to 2^64 - 1.")
        if self.quality is not None and self.quality not in QUALITY_STEPS:
            raise unknown("quality", self.quality, QUALITY_STEPS)
        if self.steps is not None and self.steps < 1:
            raise OptionError("steps", f"is {self.steps}; it must be 1 or more.")
        if self.preset not in (None, PUBLISHED):
            find(self.preset)
        check(self.precision, self.device)
        for name in ("precision", "device"):
            if isinstance(self.model, Prior) and getattr(self, name) != "auto":
                raise OptionError(name, "is nothing for a model that is loaded already; load_model takes it.")

    def prior(self) -> Prior:
        """The model; one that was named is loaded once.

        Raises:
            ModelError: as `load_model`.
        """
        if isinstance(self.model, Prior):
            return self.model
        return load_model(self.model, self.precision, self.device)

    @property
    def changes(self) -> dict[str, object]:
        """Fields of `Way` that were chosen."""
        named = {"guidance": self.guidance, "solver": self.solver, "sampler": self.sampler}
        return {**{key: name for key, name in named.items() if name is not None}, **self.walk}

    @property
    def walked(self) -> tuple[str, ...]:
        """The options given that only a prior's walk obeys, by name."""
        preset = None if self.preset == PUBLISHED else self.preset
        samples = True if self.draw else None
        given = {"model": self.model, "steps": self.steps, "preset": preset, "samples": samples}
        return (*(key for key, value in given.items() if value is not None), *self.changes)
