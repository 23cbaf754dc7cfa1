"""What a conditioned network sees beside the noisy state."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """The observation and what is known of it, one row per network input.

    Attributes:
        observation: (batch, time) the damaged signal, at the level of the prior.
        unknown: (batch, time) 1 where the clean sample is not known, 0 where it is.
        clip: (batch, time) the signed clip level on clipped samples, 0 elsewhere.
        cutoff_hz: (batch,) nothing is known above this frequency; inf without a cut-off.
    """

    observation: Tensor
    unknown: Tensor
    clip: Tensor
    cutoff_hz: Tensor
