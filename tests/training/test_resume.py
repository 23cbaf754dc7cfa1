"""A run that is killed again and again is the run that never was."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.errors import TrainingError
from audiomend.models.card import Card
from audiomend.networks.patch_unet import Architecture
from audiomend.recipes.recipe import Recipe
from audiomend.training import checkpoint, loop
from audiomend.training.loop import train
from audiomend.training.objective import Batch
from audiomend.training.state import Origin, Run, bring_back, read_saved, save, start

Batches = Callable[[int], Batch]
Same = Callable[[dict[str, Tensor], dict[str, Tensor]], bool]


class Killed(BaseException):
    """Nothing catches it; the run is abandoned as it is."""


def resumed(recipe: Recipe, folder: Path) -> Run:
    run = start(recipe, torch.float32)
    saved = read_saved(folder)
    if saved is not None:
        bring_back(run, saved, folder)
    return run


def losses(folder: Path) -> list[tuple[int, dict[str, float]]]:
    lines = [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


def test_twenty_kills_change_nothing(
    recipe: Recipe, sines: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: Same
):
    monkeypatch.setattr(loop, "LOG_STEPS", 3)  # lines that a kill cuts in two
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    train(resumed(recipe, whole), sines, whole)

    random = np.random.default_rng(4)
    kills = 0
    while kills < 20:
        run = resumed(recipe, broken)
        deadly = run.step + int(random.integers(1, 5))

        def batches(step: int, run: Run = run, deadly: int = deadly) -> Batch:
            if random.random() < 0.4:
                save(run, broken)
            if step >= min(deadly, recipe.steps - 1):
                raise Killed
            return sines(step)

        with pytest.raises(Killed):
            train(run, batches, broken)
        kills += 1
    train(resumed(recipe, broken), sines, broken)

    assert losses(broken) == losses(whole)
    ours, theirs = (checkpoint.load_latest(folder) for folder in (broken, whole))
    assert same(ours[0], theirs[0])
    timing = {"cpu_seconds": 0}
    assert ours[1] | timing == theirs[1] | timing


LIFE = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from audiomend.recipes import find_recipe
from audiomend.training import loop
from audiomend.training.objective import Batch
from audiomend.training.settings import with_settings
from audiomend.training.state import bring_back, read_saved, start
from audiomend.networks.patch_unet import Seen

folder, loop.LOG_STEPS, loop.SAVE_SECONDS = Path(sys.argv[1]), 1, 0.0
recipe = with_settings(find_recipe("tiny"), sys.argv[2:])

def batches(step):
    clean = torch.randn(2, 1024, generator=torch.Generator().manual_seed(step))
    zeros = torch.zeros(2, 1024)
    return Batch(clean, zeros[:, 0], Seen(zeros, zeros, zeros, zeros[:, 0], zeros[:, 0]), ("a", "b"))

run = start(recipe, torch.float32)
saved = read_saved(folder)
if saved:
    bring_back(run, saved, folder)
loop.train(run, batches, folder)
"""
SMALL = (
    "architecture.length=1024",
    "architecture.widths=8,8",
    "architecture.window=64",
    "architecture.hop=16",
)
SETTINGS = (*SMALL, "architecture.long_window=256", "steps=120", "decay_steps=40", "skip_above=1e9")

LONGER = ("architecture.long_window=256", "steps=1000", "decay_steps=300")


def killed(folder: Path, lines: int) -> None:
    """A process that trains, killed as soon as the log has grown to so many lines."""
    process = subprocess.Popen([sys.executable, "-c", LIFE, str(folder), *SETTINGS])
    log = folder / "log.jsonl"
    while process.poll() is None:
        if log.exists() and len(log.read_text().splitlines()) >= lines:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL


