"""presets: the published restorers that --preset takes, walks of the prior and methods without one."""

from typing import Any

from audiomend.cli.console import print_json
from audiomend.cli.options import JsonResult

EXAMPLE = "Examples:\n\n  audiomend presets\n\n  audiomend presets --json"
VERBS = ("declip", "inpaint", "extend")
MANY_STEPS = 100  # of which the first and the last, which may cost less, are a small share


def presets(json: JsonResult = False) -> None:
    """List the published restorers that --preset takes by name: paper, equation, cost.

    The preset published goes with a --method: it runs that with the settings of its paper. A network
    evaluation with a gradient takes about three times as long as one without. With less than half of a
    preset's evaluations, by --steps or --quality, it may do worse than no preset at all.
    """
    from rich.console import Console
    from rich.table import Table

    from audiomend.restorers.presets import PRESETS, PUBLISHED

    if json:
        rows = [
            {
                "name": name,
                "paper": preset.paper,
                "equation": preset.equation,
                "note": preset.note,
                "settings": {verb: preset.for_task(verb) for verb in VERBS},
                "fewest_steps": {verb: preset.fewest_steps(verb) for verb in VERBS},
                "cost": _costs(name),
            }
            for name, preset in PRESETS.items()
        ]
        print_json("presets", {"presets": rows, PUBLISHED: _published()})
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "paper", "equation", "evaluations"):
        table.add_column(title, no_wrap=title == "name")
    for name, preset in PRESETS.items():
        table.add_row(name, preset.paper, preset.equation, _in_words(_costs(name)))
    methods = Table(box=None, pad_edge=False)
    for title in ("name", "method", "paper", "equation", "cost"):
        methods.add_column(title, no_wrap=title in ("name", "method"))
    for row in _published():
        methods.add_row(*(row[title] for title in ("name", "method", "paper", "equation", "cost")))
    for one in (table, "", methods):
        Console(highlight=False).print(one)


def _published() -> list[dict[str, str]]:
    """A row for each method that the preset published goes with."""
    from audiomend.restorers.presets import PUBLISHED, PUBLISHED_METHODS

    return [
        {"name": PUBLISHED, "verb": verb, "method": method, **vars(settings)}
        for verb, methods in PUBLISHED_METHODS.items()
        for method, settings in methods.items()
    ]


def _costs(name: str) -> dict[str, dict[str, Any]]:
    """Of each verb."""
    from audiomend.restorers.presets import PRESETS

    values = {verb: PRESETS[name].for_task(verb) for verb in VERBS}
    first, *others = VERBS
    costs = {first: _cost(name, first)}
    for verb in others:
        costs[verb] = costs[first] if values[verb] == values[first] else _cost(name, verb)
    return costs


def _cost(name: str, verb: str) -> dict[str, Any]:
    """Steps of the schedule, evaluations of the network for a window, and how many take a gradient."""
    from audiomend.restorers.guiding import GUIDANCE
    from audiomend.restorers.settings import way
    from audiomend.restorers.way import DIFFERENTIATED

    chosen = way(verb, None, None, preset=name)
    evaluations = chosen.evaluations
    gradient = GUIDANCE[chosen.guidance].gradient or chosen.sampler in DIFFERENTIATED
    return {
        "steps": len(chosen.levels(1.0)) - 1,
        "evaluations_per_step": round(chosen.cost(MANY_STEPS) / MANY_STEPS, 1),
        "evaluations": evaluations,
        "gradients": evaluations if gradient else 0,
    }


def _in_words(costs: dict[str, dict[str, Any]]) -> str:
    first = costs[VERBS[0]]
    own = sorted({cost["evaluations"] for cost in costs.values()})
    counts = " or ".join(f"{count:,}" for count in own)
    gradients = ", with gradients" if first["gradients"] else ""
    return f"{first['evaluations_per_step']:g} a step, {counts} in all{gradients}"
