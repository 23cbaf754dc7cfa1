"""restore: what is found is mended stage by stage, and nothing else changes."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.cli import console

RATE = 8000
QUICK = ("--quality", "fast", "--model", "wiener")
GAP = slice(8000, 8240)


def sound(seconds: float = 3.0) -> np.ndarray:
    """A chord that swells in a little noise, (time,)."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [(110 * ratio * k, k) for ratio in (1, 1.26, 1.5) for k in range(1, 20)]
    chord = sum(np.sin(2 * np.pi * pitch * time + k) / k for pitch, k in tones)
    x = chord * (1 + 0.4 * np.sin(2 * np.pi * 0.7 * time))
    return 0.1 * x / x.std() + 1e-3 * np.random.default_rng(0).standard_normal(len(time))


def damaged() -> np.ndarray:
    """`sound` clipped at 0.2 and with a gap."""
    x = np.clip(sound(), -0.2, 0.2)
    x[GAP] = 0
    return x


def native(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0]


LOOKED = ("declick", "band")  # where peaks were restored it looks for these, and finds none


def test_two_damages_are_mended_and_nothing_else_changes(
    cli: Callable, write: Callable, tmp_path: Path
) -> None:
    source, out, residue = write("in.wav", damaged()), tmp_path / "out.wav", tmp_path / "residue.wav"
    done = cli("restore", source, out, *QUICK, "--clip-mode", "float", "--residue", residue, "--json")
    assert (done.code, done.err) == (0, "")
    told = done.json
    assert told["schema"] == "audiomend.restore/1"
    names = [one["stage"] for one in told["done"]]
    assert [stage["stage"] for stage in told["plan"]["stages"]] == names
    assert [name for name in names if name not in LOOKED] == ["declip", "gaps"]
    assert (told["left"], told["warnings"]) == ([], [])
    before, after = soundfile.read(source)[0], soundfile.read(out)[0]
    lost = np.abs(before) >= 0.199
    lost[GAP] = True
    changed = before != after
    assert not changed[~lost].any()
    assert told["changed"]["samples"] == changed.sum()
    declip, gaps = (one for one in told["done"] if one["changed_samples"])
    rounded_away = declip["changed_samples"] + gaps["changed_samples"] - changed.sum()  # by 16 bits
    assert 0 <= rounded_away < 20
    assert gaps["stretches_s"] == [[1.0, 1.03]]
    np.testing.assert_allclose(soundfile.read(residue)[0], before - after, atol=1e-9)
    share = np.square(after - before).sum() / np.square(before).sum()
    assert told["changed"]["residue_db"] == pytest.approx(10 * math.log10(share), abs=1e-3)
    clipped = np.where(np.arange(len(before)) // 240 == 8000 // 240, 0, after - before)
    assert declip["level_db"] == pytest.approx(
        10 * math.log10(np.square(clipped).sum() / np.square(before).sum()), abs=0.1
    )
    error = lambda x: np.square(x - sound())[lost].sum()  # noqa: E731
    assert error(after) < 0.5 * error(before)


def test_an_undamaged_file_comes_out_to_the_bit(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, out = write("in.wav", sound()), tmp_path / "out.wav"
    done = cli("restore", source, out)
    assert done.code == 0
    assert done.err == f"Warning: nothing to mend; {out} is a copy of the input.\n"
    np.testing.assert_array_equal(native(out), native(source))


def test_a_plan_is_followed(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, plan = write("in.wav", damaged()), tmp_path / "plan.json"
    assert cli("inspect", source, "--plan", plan).code == 0
    found, planned, edited = (tmp_path / f"{name}.wav" for name in ("found", "planned", "edited"))
    assert cli("restore", source, found, *QUICK).code == 0
    assert cli("restore", source, planned, *QUICK, "--plan", plan).code == 0
    assert found.read_bytes() == planned.read_bytes()

    content = json.loads(plan.read_text())
    content["stages"][0]["enabled"] = False
    content["stages"].append({"stage": "offset", "settings": {"levels": [0.01]}})
    plan.write_text(json.dumps(content))
    done = cli("restore", source, edited, *QUICK, "--plan", plan, "--json")
    assert [one["stage"] for one in done.json["done"] if one["stage"] not in LOOKED] == ["offset", "gaps"]
    assert done.json["left"] == ["declip", "band"]
    assert "found, but left: declip (clipping: hard" in done.err
    before, after = soundfile.read(source)[0], soundfile.read(edited)[0]
    outside = np.ones(len(before), bool)
    outside[GAP] = False
    np.testing.assert_allclose(after[outside], before[outside] - 0.01, atol=2e-5)

    other = write("other.wav", damaged()[1:])
    refused = cli("restore", other, tmp_path / "o.wav", "--plan", plan)
    assert refused.code == 2
    assert "The plan was made for another file" in refused.err
    same_size = write("same.wav", -damaged())
    assert "made for another file" in cli("restore", same_size, tmp_path / "o.wav", "--plan", plan).err


def test_a_value_of_a_plan_is_no_option(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, plan = write("in.wav", damaged()), tmp_path / "plan.json"
    cli("inspect", source, "--plan", plan)
    content = json.loads(plan.read_text())
    content["stages"] = [{"stage": "band", "settings": {"cutoff_hz": 1e6}}]
    plan.write_text(json.dumps(content))
    refused = cli("restore", source, tmp_path / "o.wav", *QUICK, "--plan", plan)
    assert refused.err.startswith("Error: cutoff_hz is 1e+06; at ")


def test_stages_are_chosen(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source = write("in.wav", damaged())
    only = cli("restore", source, tmp_path / "a.wav", *QUICK, "--only", "gaps", "--json").json
    skip = cli("restore", source, tmp_path / "b.wav", *QUICK, "--skip", "declip", "--json").json
    assert [one["stage"] for one in only["done"]] == ["gaps"]
    assert [one["stage"] for one in skip["done"] if one["stage"] not in LOOKED] == ["gaps"]
    assert native(tmp_path / "a.wav").tolist() == native(tmp_path / "b.wav").tolist()
    wrong = cli("restore", source, tmp_path / "c.wav", "--only", "decip")
    assert wrong.code == 2
    assert "The stage decip is unknown" in wrong.err
    assert "Did you mean declip?" in wrong.err


def test_regions_and_strength(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, half, whole = write("in.wav", damaged()), tmp_path / "half.wav", tmp_path / "whole.wav"
    usual = (*QUICK, "--region", "0.5-1.2", "--clip-mode", "float")
    assert cli("restore", source, whole, *usual).code == 0
    before, after = soundfile.read(source)[0], soundfile.read(whole)[0]
    changed = np.flatnonzero(before != after)
    assert changed[0] >= 4000
    assert changed[-1] < 9600
    assert cli("restore", source, half, *usual, "--strength", 0.5).code == 0
    lessened = soundfile.read(half)[0] - before
    declipped = np.abs(before) >= 0.199
    np.testing.assert_allclose(lessened[declipped], 0.5 * (after - before)[declipped], atol=2e-5)


def test_an_offset_is_taken_off_inside_the_regions(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, out = write("in.wav", 0.3 * sound() + 0.05, subtype="FLOAT"), tmp_path / "out.wav"
    done = cli("restore", source, out, "--only", "offset", "--region", "1-2", "--json").json
    assert [one["method"] for one in done["done"]] == ["subtraction"]
    before, after = soundfile.read(source)[0], soundfile.read(out)[0]
    moved = before - after
    assert moved[8000:16000] == pytest.approx(0.05, abs=0.005)
    assert (moved[:8000] == 0).all()
    assert (moved[16000:] == 0).all()


def test_what_has_no_method_yet_is_named(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, plan = write("in.wav", damaged()), tmp_path / "plan.json"
    cli("inspect", source, "--plan", plan)
    content = json.loads(plan.read_text())
    content["stages"].insert(0, {"stage": "hum", "enabled": False, "reason": "hum: 50 Hz"})
    plan.write_text(json.dumps(content))
    done = cli("restore", source, tmp_path / "out.wav", *QUICK, "--plan", plan, "--json")
    assert done.json["left"] == ["hum"]
    assert "Warning: found, but left: hum (hum: 50 Hz)." in done.err


def test_a_page_is_written(cli: Callable, write: Callable, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    source, out = write("in.wav", damaged()), tmp_path / "out.wav"
    assert cli("restore", source, out, *QUICK, "--report", page).code == 0
    text = page.read_text()
    for words in ("Restored: out.wav", "Stage 1: declip", "Stage 2: gaps", "Found: clipping", "SHA-256"):
        assert words in text


def test_silence_in_what_is_soft_is_told(cli: Callable, write: Callable, tmp_path: Path) -> None:
    x = sound()
    x[3000:3400] *= 0.05
    x[3100:3200] = 0
    both = np.stack([x, x])  # one stretch in two channels
    done = cli("restore", write("soft.wav", both), tmp_path / "out.wav", "--only", "gaps", "--json", *QUICK)
    assert done.code == 0
    told = "left: 1 stretch of silence in what is soft, as a gate makes; inpaint fills them"
    assert told in done.json["warnings"]


def test_many_files(cli: Callable, write: Callable, tmp_path: Path) -> None:
    single, out = tmp_path / "single.wav", tmp_path / "out"
    damaged_file, whole = write("in.wav", damaged()), write("whole.wav", sound())
    done = cli("restore", damaged_file, whole, "-o", out, *QUICK, "--json")
    assert done.code == 0
    assert [file["state"] for file in done.json["files"]] == ["mended", "unchanged"]
    assert cli("restore", damaged_file, single, *QUICK).code == 0
    assert single.read_bytes() == (out / "in.wav").read_bytes()
    refused = cli("restore", damaged_file, "-o", out, "--plan", "p.json")
    assert (refused.code, "--plan is made for one file" in refused.err) == (2, True)


def test_it_says_what_it_does(
    cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    said = cli("restore", write("in.wav", damaged()), tmp_path / "out.wav", *QUICK).err
    assert "in.wav: clipping (hard, at 0.2 of full scale" in said
    assert "Stages: declip, gaps, band." in said
    assert re.search(r"^declip: (about \d+ s|less than a second)\.$", said, re.MULTILINE)
    assert "out.wav: declip by diffusion, gaps by diffusion;" in said
    assert "what was filled in is invented" in said
