"""Texts that libsndfile carries from one container to another: title, artist and so on."""

from collections.abc import Mapping

import soundfile

# `software` is left out: libsndfile appends its own name to it.
TAGS = ("title", "artist", "album", "tracknumber", "date", "genre", "comment", "copyright", "license")


def read_tags(file: soundfile.SoundFile) -> dict[str, str]:
    """The texts of an open file that are not empty."""
    return {tag: text for tag in TAGS if (text := getattr(file, tag))}


def write_tags(file: soundfile.SoundFile, tags: Mapping[str, str]) -> None:
    """Set texts of a file before its first sample; a container that has no room for one drops it."""
    for tag, text in tags.items():
        try:
            setattr(file, tag, text)
        except soundfile.LibsndfileError:
            continue
