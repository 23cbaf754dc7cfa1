"""Published restorers as choices of the engine: plain values of `Way`, no torch here.

A preset has the published settings, quirks included; the verbs' defaults are what measures best here. The
noise levels of CQT-Diff are in units of its sigma_data, 0.057: with its own network they are the published
ones. Methods that were published for images walk between the same levels, in their own number of steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from audiomend.errors import OptionError, unknown
from audiomend.words import listed

Values = Mapping[str, object]


@dataclass(frozen=True)
class Preset:
    """A published way to walk.

    Attributes:
        paper: authors, title or name, year.
        equation: what of the paper it follows.
        note: which settings are not published, or not followed.
        way: fields of `Way`, for every verb; `steps` are evaluations.
        tasks: further ones for some verbs, and for tasks of the paper that have no verb.
    """

    paper: str
    equation: str
    note: str
    way: Values
    tasks: Mapping[str, Values] = field(default_factory=dict[str, Values])

    def for_task(self, task: str) -> Values:
        return {**self.way, **self.tasks.get(task, {})}

    def steps(self, verb: str) -> int:
        """Evaluations of the network as published."""
        return cast(int, self.for_task(verb)["steps"])

    def fewest_steps(self, verb: str) -> int:
        """Evaluations below which no result like the published one is to be expected: half as many."""
        return -(-self.steps(verb) // 2)


_SIGMA_DATA = 0.057
_LEVELS: Values = {
    "start": 1.0 / _SIGMA_DATA,
    "end": 1e-4 / _SIGMA_DATA,
    "rho": 13.0,
    "warm": False,
    "conditioned": False,
}
_HEUN: Values = {**_LEVELS, "solver": "heun-cqtdiff", "churn": 5.0, "steps": 69}  # T = 35
_DECLIP: Values = {"steps": 279}  # T = 140
_CQTDIFF = "Moliner et al. 2023 (CQT-Diff)"
_POSTER = "Hernandez-Olivan et al. 2024 (poster)"
_UNSTATED = "schedule, strength and churn are CQT-Diff's: the poster states none"
_RISING: Values = {"guidance": "rg-dc", "power": -0.25}
_CYCLES: Values = {"sampler": "repaint", "repeats": 1, "phi_1": 1.0, "phi_2": 2.0}
_FILTER: Values = {"limit": 1.0}
_SCRIPTS: Mapping[str, Values] = {
    "inpaint": {"guidance": "rg-dc"},
    "extend": _FILTER,
    "generate": {"churn": 10.0, "steps": 139},  # T = 70
    "high-pass": {**_FILTER, "xi": 0.25, "churn": 10.0},
    "chebyshev": _FILTER,
    "biquad": {**_FILTER, "xi": 0.35},
    "resample": {**_FILTER, "xi": 0.25},
    "decimate": {**_FILTER, "xi": 0.25},
    "random-samples": {"xi": 0.25},
}

PRESETS: dict[str, Preset] = {
    "cqtdiff": Preset(
        _CQTDIFF,
        "the released scripts of each task",
        "without the low-pass at 10 kHz that the scripts end with",
        {**_HEUN, "guidance": "rg", "xi": 0.2},
        _SCRIPTS,
    ),
    "cqtdiff-dc": Preset(
        _CQTDIFF,
        "section 2.2, data consistency",
        "the paper declips with guidance only",
        {**_HEUN, "guidance": "replace"},
        {"declip": _DECLIP},
    ),
    "cqtdiff-rg": Preset(
        _CQTDIFF,
        "equation 4 as coded",
        "strength: of the paper for gaps, of the scripts for the others",
        {**_HEUN, "guidance": "rg", "xi": 0.2},
        {"declip": _DECLIP, "inpaint": {"xi": 0.35}, "extend": _FILTER},
    ),
    "cqtdiff-dc-rg": Preset(
        _CQTDIFF,
        "equation 4 as coded, then data consistency",
        "the paper declips with guidance only",
        {**_HEUN, "guidance": "rg-dc", "xi": 0.2},
        {"declip": _DECLIP, "inpaint": {"xi": 0.35}, "extend": {"xi": 0.1, **_FILTER}},
    ),
    "poster-rg": Preset(_POSTER, "table 1, RG", _UNSTATED, {**_HEUN, "guidance": "rg"}),
    "poster-rg-dc": Preset(_POSTER, "table 1, RG + DC", _UNSTATED, {**_HEUN, "guidance": "rg-dc"}),
    "poster-rg-drho-dc": Preset(
        _POSTER,
        "table 1, RG δρ + DC",
        _UNSTATED + ", nor how the strength changes: here as level^(-1/4)",
        {**_HEUN, **_RISING},
    ),
    "poster-pigdm-dc": Preset(_POSTER, "table 1, PIGDM + DC", _UNSTATED, {**_HEUN, "guidance": "pigdm-dc"}),
    "poster-rg-drho-dc-rp": Preset(
        _POSTER,
        "table 1, RG δρ + DC + RP",
        _UNSTATED + ", nor how the strength changes and the number of cycles: here level^(-1/4) and 1 in the"
        " middle third",
        {**_HEUN, **_RISING, **_CYCLES, "steps": 93},
    ),
    "score-sde": Preset(
        "Song et al. 2021 (score SDE)",
        "algorithms 1, 2 and 4, imputation of appendix I.2",
        "Langevin steps of one size, 2 (0.16 s)², not by norms of the signal",
        {**_LEVELS, "solver": "predictor-corrector", "guidance": "projection", "steps": 2000},
    ),
    "repaint": Preset(
        "Lugmayr et al. 2022 (RePaint)",
        "algorithm 1",
        "jumps of 1 step, not of 10",
        {
            **_LEVELS,
            "solver": "ancestral",
            "guidance": "projection",
            "sampler": "repaint",
            "repeats": 9,
            "phi_1": 0.0,
            "phi_2": 3.0,
            "steps": 2500,
        },
    ),
    "ddrm": Preset(
        "Kawar et al. 2022 (DDRM)",
        "equations 7 and 8 with η 0.85, for singular values 0 and 1",
        "the noise of what was measured is renewed as that of the rest, not wholly",
        {**_LEVELS, "solver": "first-order", "freshness": 0.85, "guidance": "projection", "steps": 20},
    ),
    "ddnm": Preset(
        "Wang et al. 2023 (DDNM)",
        "algorithm 1 with η 0.85",
        "",
        {
            **_LEVELS,
            "solver": "first-order",
            "freshness": 0.85,
            "guidance": "pigdm-free",
            "steps": 100,
        },
    ),
    "dps": Preset(
        "Chung et al. 2023 (DPS)",
        "algorithm 1 with ζ 1 for data of RMS 0.5",
        "as variance-exploding process, the paper's is variance-preserving",
        {**_LEVELS, "solver": "ancestral", "guidance": "dps", "xi": 2.0, "steps": 1000},
    ),
    "pigdm": Preset(
        "Song et al. 2023 (PiGDM)",
        "algorithm 1 with η 1, without noise in the observation",
        "",
        {**_LEVELS, "solver": "renoise", "guidance": "pigdm", "steps": 100},
    ),
    "diffpir": Preset(
        "Zhu et al. 2023 (DiffPIR)",
        "algorithm 1 with λ 1, ζ 1 and σ_y 0.001, as its code fills gaps",
        "",
        {**_LEVELS, "solver": "renoise", "guidance": "proximal", "sigma_y": 0.002, "steps": 20},
    ),
    "daps": Preset(
        "Zhang et al. 2024 (DAPS)",
        "algorithm 1: 200 levels of 100 to 0.1 and σ_y 0.01 for data of RMS 0.5",
        "Langevin steps of a fixed stride",
        {
            **_LEVELS,
            "start": 200.0,
            "end": 0.2,
            "rho": 7.0,
            "sampler": "daps",
            "sigma_y": 0.02,
            "steps": 1000,
        },
    ),
    "tds": Preset(
        "Wu et al. 2023 (TDS)",
        "algorithm 1",
        "4 particles and 100 levels, of at most 6 s of sound",
        {**_LEVELS, "sampler": "tds", "steps": 400},
    ),
    "probability-flow": Preset(
        "Song et al. 2021 (score SDE)",
        "equation 13 by Runge-Kutta 4(5), imputation of appendix I.2",
        "steps by tolerance: about 100 evaluations",
        {**_LEVELS, "sampler": "rk45", "guidance": "projection", "steps": 100},
    ),
    "red-diff": Preset(
        "Mardani et al. 2023 (RED-diff)",
        "algorithm 1 with Adam's rate 0.1 for data of RMS 0.5 and weight 0.25",
        "",
        {**_LEVELS, "warm": True, "sampler": "red-diff", "steps": 1000},
    ),
}


PUBLISHED = "published"  # the preset of methods that need no prior: they have its settings in `methods`


@dataclass(frozen=True)
class Published:
    """What the preset `published` makes of a method.

    Attributes:
        paper: authors, title or name, year.
        equation: what of the paper it follows, and whose constants.
        note: what is to be known of it.
        cost: in words.
    """

    paper: str
    equation: str
    note: str
    cost: str


_SURVEY = "the constants of Záviška et al. 2021"
_SIEDENBURG = "Siedenburg et al. 2014 (social sparsity)"
_MOKRY = "the constants of Mokrý et al.'s code of 2024"
_SHORT = "a restored peak may fall short of the level that cut it off"
_WHOLE = f"{_SHORT}; more than 10 s of sound may be mended in stretches of 30 s, with 10 s on either side"

PUBLISHED_METHODS: Mapping[str, Mapping[str, Published]] = {
    "declip": {
        "a-spade": Published(
            "Kitić et al. 2015 (A-SPADE)",
            f"algorithm 1, the best iterate kept, {_SURVEY}",
            "",
            "4 to 20 s of processor time for a second of sound",
        ),
        "s-spade": Published(
            "Záviška et al. 2019 (S-SPADE)",
            f"algorithm 3, {_SURVEY}",
            "",
            "10 to 15 s of processor time for a second of sound",
        ),
        "ss-ew": Published(
            _SIEDENBURG,
            f"empirical Wiener shrinkage, {_SURVEY}",
            _WHOLE,
            "about 30 s of processor time for a second of sound",
        ),
        "ss-pew": Published(
            _SIEDENBURG,
            f"persistent empirical Wiener shrinkage, {_SURVEY}",
            _WHOLE,
            "about 30 s of processor time for a second of sound",
        ),
        "ar": Published(
            "Mokrý and Rajmic 2024 (AR)",
            "inpainting with λ 0",
            _SHORT,
            "0.2 to 1 s of processor time for a second of sound, the more of it is clipped",
        ),
    },
    "inpaint": {
        "janssen": Published(
            "Janssen et al. 1986",
            f"gap by gap, by Burg's method of order 1024, {_MOKRY}",
            "5 iterations; the code's figures are of 20",
            "0.2 to 0.3 s of processor time for a gap of 20 to 50 ms",
        ),
        "a-spain": Published(
            "Mokrý et al. 2019 (SPAIN)",
            f"A-SPAIN, {_MOKRY}",
            "",
            "0.5 to 1 s of processor time for a gap of 20 to 50 ms",
        ),
    },
}


_GOES = f"it goes with methods of {listed(PUBLISHED_METHODS)}"


def find(name: str) -> Preset:
    """A preset of a walk by name.

    Raises:
        UsageError: there is none; the nearest is offered.
    """
    if name == PUBLISHED:
        raise OptionError("preset", f"{PUBLISHED} is no walk of the prior; {_GOES}.")
    if name not in PRESETS:
        raise unknown("preset", name, (*PRESETS, PUBLISHED))
    return PRESETS[name]


def check_published(verb: str, method: str, quality: str | None) -> None:
    """Whether `published` goes with the method of a verb and a quality.

    Raises:
        UsageError: the method has no published settings, or there is a quality, of which they have one.
    """
    if verb not in PUBLISHED_METHODS:
        raise OptionError("preset", f"{PUBLISHED} is nothing for {verb}; {_GOES}.")
    if method not in PUBLISHED_METHODS[verb]:
        known = listed(PUBLISHED_METHODS[verb], "or")
        raise OptionError("preset", f"{PUBLISHED} goes with the method {known}, not with {method}.")
    if quality is not None:
        raise OptionError("quality", f"is nothing for the preset {PUBLISHED}, whose work is its paper's.")
