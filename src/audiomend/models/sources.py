"""Published checkpoints that can be fetched by name. No torch here."""

import difflib
from dataclasses import dataclass

from audiomend.errors import ModelError


@dataclass(frozen=True)
class Source:
    """Where a published checkpoint lies.

    Attributes:
        name: as `audiomend models fetch` takes it.
        address: of the file, as its publisher's own scripts have it, for CQT-Diff+ as others' do.
        layout: how it is imported, of `published.LAYOUTS`.
        licence: what is known of the weights'.
        sha256: of the file; None where its publisher states none: then the first fetched file is trusted.
    """

    name: str
    address: str
    layout: str
    licence: str
    sha256: str | None = None


_MAESTRO = "the weights' licence is not stated; trained on MAESTRO (CC BY-NC-SA 4.0)"
_MUSICNET = "the weights' licence is not stated; trained on MusicNet (CC BY 4.0)"
_CQTDIFF = "https://github.com/eloimoliner/CQTdiff/releases/download/weights_and_examples"
_PLUS = "https://huggingface.co/Eloimoliner/audio-inpainting-diffusion/resolve/main"
_BABE_2 = "http://research.spa.aalto.fi/publications/papers/dafx-babe2/checkpoints"

# SaShiMi-Diff's public checkpoints are of an S4 layer older than the layout that is imported.
SOURCES = {
    source.name: source
    for source in (
        Source("cqtdiff", f"{_CQTDIFF}/cqt_weights.pt", "cqtdiff", _MAESTRO),
        Source("cqtdiff-plus-maestro", f"{_PLUS}/maestro_22k_8s-750000.pt", "cqtdiff-plus", _MAESTRO),
        Source("cqtdiff-plus-musicnet", f"{_PLUS}/musicnet_44k_4s-560000.pt", "cqtdiff-plus", _MUSICNET),
        Source("babe-2-maestro", f"{_BABE_2}/MAESTRO_22kHz_8s-850kits.pt", "cqtdiff-plus", _MAESTRO),
    )
}


def source_of(name: str) -> Source:
    """The source of this name.

    Raises:
        ModelError: there is none; the nearest name is offered.
    """
    if name in SOURCES:
        return SOURCES[name]
    close = difflib.get_close_matches(name, SOURCES, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ModelError(f"There is no published checkpoint {name}; there are {', '.join(SOURCES)}.{hint}")
