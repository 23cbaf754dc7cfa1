"""A demonstration without a recording: a phrase made from formulas, damaged three ways, mended and shown.

Each damage is mended twice: as the verb does it by default, and by the shipped prior.
"""

import hashlib
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomend.audio.atomic import PartFile
from audiomend.errors import Cancelled, UsageError
from audiomend.evaluation.damages import Damage, clip_level_for, damage, damaged_samples
from audiomend.evaluation.metrics import log_spectral_distance, sdr
from audiomend.models.store import card_of
from audiomend.report.page import Page, Region, Sound, write
from audiomend.report.phrase import synthesise

__all__ = ["demo", "synthesise"]

Samples = NDArray[np.float32]  # (channels, time)
Progress = Callable[[float], object]
"""Called with the share done, 0 to 1; returning False cancels."""

TITLE = "audiomend demo"
INDEX = "index.html"
CAVEAT = (
    "The phrase comes from a synthesiser made for this page, and such a sound is no test:"
    " the figures of a synthetic phrase are no evidence of the quality on recordings."
)
NAMES = {"declip": "clipped", "inpaint": "gaps", "extend": "dull"}  # of the files, by verb
MENDERS: Mapping[str, Mapping[str, str]] = {"mended": {}, "prior": {"method": "diffusion"}}
"""What the verbs are told, by the end of the file's name."""
LABELS = {"mended": "Mended", "prior": "By the prior"}
SDR_DB = 6.0  # of the clipped phrase
GAPS = ((1.02, 0.06), (2.29, 0.04), (3.41, 0.02))  # start and length in seconds
CUTOFF_HZ = 4_000.0
MENDING = 0.9  # of the time goes into mending, the rest into pictures and files
FULL_SCALE = 1 << 23  # the files hold 24 bits


@dataclass(frozen=True)
class Case:
    """One damage of the phrase.

    Attributes:
        title, lead: what the page says of it.
        damage: what is done to the phrase.
        regions: where.
        told: what the verb is told; it finds the rest by itself.
    """

    title: str
    lead: str
    damage: Damage
    regions: Sequence[Region]
    told: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How its files are called."""
        return NAMES[self.damage.task]


def demo(directory: str | Path, progress: Progress | None = None, seed: int = 0) -> list[Path]:
    """Writes the phrase, three damaged copies and two mended ones of each as WAV files, and a page.

    Files of an earlier demo are replaced, others never.

    Args:
        directory: made if missing.
        progress: called with the share done, 0 to 1; returning False cancels, and nothing is written.
        seed: of the phrase and of what the diffusion invents.

    Returns:
        The paths written, the page first.

    Raises:
        UsageError: the name of a file is taken by one that no demo wrote, or `directory` is no folder.
        AudioWriteError: a file cannot be written.
        Cancelled: by `progress`.
    """
    folder = _prepared(Path(directory))
    phrase, rate = synthesise(seed)
    clean = as_stored(phrase)
    found = cases(clean, rate)
    sounds = {"clean": clean}
    works = len(found) * len(MENDERS)
    for number, (case, mender) in enumerate(itertools.product(found, MENDERS)):
        share = _part(progress, number * MENDING / works, (number + 1) * MENDING / works)
        damaged = sounds.setdefault(case.name, as_stored(damage(clean, rate, case.damage)))
        sounds[f"{case.name}-{mender}"] = as_stored(_mend(case, mender, damaged, rate, seed, share))
    files = {folder / f"{name}.wav": wav(samples, rate) for name, samples in sounds.items()}
    parts = [part_of(case, sounds, rate, files, folder) for case in found]
    written = _write(folder / INDEX, page_of(parts, files, seed), files)
    _part(progress, 0, 1)(1)
    return written


def cases(clean: Samples, rate: int) -> list[Case]:
    """The three damages: clipping to 6 dB, three gaps of 20 to 60 ms, nothing above 4 kHz."""
    clipping = Damage("declip", SDR_DB, clip_level=clip_level_for(clean, SDR_DB))
    starts = [(round(start * rate), round(start * rate) + round(length * rate)) for start, length in GAPS]
    gaps = [(first / rate, end / rate) for first, end in starts]
    return [
        Case(
            "Clipped",
            f"What lay beyond {clipping.clip_level:.3f} of full scale was cut off: an SDR of {SDR_DB:g} dB."
            " declip finds the level, keeps every other sample, and invents the peaks.",
            clipping,
            runs(np.any(damaged_samples(clean, rate, clipping), axis=0), rate),
        ),
        Case(
            "Three gaps",
            "60, 40 and 20 ms are missing. inpaint is told where, and fills them; nothing else changes.",
            Damage("inpaint", 1000 * GAPS[0][1], gaps=tuple(starts)),
            [Region(start, end) for start, end in gaps],
            {"gaps": gaps},
        ),
        Case(
            f"Nothing above {CUTOFF_HZ / 1000:g} kHz",
            "A low-pass filter took the treble. extend finds the edge, keeps what is below it, and invents"
            " what was above.",
            Damage("extend", CUTOFF_HZ),
            [Region(0, clean.shape[1] / rate, low_hz=CUTOFF_HZ)],
        ),
    ]


def runs(mask: NDArray[np.bool_], rate: int) -> list[Region]:
    """The runs of True in (time,) as stretches in seconds."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [Region(first / rate, end / rate) for first, end in edges.tolist()]


