"""What is known of the band that posterior samples span: measured once for each model, told on every page."""

from audiomend.report.words import percent

# Model and verb to how often the truth lay within the levels of 19 samples, a bin each: 90% if the band held.
# Printed by benchmarks/coverage.py on the test recordings; the table stands in docs/results.md.
MEASURED: dict[tuple[str, str], float] = {}
NOMINAL = 0.9
TOLERANCE = 0.05
WHAT = {"declip": "clipped sound", "inpaint": "gaps", "extend": "missing bands"}


def held(model: str, verb: str) -> str:
    """A sentence on whether the samples of a model are known to span the truth as often as they should."""
    inside = MEASURED.get((model, verb))
    if inside is None:
        return f"Whether samples of this model span the truth was not measured for {WHAT[verb]}."
    found = (
        f"in {WHAT[verb]} of test recordings the truth lay within 19 samples in {percent(inside)} of the"
        f" bins; {percent(NOMINAL)} would be right"
    )
    if inside < NOMINAL - TOLERANCE:
        return f"This band does not hold: {found}. The truth may lie well outside of what the samples show."
    if inside > NOMINAL + TOLERANCE:
        return f"This band is too wide: {found}."
    return f"This band holds: {found}."
