"""What is known of the band that posterior samples span: measured once for each model, told on every page."""

from audiomend.words import percent

# Model and verb to how often the truth lay within the levels of 19 samples in a bin, where 90% is right;
# and to the error of their mean over the one that their spread foretells, where 1 is right. Printed by
# benchmarks/coverage.py on the test recordings, row "all"; the table stands in docs/results.md.
MEASURED: dict[tuple[str, str], tuple[float, float]] = {
    ("prior", "inpaint"): (0.85, 1.84),
    ("prior", "extend"): (0.92, 0.87),
    ("prior", "declip"): (0.71, 1.06),
}
NOMINAL = 0.9
TOLERANCE = 0.05
SMALLEST_RATIO, LARGEST_RATIO = 0.8, 1.2
WHAT = {"declip": "clipped sound", "inpaint": "gaps", "extend": "missing bands"}


def held(model: str, verb: str) -> str:
    """A sentence on whether the samples of a model are known to span the truth as often as they should."""
    if (model, verb) not in MEASURED:
        return f"Whether samples of this model span the truth was not measured for {WHAT[verb]}."
    inside, ratio = MEASURED[model, verb]
    found = (
        f"in {WHAT[verb]} of test recordings the truth lay within the levels of 19 samples in"
        f" {percent(inside)}"
        f" of the bins, where {percent(NOMINAL)} would be right, and was {ratio:.1f} times as far from"
        " their mean as their differences tell"
    )
    if inside < NOMINAL - TOLERANCE or ratio > LARGEST_RATIO:
        return f"This band does not hold: {found}. The truth may lie well outside of what the samples show."
    if inside > NOMINAL + TOLERANCE or ratio < SMALLEST_RATIO:
        return f"This band is too wide: {found}. Less may be unknown than the samples show."
    return f"This band holds: {found}."
