"""Cut-off frequencies that a digital filter can have."""

from audiomend.errors import OptionError


def checked_cutoff(cutoff_hz: float, sample_rate: float) -> float:
    """The cut-off, if it lies above 0 and below half the rate.

    Raises:
        UsageError: if it does not.
    """
    if not 0 < cutoff_hz < sample_rate / 2:
        raise OptionError(
            "cutoff_hz",
            f"is {cutoff_hz:g}; at {sample_rate:g} Hz it must be above 0 and below {sample_rate / 2:g} Hz.",
        )
    return cutoff_hz
