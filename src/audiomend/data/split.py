"""What is withheld from training, and why. Nothing named here reaches the split "train"."""

import re
from typing import Literal

Split = Literal["train", "validation"]

# Recordings by file stem, with the reason.
WITHHELD_RECORDINGS = {
    "k_855f": "real solo piano, a fugue by a pianist who stays in training: an unseen piece",
    "k_848f": "real solo piano, a second unseen piece of the same pianist",
    "eliogu": "real solo piano, the only other pianist: an unseen player, piano and room",
    "trow": "real acoustic guitar, the only solo guitar recording",
    "danse": "sampled orchestra with content up to 20 kHz",
    "voc10": "solo singing, an unseen singer",
}

# Speakers, by the column "speaker" of the speech manifest, with the reason.
WITHHELD_SPEAKERS = {
    "fash": "AN4, female, close-talk headset",
    "fejs": "AN4, female, close-talk headset",
    "mjhp": "AN4, male, close-talk headset",
    "mtos": "AN4, male, close-talk headset",
    "flemish": "the male single-speaker set, and the only Flemish voice",
    "p228": "VCTK, another microphone and room",
}

# Piano pieces by file stem. Both sampled pianos stay in training (there are only two), so the rendered
# validation set holds unseen notes on known pianos; the real recordings above are unseen pianos.
WITHHELD_PIECES = {
    "haydn__haydn_8_2": "classical, slow movement",
    "chopin__chpn-p7": "romantic, chords, a whole piece of 37 s",
    "schumann__scn15_10": "romantic, pedal, quiet",
    "grieg__grieg_elfentanz": "fast and light, staccato",
    "mendelssohn__mendel_op62_4": "romantic, melody over an accompaniment",
}


def split_of(name: str, speaker: str = "") -> Split:
    """Split of a recording or piece: `name` is its file stem, `speaker` its speaker label if it has one."""
    withheld = name in WITHHELD_RECORDINGS or name in WITHHELD_PIECES or speaker in WITHHELD_SPEAKERS
    return "validation" if withheld else "train"


def is_sharealike(licence: str) -> bool:
    """Whether a licence text has the share-alike clause, written "SA" in Creative Commons names."""
    return re.search(r"\bSA\b", licence) is not None
