"""How each damage is walked: chosen on training recordings, shown in docs/choices.md with the command."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from audiomend.errors import OptionError, UsageError, unknown
from audiomend.restorers.guiding import GUIDANCE, RECONSTRUCTION
from audiomend.restorers.options import QUALITY_STEPS
from audiomend.restorers.presets import find
from audiomend.restorers.walking import SAMPLERS
from audiomend.restorers.way import ADAPTIVE, MEASURING, SOLVERS, Way

USUAL_QUALITY = "balanced"
LIGHT_SHARE, HEAVY_SHARE = 0.2, 0.45  # of clipped samples: input SDRs of about 8 and 4 dB
LIGHT_MOMENTUM, HEAVY_MOMENTUM = (0.6, 2.0), (0.85, 3.0)  # m, stride up to the one share, from the other on
LONG_GAP_S = 0.08
LOUDEST = 100.0  # first level of a walk with nothing observed: a tone stands far above its spectrum's mean
FEWEST_DRAW = 16  # evaluations of a draw at any quality: 8 spread a known posterior by a fifth too much

_WAYS = {
    "declip": Way(
        3.0, 0.02, 3.0, "momentum", warm=True, conditioned=False, m=0.6, stride=2.0, kappa=0.1, steps=16
    ),
    "inpaint": Way(
        10.0, 0.003, 5.0, "momentum", warm=True, conditioned=False, m=0.4, stride=1.0, kappa=0.4, steps=16
    ),
    "extend": Way(
        0.01, 0.001, 5.0, "2m", warm=True, conditioned=True, m=0.0, stride=1.0, kappa=1.0, steps=16
    ),
}
_WAYS["generate"] = replace(_WAYS["inpaint"], start=LOUDEST, solver="unipc", warm=False, guidance="none")
_WAYS["inpaint-band"] = replace(_WAYS["inpaint"], start=1.0, solver="2m", conditioned=True)
_LONG_GAP = replace(_WAYS["inpaint"], start=30.0, solver="2m", conditioned=True)

_COLD_DRAW: Mapping[str, Any] = {
    "start": 10.0,
    "end": 0.003,
    "rho": 5.0,
    "solver": "unipc",
    "warm": False,
    "conditioned": True,
}
# An estimate starts low or goes beyond the denoiser; a draw starts where noise drowns what is missing, or is
# as loud as the guess errs (`guessing.for_draw`), and follows the probability flow.
_DRAWING: Mapping[str, Mapping[str, Any]] = {
    "declip": {"start": 1.5, "end": 0.003, "rho": 5.0, "solver": "unipc", "conditioned": True},
    "inpaint": _COLD_DRAW,
    "inpaint-band": _COLD_DRAW,
    "extend": {"start": 0.3, "rho": 5.0, "solver": "unipc"},
}

# Guidance pulls beyond the estimate by itself: with momentum it runs away.
_RECONSTRUCTING: Mapping[str, Mapping[str, Any]] = {
    "declip": {"m": 0.0, "stride": 1.0, "xi": 0.2},
    "inpaint": {"xi": 0.05},
}


def way(
    verb: str,
    quality: str | None,
    steps: int | None,
    changes: Mapping[str, object] | None = None,
    severity: float = 0.0,
    preset: str | None = None,
    draw: bool = False,
    task: str | None = None,
) -> Way:
    """The way for a damage: the usual one or a preset's, at a quality or a number of evaluations.

    quality: of QUALITY_STEPS; None takes the evaluations of the preset, without one those of USUAL_QUALITY.
    steps: 1 or more, instead of a quality.
    changes: other values for fields of `Way`.
    severity: of the damage, see `Damage.severity`: heavy clipping takes more momentum, and a long gap a draw
        in place of an estimate, which would leave it nearly empty.
    preset: name of `presets.PRESETS`.
    draw: a sample of the posterior instead of the most accurate signal, by FEWEST_DRAW evaluations or more
        unless `steps` says how many.
    task: that the preset's settings are for, if it is not the verb's.

    Raises:
        UsageError: unknown preset, solver, guidance, sampler or field.
    """
    usual = _LONG_GAP if verb == "inpaint" and severity > LONG_GAP_S else _WAYS[verb]
    if verb == "declip":
        m, stride = momentum_for(severity)
        usual = replace(usual, m=m, stride=stride)
    if draw:
        usual = replace(usual, **_DRAWING[verb])
    if preset is None and (changes or {}).get("guidance") in RECONSTRUCTION:
        usual = replace(usual, **_RECONSTRUCTING.get(verb, {}))
    wanted: dict[str, Any] = {} if preset is None else {**find(preset).for_task(task or verb)}
    if steps is not None or quality is not None or preset is None:
        fewest = FEWEST_DRAW if draw else 1
        wanted["steps"] = steps or max(QUALITY_STEPS[quality or USUAL_QUALITY], fewest)
    wanted |= changes or {}
    if odd := set(wanted) - set(vars(usual)):
        raise UsageError(f"A walk has no {', '.join(sorted(odd))}; it has {', '.join(vars(usual))}.")
    if wanted.get("sampler") == ADAPTIVE and (steps is not None or quality is not None):
        raise OptionError(
            "quality" if steps is None else "steps",
            f"is nothing for the sampler {ADAPTIVE}, which chooses its steps.",
        )
    if wanted.get("sampler") in MEASURING:
        wanted = {"guidance": "none"} | wanted
    chosen = replace(usual, **wanted)
    for what, names in {"solver": SOLVERS, "guidance": GUIDANCE, "sampler": SAMPLERS}.items():
        if (name := getattr(chosen, what)) not in names:
            raise unknown(what, name, names)
    return chosen


def momentum_for(share: float) -> tuple[float, float]:
    """m and stride for a share of clipped samples: they rise from the light to the heavy ones in between."""
    m, stride = (_between(share, *values) for values in zip(LIGHT_MOMENTUM, HEAVY_MOMENTUM, strict=True))
    return m, stride


def _between(share: float, light: float, heavy: float) -> float:
    """On a line from the value of light clipping to that of heavy clipping."""
    place = min(max((share - LIGHT_SHARE) / (HEAVY_SHARE - LIGHT_SHARE), 0.0), 1.0)
    return light + (heavy - light) * place
