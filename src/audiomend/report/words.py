"""Numbers as people read them."""


def percent(share: float) -> str:
    """A share, 0 to 1, with two digits that say something: 100%, 41%, 2.1%, 0.032%."""
    value = 100 * share
    return f"{value:.0f}%" if value >= 10 else f"{value:.2g}%"
