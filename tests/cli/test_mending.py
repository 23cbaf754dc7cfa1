"""declip, inpaint, extend on sound of every kind: what works, what stays, what is said."""

import hashlib
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio.blocks import Spill
from audiomend.cli import console

RATE = 8000
TIME = np.arange(RATE) / RATE
QUICK = ("--model", "wiener", "--steps", 2)
USUAL = ("--model", "wiener", "--quality", "fast")
VERBS = {
    "declip": ("--clip-level", 0.4),
    "inpaint": ("--gap", "0.2-0.25"),
    "extend": ("--cutoff-hz", 1500),
}


def tone(level: float = 0.45) -> np.ndarray:
    """A tone whose loudness swells, (time,)."""
    return level * np.sin(2 * np.pi * 440 * TIME) * (1 + 0.3 * np.sin(2 * np.pi * 3 * TIME))


def hiss() -> np.ndarray:
    """White noise that is not clipped, (time,)."""
    return np.random.default_rng(0).normal(scale=0.1, size=len(TIME))


def clipped() -> np.ndarray:
    return np.clip(tone(), -0.4, 0.3)


def holed(first: int = 4000, stop: int = 4080) -> np.ndarray:
    x = tone()
    x[first:stop] = 0
    return x


def native(path: Path, dtype: str = "int32") -> np.ndarray:
    """(frames, channels) in the file's own numbers."""
    return soundfile.read(path, dtype=dtype, always_2d=True)[0]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


GAP = (np.arange(RATE) >= 4000) & (np.arange(RATE) < 4080)  # of `holed`
DTYPES = {"FLOAT": "float32", "DOUBLE": "float64"}
IMPULSE = np.where(np.arange(RATE) == 3000, 0.9, 0.0)
SOUNDS = {
    "one sample": (np.array([0.5]), RATE, "PCM_16"),
    "silence": (np.zeros(RATE), RATE, "PCM_16"),
    "minus zero": (np.full(RATE, -0.0), RATE, "FLOAT"),
    "denormals": (np.where(TIME < 0.5, 1e-310, -3e-308), RATE, "DOUBLE"),
    "direct current": (np.full(RATE, 0.4), RATE, "PCM_16"),
    "impulse": (IMPULSE, RATE, "PCM_16"),
    "square at full scale": (np.where(np.sin(2 * np.pi * 100 * TIME) >= 0, 1.0, -1.0), RATE, "PCM_16"),
    "8 bits": (tone(), RATE, "PCM_U8"),
    "192 kHz": (tone(), 192_000, "PCM_24"),
    "7 channels": (np.stack([tone(0.1 * c) for c in range(7)]), RATE, "PCM_16"),
    "PCM_32": (tone(), RATE, "PCM_32"),
    "float64": (tone(), RATE, "DOUBLE"),
}
SILENT = ("silence", "minus zero", "denormals")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_is_mended(verb: str, name: str, cli: Callable, write: Callable, tmp_path: Path) -> None:
    samples, rate, subtype = SOUNDS[name]
    source, output = write("in.wav", samples, rate, subtype), tmp_path / "out.wav"
    options = VERBS[verb]
    if verb == "inpaint" and len(samples.T) / rate < 0.25:
        options = ("--gap", f"0-{min(len(samples.T), 400) / rate:.7f}")
    result = cli(verb, source, output, *options, *QUICK)
    assert result.code == 0, result.err
    assert soundfile.info(output).subtype == subtype
    assert soundfile.info(output).frames == len(samples.T)
    assert np.isfinite(native(output, "float64")).all()
    if name in SILENT:
        assert native(output, "float64").tobytes() == native(source, "float64").tobytes()


DEFAULTS = {
    "declip": VERBS["declip"],
    "inpaint": ("--gap", "0.2-0.3", "--method", "janssen"),
    "inpaint by likeness": ("--gap", "0.2-0.3", "--method", "similarity"),
    "extend": VERBS["extend"],
    "declick": ("--method", "ar"),
    "restore": (),
}


@pytest.mark.parametrize("what", DEFAULTS)
@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_is_mended_without_a_prior(
    what: str, name: str, cli: Callable, write: Callable, tmp_path: Path
) -> None:
    samples, rate, subtype = SOUNDS[name]
    source, output = write("in.wav", samples, rate, subtype), tmp_path / "out.wav"
    options = DEFAULTS[what]
    if "--gap" in options and len(samples.T) / rate < 0.3:
        options = ("--gap", f"0-{min(len(samples.T), 400) / rate:.7f}", *options[2:])
    result = cli(what.split()[0], source, output, *options)
    assert result.code == 0, result.err
    with soundfile.SoundFile(source) as before, soundfile.SoundFile(output) as after:
        for kept in ("frames", "samplerate", "channels", "subtype"):
            assert getattr(after, kept) == getattr(before, kept), kept
    assert np.isfinite(native(output, "float64")).all()
    if name in SILENT:
        assert native(output, "float64").tobytes() == native(source, "float64").tobytes()


