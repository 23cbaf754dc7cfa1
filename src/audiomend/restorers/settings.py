"""How each damage is walked: chosen on training recordings, shown in docs/choices.md with the command."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audiomend import schedules
from audiomend.errors import UsageError
from audiomend.solvers.base import Solver
from audiomend.solvers.dpm import dpm_pp_2m
from audiomend.solvers.first_order import first_order
from audiomend.solvers.momentum import momentum
from audiomend.solvers.unipc import unipc

QUALITY_STEPS = {"fast": 8, "balanced": 16, "best": 32}
LIGHT_SHARE, HEAVY_SHARE = 0.2, 0.45  # of clipped samples: input SDRs of about 8 and 4 dB
LIGHT_MOMENTUM, HEAVY_MOMENTUM = (
    (0.6, 2.0),
    (0.85, 3.0),
)  # m and stride up to the one share, from the other on
LONG_GAP_S = 0.08


@dataclass(frozen=True)
class Way:
    """How a damage is walked.

    Attributes:
        start: first noise level in units of sigma_data.
        end: last one before 0.
        rho: of the Karras schedule between them.
        solver: name of SOLVERS.
        warm: whether the walk starts from a guess (`Damage.warm`) with noise or from noise alone.
        conditioned: whether the network is shown the observation.
        m, stride, kappa: of the solver `momentum`.
        steps: network evaluations.
    """

    start: float
    end: float
    rho: float
    solver: str
    warm: bool
    conditioned: bool
    m: float
    stride: float
    kappa: float
    steps: int

    def levels(self, sigma_data: float) -> list[float]:
        """Noise levels, the last one 0."""
        return schedules.karras(self.steps, self.end * sigma_data, self.start * sigma_data, self.rho)


SOLVERS: dict[str, Callable[[Way], Solver]] = {
    "euler": lambda way: first_order(0.0),
    "ancestral": lambda way: first_order("ancestral"),
    "renoise": lambda way: first_order(1.0),
    "2m": lambda way: dpm_pp_2m(),
    "unipc": lambda way: unipc(),
    "momentum": lambda way: momentum(way.m, way.kappa, way.stride),
}

_WAYS = {
    "declip": Way(
        3.0, 0.02, 3.0, "momentum", warm=True, conditioned=False, m=0.6, stride=2.0, kappa=0.1, steps=16
    ),
    "inpaint": Way(
        10.0, 0.003, 5.0, "momentum", warm=True, conditioned=False, m=0.4, stride=1.0, kappa=0.4, steps=16
    ),
    "extend": Way(
        0.03, 0.003, 5.0, "2m", warm=True, conditioned=True, m=0.0, stride=1.0, kappa=1.0, steps=16
    ),
}
_WAYS["inpaint-band"] = replace(_WAYS["inpaint"], start=3.0, solver="2m", conditioned=True)
_LONG_GAP = replace(_WAYS["inpaint"], start=30.0, solver="2m", conditioned=True)


def way(
    verb: str,
    quality: str,
    steps: int | None,
    changes: Mapping[str, object] | None = None,
    severity: float = 0.0,
) -> Way:
    """The way for a damage at a quality, or with a number of evaluations of the user's own.

    changes: other values for fields of `Way`.
    severity: of the damage, see `Damage.severity`: heavy clipping takes more momentum, and a long gap a draw
        in place of an estimate, which would leave it nearly empty.

    Raises:
        UsageError: unknown quality, solver or field, or fewer than one step.
    """
    if quality not in QUALITY_STEPS:
        raise UsageError(f"The quality {quality} is unknown; it is one of {', '.join(QUALITY_STEPS)}.")
    if steps is not None and steps < 1:
        raise UsageError(f"{steps} steps are too few: a walk takes at least 1.")
    chosen = _LONG_GAP if verb == "inpaint" and severity > LONG_GAP_S else _WAYS[verb]
    fields: dict[str, Any] = {**vars(chosen), "steps": steps or QUALITY_STEPS[quality]}
    if verb == "declip":
        fields["m"], fields["stride"] = momentum_for(severity)
    fields |= changes or {}
    if odd := set(fields) - set(vars(chosen)):
        raise UsageError(f"A walk has no {', '.join(sorted(odd))}; it has {', '.join(vars(chosen))}.")
    changed = Way(**fields)
    if changed.solver not in SOLVERS:
        raise UsageError(f"The solver {changed.solver} is unknown; it is one of {', '.join(SOLVERS)}.")
    return changed


def momentum_for(share: float) -> tuple[float, float]:
    """m and stride for a share of clipped samples: they rise from the light to the heavy ones in between."""
    place = min(max((share - LIGHT_SHARE) / (HEAVY_SHARE - LIGHT_SHARE), 0.0), 1.0)
    m, stride = (low + (high - low) * place for low, high in zip(LIGHT_MOMENTUM, HEAVY_MOMENTUM, strict=True))
    return m, stride
