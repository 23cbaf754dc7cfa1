"""The page about a restored file, its sentences and its JSON tell the same figures."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.cli import restore as cli
from audiomend.detect.finding import Finding
from audiomend.report.inspection import absent
from audiomend.report.page import render
from audiomend.report.restoration import page_of
from audiomend.restorers.options import Options
from audiomend.restorers.plan import FillGaps, Input, MendingPlan, RemoveOffset, Span, Stage
from audiomend.restorers.restoration import Restored, RestoreRequest, restore_file
from audiomend.words import percent

RATE = 1000
GAP = slice(1500, 1520)
STAGES = (
    Stage("gaps", FillGaps((Span(1, 1.5, 1.52),)), confidence=0.9, reason="gaps: one"),
    Stage("band", FillGaps(()), enabled=False, reason="bandwidth: ends at 400 Hz"),
)


@pytest.fixture
def done(tmp_path: Path) -> tuple[RestoreRequest, Restored]:
    x = 0.4 * np.sin(2 * np.pi * np.array([[60.0], [80.0]]) * np.arange(3000) / RATE)
    x[1, GAP] = 0
    source = tmp_path / "in.wav"
    soundfile.write(source, x.T, RATE, "PCM_24")
    plan = MendingPlan(Input("", "", RATE, 2, 3000), STAGES)
    request = RestoreRequest(str(source), str(tmp_path / "out.wav"), Options(model="wiener", steps=3), plan)
    return request, restore_file(request)


def test_the_figures_are_those_of_the_files(done: tuple[RestoreRequest, Restored]) -> None:
    request, restored = done
    before, after = (soundfile.read(path)[0] for path in (request.source, request.output))
    changed = int((before != after).sum())
    residue = 10 * math.log10(np.square(after - before).sum() / np.square(before).sum())
    assert 0 < changed <= 20
    assert restored.changed == changed
    assert restored.residue_db == pytest.approx(residue, abs=1e-3)
    told = cli.as_json(request, restored)["changed"]
    assert told["samples"] == changed
    assert told["share"] == pytest.approx(changed / 6000)
    assert told["residue_db"] == restored.residue_db
    said = cli.after(request, restored)
    assert f"{changed} samples changed ({percent(changed / 6000)})" in said
    assert f"residue {-residue:.1f} dB below the input" in said
    assert "invented" in said
    lead = page_of(request, restored).lead
    assert f"{changed} samples were changed, {percent(changed / 6000)} of all" in lead
    assert f"the energy of the change is {-residue:.1f} dB below that of the input. What stands" in lead


def test_the_page_shows_where_and_what_is_left(done: tuple[RestoreRequest, Restored]) -> None:
    page = page_of(*done)
    assert [(region.start, region.end) for region in page.intervals] == [(1.5, 1.52)]
    assert page.duration == 3
    assert page.start <= 1.5
    assert "Not mended: band, bandwidth: ends at 400 Hz." in page.warnings
    assert page.facts["Not done"] == "band"
    stage = page.facts["Stage 1: gaps"]
    assert f"{done[1].changed} samples, a change {-done[1].residue_db:.1f} dB below the sound" in stage
    assert cli.warnings(*done) == ["found, but left: band (bandwidth: ends at 400 Hz)"]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({}, []),
        ({"skip": ("gaps",)}, [(0.5, 0.53), (1.5, 1.53)]),
        ({"regions": ("1-3",)}, [(0.5, 0.53)]),
        ({"only": ("offset",)}, [(0.5, 0.53), (1.5, 1.53)]),  # though all samples change
    ],
)
def test_places_that_are_found_and_stay_are_shown(
    asked: dict[str, tuple[str, ...]], left: list[tuple[float, float]], tmp_path: Path
) -> None:
    source, rate = tmp_path / "in.wav", 8000
    x = 0.3 * np.sin(2 * np.pi * 220 * np.arange(3 * rate) / rate)
    x += 0.01 * np.random.default_rng(0).standard_normal(len(x)) + 0.05
    x[4000:4240] = x[12_000:12_240] = 0
    soundfile.write(source, x, rate, "PCM_24")
    request = RestoreRequest(str(source), str(tmp_path / "out.wav"), **asked)
    page = page_of(request, restore_file(request))
    assert [(region.start, region.end) for region in page.left] == left
    _, *sections = render(page).split("<h3>Found, not mended: ")
    assert len(sections) == bool(left)
    assert all(f"<li>{first:.3f} s to {last:.3f} s</li>" in sections[0] for first, last in left)


def test_what_the_recording_does_not_tell_is_no_damage_that_is_absent() -> None:
    hum = Finding("hum", 0.9, "50 Hz")
    clicks = Finding("clicks", 0.0, "not told from the edges of clipped tops", is_told=False)
    none = [Finding(name, 0.1, "none") for name in ("gaps", "dropouts")]
    assert absent([hum, clicks, *none]) == {
        "Not found": "gaps, dropouts",
        "Not told": "clicks (not told from the edges of clipped tops)",
    }
    assert absent([hum]) == {}


def test_an_offset_that_is_subtracted_is_not_invented(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, np.full((3000, 2), 0.25), RATE, "PCM_24")
    stages = (Stage("offset", RemoveOffset((0.25, 0.0))),)
    plan = MendingPlan(Input("", "", RATE, 2, 3000), stages)
    request = RestoreRequest(str(source), str(tmp_path / "out.wav"), plan=plan)
    restored = restore_file(request)
    said, page = cli.after(request, restored), page_of(request, restored)
    assert "offset by subtraction; 3,000 samples changed (50%), residue 3.0 dB below the input" in said
    assert "invented" not in said + page.lead
    assert page.facts["Stage 1: offset"].startswith("subtraction (of +0.2500, +0.0000 of full scale): 3,000")