def test_no_damage_found_is_a_copy(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, output = write("in.wav", hiss()), tmp_path / "out.wav"
    told = {
        "declip": "no clipping was found, so {}; --clip-level sets a level by hand",
        "inpaint": "no digital silence that breaks off a sound was found, so {}; --gap names one by hand, and"
        " restore finds dropouts",
        "extend": "the band is whole, up to 3,938 Hz, so {}; --cutoff-hz sets a cut-off by hand",
    }
    for verb, text in told.items():
        result = cli(verb, source, output, "--json", "--force", *QUICK)
        np.testing.assert_array_equal(native(output), native(source))
        assert result.json["changed"] == {"samples": 0, "share": 0.0, "stretches": 0, "stretches_s": []}
        said = text.format(f"{output} is a copy of the input")
        assert result.err == f"Warning: {said}.\n"
        assert result.json["warnings"] == [said]


def test_nothing_found_on_a_terminal_is_said_once(
    cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    said = " ".join(cli("declip", write("in.wav", tone()), tmp_path / "out.wav", *QUICK).err.split())
    assert said.count("no clipping was found") == 1
    assert said.count("out.wav") == 1


def test_what_is_encoded_again_is_no_copy(cli: Callable, write: Callable, tmp_path: Path) -> None:
    output = tmp_path / "out.ogg"
    result = cli("declip", write("in.wav", tone()), output, *QUICK)
    assert f"no clipping was found, so nothing was mended in {output};" in result.err
    assert "copy" not in result.err
    again = cli("declip", output, tmp_path / "again.ogg", *QUICK)
    assert "so nothing was mended in" in again.err


def test_without_a_clear_edge_there_is_no_edge(cli: Callable, write: Callable, tmp_path: Path) -> None:
    found = cli("extend", write("in.wav", hiss()), tmp_path / "out.wav", "--json", *QUICK).json["found"]
    assert found["edge_hz"] is None
    assert found["rule"] == "cumulative"


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("verb", ["declip", "inpaint"])
def test_known_samples_stay_to_the_bit(
    verb: str, subtype: str, cli: Callable, write: Callable, tmp_path: Path
) -> None:
    samples = clipped() if verb == "declip" else holed()
    source, output = write("in.wav", samples, RATE, subtype), tmp_path / "out.wav"
    assert cli(verb, source, output, *QUICK).code == 0
    before, after = (native(path, DTYPES.get(subtype, "int32")) for path in (source, output))
    lost = (samples <= -0.4) | (samples >= 0.3) if verb == "declip" else GAP
    np.testing.assert_array_equal(after[~lost], before[~lost])
    assert (after[lost] != before[lost]).any()


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_changes_outside_a_region(verb: str, cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, output = write("in.wav", np.clip(tone(), -0.2, 0.2)), tmp_path / "out.wav"
    labels = tmp_path / "labels.txt"
    labels.write_text("0.205\t0.21\tone\n0.22\t0.24\ttwo\n")
    options = ("--clip-level", 0.2) if verb == "declip" else VERBS[verb]
    regions = ("--region", labels, "--region", "0:00:00.3-0.4")
    result = cli(verb, source, output, *options, *regions, *USUAL)
    assert result.code == 0
    changed = np.flatnonzero((native(source) != native(output)).any(axis=1)) / RATE
    inside = (changed >= 0.205) & (changed < 0.21) | (changed >= 0.22) & (changed < 0.24)
    inside |= (changed >= 0.3) & (changed < 0.4)
    assert inside.all()
    assert len(changed) > 10


def test_strength_is_the_share_of_the_change(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source = write("in.wav", holed(), RATE, "DOUBLE")
    results = {}
    for strength in (0, 0.25, 1):
        output = tmp_path / f"{strength}.wav"
        assert cli("inpaint", source, output, "--strength", strength, *QUICK).code == 0
        results[strength] = native(output, "float64")
    np.testing.assert_array_equal(results[0], native(source, "float64"))
    change = results[1] - results[0]
    np.testing.assert_allclose(results[0.25] - results[0], 0.25 * change, atol=1e-12)
    assert np.abs(change).max() > 0.001


def test_the_residue_is_input_minus_output(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, output, residue = write("in.wav", clipped()), tmp_path / "out.wav", tmp_path / "residue.wav"
    assert cli("declip", source, output, "--residue", residue, *QUICK).code == 0
    difference = native(source, "float64") - native(output, "float64")
    np.testing.assert_array_equal(native(residue, "float64"), difference)
    assert np.abs(difference).max() > 0


def test_the_same_seed_gives_the_same_bytes(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source = write("in.wav", holed())
    written = []
    for number, seed in enumerate((3, 3, 4)):
        output = tmp_path / f"{number}.wav"
        assert cli("inpaint", source, output, "--seed", seed, *QUICK).code == 0
        written.append(output.read_bytes())
    assert written[0] == written[1] != written[2]


@pytest.fixture
def overs(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Restored peaks beyond full scale in the place of `GAP`, whatever the model would have made of it."""
    peaks = np.where(np.arange(80) % 2, 1.5, -1.25)[None]

    def run(job: object, sink: Spill, progress: object, *_: object) -> None:
        sink.add(4000, peaks, np.ones(80, bool))

    monkeypatch.setattr("audiomend.restorers.files.run", run)
    return peaks[0]


def test_rescaling_is_stated_and_keeps_the_proportions(
    overs: np.ndarray, cli: Callable, write: Callable, tmp_path: Path
) -> None:
    source, output = write("in.wav", holed(), RATE, "PCM_24"), tmp_path / "out.wav"
    result = cli("inpaint", source, output, "--json", *QUICK)
    gain = (1 - 2**-23) / 1.5
    assert result.json["output"]["gain"] == pytest.approx(gain, rel=1e-9)
    assert f"Warning: the whole of {output} is 3.52 dB quieter (gain 0.6667)" in result.err
    assert result.json["warnings"][0] in result.err
    before, after = native(source, "float64")[:, 0], native(output, "float64")[:, 0]
    before[GAP] = overs
    np.testing.assert_allclose(after, gain * before, atol=2**-23)


def test_floats_keep_the_level_and_the_known_samples(
    overs: np.ndarray, cli: Callable, write: Callable, tmp_path: Path
) -> None:
    source, output = write("in.wav", holed()), tmp_path / "out.wav"
    result = cli("inpaint", source, output, "--clip-mode", "float", "--json", *QUICK)
    assert (result.err, result.json["output"]["subtype"], result.json["output"]["gain"]) == ("", "FLOAT", 1)
    expected = native(source, "float64")[:, 0]
    expected[GAP] = overs
    np.testing.assert_array_equal(native(output, "float64")[:, 0], expected)


def test_clamping_says_how_many(overs: np.ndarray, cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, output = write("in.wav", holed()), tmp_path / "out.wav"
    result = cli("inpaint", source, output, "--clip-mode", "clamp", "--json", *QUICK)
    assert result.json["output"]["clamped_samples"] == 80
    assert "Warning: 80 samples clamped to full scale" in result.err
    expected = native(source, "float64")[:, 0]
    expected[GAP] = np.clip(overs, -1, 1 - 2**-15)
    np.testing.assert_array_equal(native(output, "float64")[:, 0], expected)


def test_json_says_what_was_done_and_stands_alone(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, output = write("in.wav", holed()), tmp_path / "out.wav"
    begun = time.monotonic()
    result = cli("inpaint", source, output, "--json", "--seed", 7, *QUICK)
    said = result.json
    assert said["schema"] == "audiomend.mend/1"
    assert said["verb"] == "inpaint"
    assert said["input"]["path"] == str(source)
    assert said["input"]["sha256"] == sha256(source)
    assert said["output"]["sha256"] == sha256(output)
    assert (said["input"]["rate"], said["input"]["channels"], said["input"]["frames"]) == (RATE, 1, RATE)
    assert said["found"]["gaps_s"] == [[0.5, 0.51]]
    assert said["changed"] == {"samples": 80, "share": 0.01, "stretches": 1, "stretches_s": [[0.5, 0.51]]}
    assert (said["settings"]["seed"], said["settings"]["steps"], said["settings"]["model"]) == (
        7,
        2,
        "wiener",
    )
    assert said["found"]["summary"] == "1 gap, 0.010 s together, digital silence"
    assert 0 < said["seconds"] < time.monotonic() - begun
    assert said["estimate_s"] >= 0
    assert said["warnings"] == []


def test_json_lists_the_stretches_that_changed_to_ten_milliseconds(
    cli: Callable, write: Callable, tmp_path: Path
) -> None:
    samples = np.where((TIME > 0.3) & (TIME < 0.6), 0.5, 1.0) * clipped()
    source, output = write("in.wav", samples, RATE, "DOUBLE"), tmp_path / "out.wav"
    said = cli("declip", source, output, "--json", *QUICK).json["changed"]
    changed = np.flatnonzero((native(source, "float64") != native(output, "float64")).any(axis=1))
    stretches = np.split(changed, np.flatnonzero(np.diff(changed) > 81) + 1)
    assert said["samples"] == len(changed)
    assert said["stretches"] == len(stretches) > 1
    expected = [[run[0] / RATE, (run[-1] + 1) / RATE] for run in stretches]
    np.testing.assert_allclose(said["stretches_s"], expected, atol=1e-9)


def test_force_replaces_the_input_itself(cli: Callable, write: Callable) -> None:
    source = write("in.wav", holed())
    before, hash_before = native(source), sha256(source)
    result = cli("inpaint", source, source, "--force", "--json", *QUICK)
    assert result.code == 0
    after = native(source)
    assert (after[GAP] != before[GAP]).any()
    np.testing.assert_array_equal(after[~GAP], before[~GAP])
    assert result.json["input"]["sha256"] == hash_before
    assert result.json["output"]["sha256"] == sha256(source)


def test_a_truncated_file_is_mended_as_far_as_it_goes(cli: Callable, write: Callable, tmp_path: Path) -> None:
    whole = write("whole.flac", np.concatenate([holed(), tone()]))
    source, output = tmp_path / "in.flac", tmp_path / "out.flac"
    source.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 8])
    result = cli("inpaint", source, output, "--gap", "0.5-0.51", *QUICK)
    assert result.code == 0
    assert result.err.startswith(f"Warning: the header of {source} declares 16,000 frames; the ")
    frames = soundfile.info(output).frames
    assert RATE < frames < 2 * RATE
    np.testing.assert_array_equal(native(output)[4080:], native(whole)[4080:frames])
    assert native(output)[:RATE][GAP].any()


def test_a_header_that_lies_about_the_length_is_not_believed(
    cli: Callable, write: Callable, tmp_path: Path
) -> None:
    source, output = write("in.wav", holed()), tmp_path / "out.wav"
    content = bytearray(source.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", 4 * RATE)
    source.write_bytes(content)
    result = cli("inpaint", source, output, *QUICK)
    assert result.code == 0
    assert "Warning: the header of" in result.err
    assert soundfile.info(output).frames >= RATE


def test_nobody_watches_nothing_is_said(cli: Callable, write: Callable, tmp_path: Path) -> None:
    result = cli("inpaint", write("in.wav", holed()), tmp_path / "out.wav", *QUICK)
    assert (result.code, result.out, result.err) == (0, b"", "")


def test_who_watches_is_told_before_and_after(
    cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    source, output = write("in.wav", holed()), tmp_path / "out.wav"
    result = cli("inpaint", source, output, *QUICK)
    said = " ".join(result.err.split())
    assert (
        f"{source}: 1 gap, 0.010 s together, digital silence; 1.0 of 1.0 s to be worked on, in less than a"
        " second." in said in said
    )
    count = np.count_nonzero(native(source) != native(output))  # one of the 80 may be mended to silence
    assert (
        f"{output}: {count} samples changed ({count / 80:.2g}%), by wiener in 2 steps (float32, seed 0), in "
        in said
    )
    assert "invented" in said
    assert result.out == b""


def test_lossy_output_is_warned_of(cli: Callable, write: Callable, tmp_path: Path) -> None:
    result = cli("inpaint", write("in.wav", holed()), tmp_path / "out.ogg", *QUICK)
    assert result.code == 0
    assert "lossy" in result.err


def test_a_pipe_in_and_a_pipe_out(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, output = write("in.wav", holed()), tmp_path / "out.wav"
    assert cli("inpaint", source, output, *QUICK).code == 0
    piped = cli("inpaint", "-", "-", *QUICK, stdin=source.read_bytes())
    assert (piped.code, piped.err) == (0, "")
    assert piped.out == output.read_bytes()
    named = cli("inpaint", "-", tmp_path / "named.wav", "--json", *QUICK, stdin=source.read_bytes())
    assert (tmp_path / "named.wav").read_bytes() == output.read_bytes()
    assert named.json["input"]["path"] == "-"
