"""degrade, evaluate, models, demo, benchmark, train: what they do and say."""

import contextlib
import dataclasses
import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

import audiomend
from audiomend.audio.file import Sound
from audiomend.audio.reader import by_position
from audiomend.cli import console
from audiomend.cli.benchmark import split_methods
from audiomend.evaluation.metrics import evaluate, log_spectral_distance, sdr
from audiomend.models.untrained import CARD
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.presets import PRESETS, PUBLISHED_METHODS

RATE = 8000
ODD = {
    "one sample": np.array([[0.5]]),
    "direct current": np.full((1, 4000), 0.4),
    "impulse": np.where(np.arange(4000) == 3000, 0.9, 0.0)[None],
    "square at full scale": np.where(np.arange(4000) // 40 % 2, 1.0, -1.0)[None],
    "silence": np.zeros((2, 4000)),
}
DAMAGES = {
    "clip": ("--sdr-db", 6),
    "lowpass": ("--cutoff-hz", 900),
    "gap": ("--gap", "0-0.0001"),
    "softclip": ("--sdr-db", 15),
    "dropout": ("--gap", "0-0.0001"),
    "click": ("--per-second", 50),
}


def noise(channels: int = 2, frames: int = 20_001, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(1).standard_normal((channels, frames))


def read(path: Path) -> np.ndarray:
    """(channels, time)"""
    return soundfile.read(path, always_2d=True)[0].T


@pytest.mark.parametrize("block", [1 << 18, 777])
@pytest.mark.parametrize("sdr_db", [3.0, 12.0])
def test_degrade_clip_leaves_the_sdr_asked_for(
    sdr_db: float,
    block: int,
    cli: Callable,
    write: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 2 * block)
    clean, output = write("in.wav", noise(), RATE, "DOUBLE"), tmp_path / "out.wav"
    assert cli("degrade", "clip", clean, output, "--sdr-db", sdr_db).code == 0
    before, after = read(clean), read(output)
    assert sdr(before, after) == pytest.approx(sdr_db, abs=1e-4)
    level = np.abs(after).max()
    np.testing.assert_array_equal(after, np.clip(before, -level, level))


def test_degrade_softclip_leaves_the_sdr_asked_for(cli: Callable, write: Callable, tmp_path: Path) -> None:
    clean, output = write("in.wav", noise(), RATE, "DOUBLE"), tmp_path / "out.wav"
    assert cli("degrade", "softclip", clean, output, "--sdr-db", 12).code == 0
    assert sdr(read(clean), read(output)) == pytest.approx(12, abs=1e-4)


def test_degrade_click_adds_the_same_to_every_channel(
    cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, paths = write("in.wav", noise(), RATE, "DOUBLE"), [tmp_path / f"{i}.wav" for i in range(3)]
    options = ("--per-second", 10, "--level-db", 6)
    said: list[str] = []
    monkeypatch.setattr("audiomend.cli.degrade.say", said.append)
    assert cli("degrade", "click", clean, tmp_path / "usual.wav").code == 0
    assert cli("degrade", "click", clean, paths[0], *options).code == 0
    assert cli("degrade", "click", clean, paths[1], *options, "--seed", 1).code == 0
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 2 * 777)
    assert cli("degrade", "click", clean, paths[2], *options).code == 0
    added, other, blocks = (read(path) - read(clean) for path in paths)
    np.testing.assert_allclose(added[0], added[1], atol=1e-15)
    np.testing.assert_allclose(blocks, added, atol=1e-15)
    assert not np.array_equal(other, added)
    rms = np.sqrt(np.mean(np.square(read(clean))))
    assert 1.3 * rms < np.abs(added).max() <= 2 * rms  # 6 dB, and the loudest of some 25
    assert f"5 clicks a second, the loudest of {rms * 10 ** (15 / 20):.4f}" in said[0]


def test_degrade_dropout_turns_down(cli: Callable, write: Callable, tmp_path: Path) -> None:
    clean, output = write("in.wav", noise(), RATE, "DOUBLE"), tmp_path / "out.wav"
    assert cli("degrade", "dropout", clean, output, "--gap", "1-1.5", "--depth-db", 20).code == 0
    ratio = read(output) / read(clean)
    fade = RATE // 500  # 2 ms
    inside = slice(RATE + fade, RATE + RATE // 2 - fade)
    np.testing.assert_allclose(ratio[:, inside], 0.1, rtol=1e-9)
    np.testing.assert_allclose(ratio[0, RATE : RATE + fade], 10 ** -(np.arange(1, 17) / 17), rtol=1e-9)
    np.testing.assert_allclose(ratio[:, :RATE], 1)
    np.testing.assert_allclose(ratio[:, RATE + RATE // 2 :], 1)


@pytest.mark.parametrize("damage", ["clip", "softclip", "lowpass", "gap", "dropout", "click"])
def test_a_long_file_is_degraded_block_by_block(
    damage: str, cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    @contextlib.contextmanager
    def watched(sound: Sound, frames: int) -> Iterator[SimpleNamespace]:
        with by_position(sound, frames) as reader:

            def read(start: int, stop: int) -> np.ndarray:
                lengths.append(stop - start)
                return reader.read(start, stop)

            about = {name: getattr(reader, name) for name in ("rate", "channels", "frames")}
            yield SimpleNamespace(**about, read=read)

    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 2 * 1000)
    monkeypatch.setattr("audiomend.audio.reader.by_position", watched)
    assert cli("degrade", damage, write("in.wav", noise()), tmp_path / "out.wav", *DAMAGES[damage]).code == 0
    reach = len(LowPass(900, RATE).taps) // 2 if damage == "lowpass" else 0
    assert max(lengths) <= 1000 + 2 * reach
    assert len(lengths) >= 2 * 21


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Shares that progress bars were advanced to."""
    shares: list[float] = []

    @contextlib.contextmanager
    def bar(_: str) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(show=lambda _: None, advance=shares.append)

    for command in ("degrade", "benchmark"):
        monkeypatch.setattr(f"audiomend.cli.{command}.progress_bar", bar)
    return shares


def test_the_bar_of_degrade_is_the_share_of_the_frames(
    shown: list[float], cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 2 * 8000)
    assert cli("degrade", "clip", write("in.wav", noise()), tmp_path / "out.wav").code == 0
    assert shown == [8000 / 20_001, 16_000 / 20_001, 1]


def test_the_bar_of_benchmark_is_the_share_of_the_cells(
    shown: list[float], cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object, progress: Callable, **__: object) -> None:
        for done in (1, 3, 4):
            result = SimpleNamespace(method="damaged", clip="one", error="none" if done == 3 else None)
            progress(SimpleNamespace(done=done, total=4, result=result))

    monkeypatch.setattr("audiomend.evaluation.benchmark.benchmark", measure)
    result = cli("benchmark", "declip", "--data", "data", "--out", "results")
    assert shown == [0.25, 0.75, 1]
    assert result.err == "Warning: damaged failed on one: none.\n"


def test_a_bar_is_full_at_a_share_of_one() -> None:
    with console.progress_bar("Working") as bar:
        for share in (0.25, 1.0):
            bar.advance(share)
            assert bar._progress.tasks[0].percentage == 100 * share


@pytest.mark.parametrize("block", [1 << 18, 777])
def test_degrade_lowpass_is_the_operator_in_blocks(
    block: int, cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 2 * block)
    clean, output = write("in.wav", noise(), RATE, "DOUBLE"), tmp_path / "out.wav"
    assert cli("degrade", "lowpass", clean, output, "--cutoff-hz", 900).code == 0
    import torch

    expected = LowPass(900, RATE).forward(torch.from_numpy(read(clean))).numpy()
    np.testing.assert_allclose(read(output), expected, atol=1e-12)


def test_degrade_gap_is_digital_silence(cli: Callable, write: Callable, tmp_path: Path) -> None:
    clean, output = write("in.wav", noise()), tmp_path / "out.wav"
    assert cli("degrade", "gap", clean, output, "--gap", "1.2-1.45", "--gap", "0:02-0:02.001").code == 0
    expected = read(clean)
    expected[:, 9600:11_600] = 0
    expected[:, 16_000:16_008] = 0
    np.testing.assert_array_equal(read(output), expected)


def test_degraded_peaks_that_do_not_fit_are_stated(cli: Callable, write: Callable, tmp_path: Path) -> None:
    square = np.where(np.arange(8000) // 40 % 2, 0.99, -0.99)
    clean, output = write("in.wav", square), tmp_path / "out.wav"
    result = cli("degrade", "lowpass", clean, output, "--cutoff-hz", 900)
    assert result.code == 0
    assert "dB quieter" in result.err


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ODD)
def test_odd_sounds_are_degraded(name: str, damage: str, cli: Callable, write: Callable) -> None:
    clean = write("in.wav", ODD[name], RATE, "FLOAT")
    output = clean.with_name("out.wav")
    result = cli("degrade", damage, clean, output, *DAMAGES[damage])
    if name == "silence" and damage in ("clip", "softclip", "click"):  # see below
        assert result.code == 2
        return
    assert result.code == 0, result.err
    after = read(output)
    assert after.shape == ODD[name].shape
    assert np.isfinite(after).all()
    if name == "silence":
        assert not after.any()


@pytest.mark.parametrize("name", ODD)
def test_odd_sounds_are_measured(name: str, cli: Callable, write: Callable) -> None:
    paths = [write(f"{n}.wav", gain * ODD[name], RATE, "FLOAT") for n, gain in (("a", 1), ("b", 0.5))]
    figures = cli("evaluate", *paths, "--cutoff-hz", 1000, "--json").json["figures"]
    assert all(value is None or np.isfinite(value) for value in figures.values())
    if name != "silence":
        assert figures["sdr_db"] == pytest.approx(20 * np.log10(2), abs=1e-5)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("clip", "there is nothing to clip"),
        ("softclip", "there is nothing to bend"),
        ("click", "clicks have no level to be measured by"),
    ],
)
def test_silence_cannot_be_clipped(
    damage: str, why: str, cli: Callable, write: Callable, tmp_path: Path
) -> None:
    result = cli("degrade", damage, write("in.wav", np.zeros(100)), tmp_path / "out.wav")
    assert (result.code, result.err) == (2, f"Error: {tmp_path}/in.wav is silent: {why}.\n")


def test_what_was_degraded_is_said(
    cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    clean = write("in.wav", noise(), RATE, "DOUBLE")
    said = cli("degrade", "gap", clean, tmp_path / "g.wav", "--gap", "1-1.5").err
    assert "1 gap, 0.500 s together" in said
    said = cli("degrade", "clip", clean, tmp_path / "c.wav").err
    level = np.abs(read(tmp_path / "c.wav")).max()
    assert f"clipped at {level:.4f} of full scale, which leaves an SDR of 5 dB" in " ".join(said.split())


def test_evaluate_gives_the_figures_of_the_library(cli: Callable, write: Callable) -> None:
    clean, estimate = noise(), noise() + 0.01 * noise(level=1)[:, ::-1]
    damaged = np.clip(clean, -0.15, 0.15)
    paths = [
        write(f"{n}.wav", x, RATE, "DOUBLE") for n, x in zip("abc", (clean, estimate, damaged), strict=True)
    ]
    result = cli("evaluate", paths[0], paths[1], "--damaged", paths[2], "--cutoff-hz", 1000, "--json")
    mask = np.abs(clean) > 0.15
    said = result.json
    assert said["schema"] == "audiomend.evaluate/1"
    assert said["figures"] == pytest.approx(evaluate(clean, estimate, RATE, 1000, mask))
    assert (said["damaged_samples"], said["rate"]) == (mask.sum(), RATE)


def test_evaluate_takes_a_long_file_together(
    cli: Callable, write: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 1000)
    paths = [write(f"{level}.wav", noise(level=level), RATE, "DOUBLE") for level in (0.2, 0.1)]
    figures = cli("evaluate", *paths, "--json").json["figures"]
    assert figures == pytest.approx(evaluate(noise(level=0.2), noise(level=0.1), RATE))


def test_evaluate_prints_a_table(cli: Callable, write: Callable) -> None:
    clean, estimate = noise(), 0.5 * noise()
    paths = [write("a.wav", clean, RATE, "DOUBLE"), write("b.wav", estimate, RATE, "DOUBLE")]
    lines = cli("evaluate", *paths, "--cutoff-hz", 1000).out.decode().splitlines()
    rows = {name: values for name, *values in (re.split(" {2,}", line.strip()) for line in lines)}
    assert rows["SDR"] == ["6.0", "6.0", "6.0"]
    assert rows["level error"] == ["-6.0", "-6.0", "-6.0"]
    assert rows["log-spectral distance"][0] == f"{log_spectral_distance(clean, estimate, RATE):.1f}"
    assert rows["dB"] == ["whole", "below 1000 Hz", "above 1000 Hz"]


@pytest.mark.parametrize(
    ("other", "rate", "words"),
    [
        (noise(1), RATE, "has 1 channels"),
        (noise(2, 20_000), RATE, "has 20,000 frames"),
        (noise(), 16_000, "has a rate of 16,000 Hz"),
    ],
)
def test_evaluate_compares_only_what_is_alike(
    other: np.ndarray, rate: int, words: str, cli: Callable, write: Callable
) -> None:
    result = cli("evaluate", write("a.wav", noise()), write("b.wav", other, rate))
    assert result.code == 2
    assert words in result.err
    assert "they must be equal" in result.err


def test_models_are_listed_and_shown(cli: Callable, model: Path) -> None:
    listed = cli("models", "list", "--json").json
    assert {"name": "wiener", "rate": 44_100, "summary": CARD.summary} in listed["models"]
    assert listed["default"] == "prior"
    assert "wiener" in cli("models", "list").out.decode()
    shown = cli("models", "show", model, "--json").json
    assert (shown.pop("schema"), shown.pop("audiomend")) == ("audiomend.model/1", audiomend.__version__)
    assert shown == json.loads((model / "card.json").read_text())
    text = cli("models", "show", "wiener").out.decode()
    assert f"weights licence: {CARD.weights_licence}" in text
    assert f"limits: \n  {CARD.limits[0]}\n" in text
    for entry in dataclasses.asdict(CARD):
        assert f"{entry.replace('_', ' ')}: " in text


def test_presets_are_listed_with_paper_equation_and_cost(cli: Callable) -> None:
    listed = {row["name"]: row for row in cli("presets", "--json").json["presets"]}
    assert list(listed) == list(PRESETS)
    guided, consistent = listed["cqtdiff-rg"], listed["cqtdiff-dc"]
    assert guided["equation"] == "equation 4 as coded"
    assert "Moliner" in guided["paper"]
    assert guided["settings"]["inpaint"]["xi"] == 0.35
    costs = [
        {"steps": steps, "evaluations_per_step": 2.0, "evaluations": 2 * steps - 1, "gradients": gradients}
        for steps, gradients in ((140, 279), (35, 69), (35, 0))
    ]
    assert [guided["cost"]["declip"], guided["cost"]["extend"], consistent["cost"]["extend"]] == costs
    assert guided["fewest_steps"] == {"declip": 140, "inpaint": 35, "extend": 35}
    text = cli("presets").out.decode()
    assert all(name in text for name in PRESETS)


def test_methods_with_published_settings_are_listed_too(cli: Callable) -> None:
    told = cli("presets", "--json").json
    assert (told["schema"], set(told)) == (
        "audiomend.presets/1",
        {"schema", "audiomend", "presets", "published"},
    )
    rows = told["published"]
    methods = {verb: [row["method"] for row in rows if row["verb"] == verb] for verb in PUBLISHED_METHODS}
    assert methods == {verb: list(found) for verb, found in PUBLISHED_METHODS.items()}
    for row in rows:
        assert set(row) == {"name", "verb", "method", "paper", "equation", "note", "cost"}
        assert row["name"] == "published"
        assert row["paper"][-1] in ")6"  # a year or a name
        assert re.search(r"\d s of processor time for a (second of sound|gap)", row["cost"])
    assert rows[0]["paper"] == "Kitić et al. 2015 (A-SPADE)"
    assert rows[0]["equation"].startswith("algorithm 1")
    text = cli("presets").out.decode()
    for row in rows:
        assert re.search(rf"published +{row['method']} ", text)
        assert row["cost"].split()[0] in text


def test_a_method_runs_as_published(cli: Callable, write: Callable, tmp_path: Path) -> None:
    samples = np.clip(noise(1, 4000, level=1), -0.4, 0.4)
    source, out = write("in.wav", samples, subtype="FLOAT"), tmp_path / "out.wav"
    line = ("declip", source, out, "--preset", "published", "--json")
    told = cli(*line, "--method", "ar").json["settings"]
    assert (told["preset"], told["method"], told["steps"]) == ("published", "ar", 0)
    assert told["method_settings"] == "as published: frames of 8192, order 512, 5 iterations"
    expected = audiomend.declip(soundfile.read(source)[0], 8000, method="ar", preset="published")
    np.testing.assert_allclose(soundfile.read(out)[0], expected, atol=1e-7 * np.abs(expected).max())
    assert (soundfile.read(out)[0] != soundfile.read(source)[0]).any()
    wrong = {
        (): "--preset published goes with the method a-spade, s-spade, ss-ew, ss-pew or ar, not with auto",
        ("--method", "blend"): "not with blend",
        ("--method", "diffusion"): "not with diffusion",
        ("--method", "ar", "--quality", "fast"): "--quality is nothing for the preset published",
        ("--method", "ar", "--samples", 2): "--samples is nothing for the method ar",
    }
    for options, sentence in wrong.items():
        refused = cli(*line, *options, "--force")
        assert (refused.code, refused.err.count("\n"), sentence in refused.err) == (2, 1, True), refused.err
    many = cli("declip", source, source, "-o", tmp_path / "many", "--preset", "published")
    assert (many.code, (tmp_path / "many").exists()) == (2, False)
    assert cli("extend", source, out, "--preset", "published", "--force").code == 2


def test_a_preset_and_its_parts_are_chosen_by_options(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source = write("in.wav", np.clip(noise(1, 4000, level=1), -0.4, 0.4))
    line = ("declip", source, tmp_path / "out.wav", "--model", "wiener", "--steps", 3, "--force", "--json")
    settings = cli(*line, "--preset", "cqtdiff", "--guidance", "replace", "--sampler", "trajectory").json[
        "settings"
    ]
    assert (settings["preset"], settings["guidance"], settings["solver"]) == ("cqtdiff", "replace", None)
    assert (settings["sampler"], settings["steps"]) == ("trajectory", 3)
    wrong = cli(*line, "--preset", "cqtdif")
    assert (wrong.code, wrong.err.endswith("Did you mean cqtdiff?\n")) == (2, True)
    for option in ("guidance", "solver", "sampler"):
        wrong = cli(*line, f"--{option}", "magic")
        assert (wrong.code, f"The {option} magic is unknown" in wrong.err) == (2, True)


def test_a_card_s_lists_and_numbers_are_readable(cli: Callable, model: Path, tmp_path: Path) -> None:
    source = {"material": "piano", "what": "a sonata", "licence": "CC0", "minutes": 329.8}
    entries = json.loads((model / "card.json").read_text())
    entries |= {"training_data": [source], "segments": 123_456, "arguments": {"widths": [8, 16]}}
    (tmp_path / "card.json").write_text(json.dumps(entries))
    text = cli("models", "show", tmp_path).out.decode()
    assert "training data: \n  piano, a sonata, CC0, 329.8 minutes\n" in text
    assert "segments: 123,456\n" in text
    assert "arguments: \n  widths: 8, 16\n" in text
    assert "withheld: -\n" in text


def test_demo_says_where_the_page_is(cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(folder: Path, progress: Callable[[float], object]) -> list[Path]:
        progress(0.5)
        return [folder / "index.html", folder / "clean.wav"]

    monkeypatch.setattr("audiomend.report.demo.demo", make)
    assert cli("demo", tmp_path).out.decode() == f"{tmp_path}/index.html\n"
    assert cli("demo").out.decode() == "audiomend-demo/index.html\n"


@pytest.mark.parametrize(
    ("given", "methods"),
    [
        (["damaged,diffusion"], ["damaged", "diffusion"]),
        (["a@steps=8,solver=unipc,b"], ["a@steps=8,solver=unipc", "b"]),
        (["a@steps=8,b@steps=4", "c@x=1,y=2"], ["a@steps=8", "b@steps=4", "c@x=1,y=2"]),
    ],
)
def test_methods_are_told_from_their_options(given: list[str], methods: list[str]) -> None:
    assert split_methods(given) == methods


def test_benchmark_measures_and_resumes(cli: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "test" / "music"
    folder.mkdir(parents=True)
    soundfile.write(folder / "one.wav", noise(2, 16_000).T, RATE)
    line = ("benchmark", "declip", "--data", tmp_path / "data", "--out", tmp_path / "results")
    options = ("--set", "music", "--severity", 5, "--clip-seconds", 1, "--methods", "damaged")
    result = cli(*line, *options)
    assert result.code == 0, result.err
    assert result.out.decode() == f"{tmp_path}/results/declip.md\n"
    assert "| damaged |" in (tmp_path / "results" / "declip.md").read_text()
    lines = (tmp_path / "results" / "declip.jsonl").read_text()
    assert cli(*line, *options).code == 0
    assert (tmp_path / "results" / "declip.jsonl").read_text() == lines


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What `train_recipe` was called with; `during` is run inside it."""
    called: dict[str, Any] = {"during": lambda: None, "complete": True}

    def train_recipe(recipe: str, **options: Any) -> object:
        called.update(recipe=recipe, options=options)
        called["during"]()
        return SimpleNamespace(
            step=40, complete=called["complete"], model=tmp_path / "model", skipped=["a.wav: silent"]
        )

    monkeypatch.setattr("audiomend.training.run.train_recipe", train_recipe)
    return called


def test_train_hands_its_options_over(cli: Callable, trained: dict[str, Any], tmp_path: Path) -> None:
    line = "train tiny --data d --pool p --out o --set batch=8 --set seed=2 --max-minutes 1.5 --resume"
    result = cli(*line.split(), "--init", "prior", "--no-sharealike")
    assert (result.code, result.out.decode()) == (0, f"{tmp_path}/model\n")
    assert result.err == "Warning: left out: a.wav: silent.\n"
    options = trained["options"]
    assert trained["recipe"] == "tiny"
    assert (options["data"], options["pool"], options["out"]) == (Path("d"), Path("p"), Path("o"))
    assert (options["settings"], options["max_minutes"]) == (("batch=8", "seed=2"), 1.5)
    assert (options["resume"], options["init"], options["no_sharealike"]) == (True, "prior", True)
    assert not options["stop"]()


def test_train_defaults_are_those_of_the_library(cli: Callable, trained: dict[str, Any]) -> None:
    assert cli("train", "tiny").code == 0
    options = {k: v for k, v in trained["options"].items() if k not in ("report", "stop")}
    assert options == {
        "data": None,
        "pool": None,
        "out": None,
        "settings": (),
        "max_minutes": None,
        "resume": False,
        "init": None,
        "no_sharealike": False,
    }


def test_an_interrupted_training_is_saved_and_ends_with_130(cli: Callable, trained: dict[str, Any]) -> None:
    trained["during"] = lambda: signal.raise_signal(signal.SIGINT)
    result = cli("train", "tiny")
    assert result.code == 130
    assert result.err.endswith("\nStopped after step 40; the state is saved, and --resume goes on from it.\n")


def test_training_shows_its_log(
    cli: Callable, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    line = {"step": 1050, "cpu_hours": 0.5, "seconds_per_step": 1.25, "loss": {"all": 0.43219}}
    trained["during"] = lambda: trained["options"]["report"](line)
    trained["complete"] = False
    said = cli("train", "tiny").err
    assert "step 1,050: loss 0.4322, 1.25 s a step, 30 min 0 s of CPU.\n" in said
    assert "Stopped after step 40; --resume goes on from it.\n" in said