def as_stored(audio: NDArray[np.floating]) -> Samples:
    """The nearest samples that a file of 24 bits holds; float32 holds them exactly."""
    levels = np.clip(np.rint(audio.astype(np.float64) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    return (levels / FULL_SCALE).astype(np.float32)


def wav(samples: Samples, rate: int) -> bytes:
    """A WAV file of 24 bits with exactly these samples."""
    buffer = io.BytesIO()
    integers = np.rint(samples.T.astype(np.float64) * FULL_SCALE).astype(np.int32) << 8
    soundfile.write(buffer, integers, rate, format="WAV", subtype="PCM_24")
    return buffer.getvalue()


def figures(case: Case, clean: Samples, estimate: Samples, rate: int) -> dict[str, float]:
    """Name to dB: how far an estimate is from the clean phrase where the damage was."""
    if case.damage.task == "extend":
        distance = log_spectral_distance(clean, estimate, rate, low_hz=CUTOFF_HZ)
        return {f"log-spectral distance above {CUTOFF_HZ / 1000:g} kHz": distance}
    lost = damaged_samples(clean, rate, case.damage)
    return {
        "SDR on the damaged samples": sdr(clean[lost], estimate[lost]),
        "log-spectral distance": log_spectral_distance(clean, estimate, rate),
    }


def part_of(
    case: Case, sounds: Mapping[str, Samples], rate: int, files: Mapping[Path, bytes], folder: Path
) -> Page:
    """The section of the page about one damage."""
    labels = {case.name: "Damaged", **{f"{case.name}-{mender}": LABELS[mender] for mender in MENDERS}}

    def sound(name: str) -> Sound:
        decibels = figures(case, sounds["clean"], sounds[name], rate)
        return Sound(labels[name], sounds[name], rate, _note(f"{name}.wav", decibels))

    return Page(
        title=case.title,
        lead=case.lead,
        sounds=[Sound("Clean", sounds["clean"], rate, "clean.wav"), *map(sound, labels)],
        intervals=case.regions,
        facts={f"SHA-256 of {name}.wav": sha256(files[folder / f"{name}.wav"]) for name in labels},
    )


def _note(name: str, decibels: Mapping[str, float]) -> str:
    return ", ".join([name, *(f"{figure} {value:.1f} dB" for figure, value in decibels.items())])


def page_of(parts: Sequence[Page], files: Mapping[Path, bytes], seed: int) -> Page:
    """The page about the demo."""
    clean = next(path for path in files if path.name == "clean.wav")
    card = card_of(None)
    return Page(
        title=TITLE,
        lead="One phrase, damaged three ways. Each is mended as audiomend does it by default, with what"
        f" measured best, and by the prior in this package alone. {CAVEAT}",
        facts={
            "Model": f"{card.name} ({card.summary})",
            "Seed": str(seed),
            "SHA-256 of the weights": card.sha256,
            "SHA-256 of clean.wav": sha256(files[clean]),
        },
        parts=parts,
    )


def sha256(content: bytes) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def _part(progress: Progress | None, first: float, last: float) -> Callable[[float], None]:
    """A callback for a part of the work, which goes from the share `first` of the whole to `last`."""

    def tell(share: float) -> None:
        if progress is not None and progress(first + share * (last - first)) is False:
            raise Cancelled("The demo was stopped on request; nothing was written.")

    return tell


def _mend(case: Case, mender: str, damaged: Samples, rate: int, seed: int, progress: Progress) -> Samples:
    import audiomend  # the verbs load torch

    verb: Callable[..., Samples] = getattr(audiomend, case.damage.task)
    return verb(damaged, rate, seed=seed, progress=progress, **case.told, **MENDERS[mender])


def _prepared(folder: Path) -> Path:
    """The folder, made if missing, if nothing in it would be lost."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be a folder for the demo: {error.strerror}.") from None
    index = folder / INDEX
    page = index.read_text("utf-8", "replace") if index.is_file() else ""
    if index.exists() and f"<title>{TITLE}</title>" not in page:
        raise _foreign(index)
    names = [
        "clean",
        *(name + end for name in NAMES.values() for end in ("", *(f"-{mender}" for mender in MENDERS))),
    ]
    for path in (folder / f"{name}.wav" for name in names):
        # The page of an earlier demo names its files by their hashes: what is listed there is ours.
        if path.exists() and not (path.is_file() and sha256(path.read_bytes()) in page):
            raise _foreign(path)
    return folder


def _foreign(path: Path) -> UsageError:
    return UsageError(f"{path} was not written by the demo and stays; give the demo a folder of its own.")


def _write(index: Path, page: Page, files: Mapping[Path, bytes]) -> list[Path]:
    """The page first: should the process end before the files are whole, the next demo knows them by it."""
    write(page, index)
    for path, content in files.items():
        with PartFile(path, force=True) as part:
            part.file.write(content)
            part.commit()
    return [index, *files]