def lived(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same life in this process, to its end."""
    monkeypatch.setattr(sys, "argv", ["", str(folder), *SETTINGS])
    for name in ("LOG_STEPS", "SAVE_SECONDS"):
        monkeypatch.setattr(loop, name, getattr(loop, name))  # put back what the life changes
    exec(LIFE, {})


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: Same):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    lived(whole, monkeypatch)
    killed(broken, 30)
    killed(broken, 75)
    lived(broken, monkeypatch)
    assert [step for step, _ in losses(whole)] == list(range(1, 121))
    assert losses(broken) == losses(whole)
    assert same(checkpoint.load_latest(broken)[0], checkpoint.load_latest(whole)[0])


COMMAND = """
from audiomend.training import loop
loop.LOG_STEPS, loop.SAVE_SECONDS = 7, 0.05
from audiomend.cli.main import main
main()
"""


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_twenty_killed_commands_change_nothing(pool: Path, tmp_path: Path):
    """The command itself, killed at random moments: while it loads, trains, logs, saves or cleans up."""
    random = np.random.default_rng(11)
    settings = [word for text in (*SMALL, *LONGER) for word in ("--set", text)]
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    def started(folder: Path) -> subprocess.Popen[bytes]:
        line = ["train", "tiny", "--pool", str(pool), "--out", str(folder), "--resume", *settings]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *line], env=environment, stdout=subprocess.DEVNULL
        )

    assert started(whole).wait() == 0
    kills = 0
    while kills < 20:
        process, before = started(broken), set(broken.glob(checkpoint.PATTERN))
        if kills % 5:  # every fifth is killed while it loads
            while process.poll() is None and set(broken.glob(checkpoint.PATTERN)) <= before:
                time.sleep(0.01)
        time.sleep(random.uniform(0, 0.5))
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it came to its end: more steps are needed"
        kills += 1
    assert started(broken).wait() == 0

    assert [step for step, _ in losses(whole)] == list(range(7, 1001, 7))
    assert losses(broken) == losses(whole)
    for name in ("model/weights.safetensors", "validation.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    assert not list(broken.glob("*.part"))


def test_another_architecture_is_refused_with_the_difference(recipe: Recipe, sines: Batches, tmp_path: Path):
    run = start(recipe, torch.float32)
    save(run, tmp_path)
    other = replace(recipe, architecture=replace(recipe.architecture, widths=(8, 16), length=2048))
    with pytest.raises(
        TrainingError, match=r"length 1024 instead of 2048, widths \(8, 8\) instead of \(8, 16\)\.$"
    ):
        resumed(other, tmp_path)


def test_recipe_and_origin_are_saved(recipe: Recipe, tmp_path: Path):
    entries: dict[str, Any] = dict.fromkeys(Card.__dataclass_fields__, "")
    init = Card(**entries | {"segments": 40, "cpu_hours": 1.5})
    origin = Origin("tiny", sharealike=False, init=init)
    changed = replace(recipe, skip_above=7.5, materials={"piano": 1.0})
    save(start(changed, torch.float32, origin), tmp_path)
    saved = read_saved(tmp_path)
    assert saved is not None
    assert saved.recipe == changed
    assert saved.origin == origin
    assert resumed(changed, tmp_path).origin == origin


def test_progress_includes_that_of_the_model_it_started_from(recipe: Recipe):
    entries: dict[str, Any] = dict.fromkeys(Card.__dataclass_fields__, "")
    init = Card(**entries | {"segments": 40, "cpu_hours": 1.5})
    run = start(recipe, torch.float32, Origin("tiny", init=init))
    run.step, run.segments, run.cpu_seconds = 3, 12, 1800.0
    assert run.progress == {"step": 3, "segments": 52, "cpu_hours": 2.0}


def test_cpu_time_adds_up_over_lives(recipe: Recipe, sines: Batches, tmp_path: Path):
    run = start(recipe, torch.float32)
    run.cpu_seconds = 5000.0
    train(run, sines, tmp_path, stop=lambda: run.step == 2)
    assert 5000.0 < run.cpu_seconds < 5200.0
    assert resumed(recipe, tmp_path).cpu_seconds == run.cpu_seconds


def test_the_validation_is_rewound_with_the_log(recipe: Recipe, tmp_path: Path):
    run = start(recipe, torch.float32)
    run.step = 10
    save(run, tmp_path)
    for name in ("log.jsonl", "validation.jsonl"):
        lines = [json.dumps({"step": step}) + "\n" for step in (5, 10, 15)]
        (tmp_path / name).write_text("".join(lines) + '{"step": 2')  # a kill cut the last line
    resumed(recipe, tmp_path)
    for name in ("log.jsonl", "validation.jsonl"):
        steps = [json.loads(text)["step"] for text in (tmp_path / name).read_text().splitlines()]
        assert steps == [5, 10]


def test_a_checkpoint_of_the_first_version_is_read(recipe: Recipe, tmp_path: Path, same: Same):
    run = start(recipe, torch.float32)
    path = checkpoint.PATTERN.replace("*", "00000006")
    save(run, tmp_path)
    tensors, _ = checkpoint.load_latest(tmp_path)
    facts = {
        "averaged": 6,
        "architecture": repr(recipe.architecture),
        "recipe": "Recipe(name='tiny', architecture=Architecture(length=1024, widths=(8, 8), window=64, "
        "hop=16, long_window=256), rate=44100, batch=2, steps=99, materials={'piano': 0.5, 'speech': 0.5})",
        "step": 6,
        "skipped": 1,
        "cpu_seconds": 7.5,
        "segments_before": 0,
        "cpu_seconds_before": 0.0,
    }
    checkpoint.save(tmp_path, 6, tensors, facts)
    assert (tmp_path / path).exists()
    saved = read_saved(tmp_path)
    assert saved is not None
    assert saved.recipe.architecture == Architecture(1024, (8, 8), 64, 16, 256)
    assert saved.recipe.steps == 99
    assert saved.recipe.materials == {"piano": 0.5, "speech": 0.5}
    back = resumed(recipe, tmp_path)
    assert (back.step, back.segments, back.skipped, back.cpu_seconds) == (6, 12, 1, 7.5)
    assert same(dict(back.network.state_dict()), dict(run.network.state_dict()))
