import pytest

from audiomend.data.split import (
    WITHHELD_PIECES,
    WITHHELD_RECORDINGS,
    WITHHELD_SPEAKERS,
    is_sharealike,
    split_of,
)


@pytest.mark.parametrize("name", ["k_855f", "k_848f", "eliogu", "trow", "danse", "voc10", *WITHHELD_PIECES])
def test_withheld_recordings_and_pieces_are_for_validation(name: str):
    assert split_of(name) == "validation"


@pytest.mark.parametrize("speaker", ["flemish", "p228", *WITHHELD_SPEAKERS])
def test_withheld_speakers_are_for_validation(speaker: str):
    assert split_of("any_000", speaker) == "validation"


@pytest.mark.parametrize(
    ("name", "speaker"), [("k_855p", ""), ("k_848p", ""), ("a", "p227"), ("p228", ""), ("a", "")]
)
def test_everything_else_is_for_training(name: str, speaker: str):
    assert split_of(name, speaker) == "train"


def test_every_withheld_thing_has_its_reason():
    assert len(WITHHELD_PIECES) == 5
    assert len(WITHHELD_SPEAKERS) == 6
    assert len(WITHHELD_RECORDINGS) == 6
    assert all([*WITHHELD_PIECES.values(), *WITHHELD_SPEAKERS.values(), *WITHHELD_RECORDINGS.values()])


@pytest.mark.parametrize(
    "licence", ["CC BY-SA 3.0 DE", "CC BY-SA 3.0 DE (notes), CC BY 3.0 (samples)", "CC-BY-NC-SA"]
)
def test_share_alike_licences_are_recognised(licence: str):
    assert is_sharealike(licence)


@pytest.mark.parametrize(
    "licence", ["CC BY 4.0", "CC0 1.0", "BSD-style (CMU AN4 licence)", "MIT", "US ARMY, SAMPLES"]
)
def test_other_licences_are_not(licence: str):
    assert not is_sharealike(licence)
