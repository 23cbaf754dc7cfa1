"""What is measured: our restorers by a short text, and the damaged clip itself."""

import ast
from dataclasses import dataclass

import numpy as np

from audiomend.errors import UsageError, unknown
from audiomend.evaluation.damages import BAND_HZ, Clip, Damage
from audiomend.restorers.methods import names
from audiomend.restorers.presets import PRESETS

UNPROCESSED = "damaged"
WALK = (  # fields of restorers.way.Way that the verbs do not take
    *("start", "end", "rho", "warm", "conditioned", "m", "stride", "kappa"),
    *("xi", "power", "limit", "sigma_y", "churn", "freshness", "repeats", "phi_1", "phi_2", "tolerance"),
)


@dataclass(frozen=True)
class Method:
    """A restorer with its options.

    Attributes:
        label: the text it was made from; names it in every table.
        name: what the verbs call `method` or `preset`, or "damaged" for the clip as it is.
        options: further keyword arguments of the verb, or fields of its walk.
    """

    label: str
    name: str
    options: tuple[tuple[str, object], ...] = ()


def parse_method(text: str) -> Method:
    """Reads "name" or "name@option=value,option=value", e.g. "diffusion@steps=8,solver=unipc", "cqtdiff-rg".

    A value is a Python literal (8, 0.5, True, None, these in any case) or else a plain text.
    """
    name, _, options = text.strip().partition("@")
    parts = [option.partition("=") for option in options.split(",")] if options else []
    pairs = tuple((key.strip(), _literal(value.strip())) for key, _, value in parts)
    if not name or any(not key or value == "" for key, value in pairs):
        raise UsageError(f"{text!r} is not a method; write name or name@option=value,option=value.")
    return Method(text.strip(), name, pairs)


def restore(method: Method, observation: Clip, rate: int, how: Damage, seed: int) -> Clip:
    """Mends a clip (channels, time) as a user would.

    Gaps are told, since a gap is known to whoever made it; the clip level and the cut-off are not: finding
    them belongs to the task. An option of the method (`cutoff_hz=3000`) may tell them nevertheless.
    """
    if method.name == UNPROCESSED:
        return observation
    import audiomend

    known: dict[str, object] = {}
    if how.gaps:
        known["gaps"] = [(start / rate, stop / rate) for start, stop in how.gaps]
    if how.task == "band":
        known["band"] = [BAND_HZ]
    verb = getattr(audiomend, "inpaint" if how.task == "band" else how.task)
    walk = {key: value for key, value in method.options if key in WALK}
    options = {key: value for key, value in method.options if key not in WALK} | (
        {"walk": walk} if walk else {}
    )
    if how.task == "declick":  # which has no prior, and leaves nothing to chance
        if method.name not in names("declick"):
            raise unknown("method", method.name, names("declick"))
        return np.asarray(verb(observation, rate, method=method.name, **options), dtype=np.float32)
    named = "preset" if method.name in PRESETS else "method"
    mended = verb(observation, rate, **({named: method.name, "seed": seed} | known | options))
    return np.asarray(mended, dtype=np.float32)


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text.title() if text.lower() in ("true", "false", "none") else text)
    except (ValueError, SyntaxError):
        return text
