import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiomend.data.pool import Origin, write_shard
from audiomend.errors import Cancelled, ModelError, TrainingError, UsageError
from audiomend.models.card import read_card
from audiomend.models.prior import load
from audiomend.training import loop
from audiomend.training import run as training
from audiomend.training.checkpoint import load_latest
from audiomend.training.run import Outcome, train_recipe

MICRO = (
    "architecture.length=1024",
    "architecture.widths=8,8",
    "architecture.window=64",
    "architecture.hop=16",
    "architecture.long_window=256",
    "steps=6",
    "decay_steps=3",
)


@pytest.fixture
def go(tmp_path: Path, pool: Path) -> Callable[..., Outcome]:
    def train(out: str = "out", *settings: str, **options: Any) -> Outcome:
        given = MICRO + settings if not options.get("resume") else settings
        options = {"pool": pool, "out": tmp_path / out, "settings": given} | options
        return train_recipe(options.pop("recipe", "tiny"), **options)

    return train


@pytest.fixture
def unvalidated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time spent on figures."""
    monkeypatch.setattr(training, "fixed_segments", lambda *_: [])


def test_a_run_leaves_log_checkpoint_figures_tables_and_model(go: Callable[..., Outcome], tmp_path: Path):
    outcome = go()
    out = tmp_path / "out"
    assert outcome == Outcome(step=6, complete=True, model=out / "model", skipped=[])
    assert load_latest(out)[1]["step"] == 6
    card = read_card(out / "model")
    assert (card.name, card.segments) == ("tiny", 12)
    assert {entry["what"] for entry in card.training_data} == {f"maker {n}" for n in range(1, 12, 2)}
    (line,) = [json.loads(text) for text in (out / "validation.jsonl").read_text().splitlines()]
    assert (line["step"], line["segments"]) == (6, 12)
    assert set(line["gain"]["wiener"]) == {"music", "piano", "clipping", "gap", "low-pass"}
    assert set(line["gain"]["told"]) == {"clipping", "gap", "low-pass"}
    at_one = np.mean([line["gain"]["network"][name][4] for name in ("music", "piano")])
    assert card.figures["denoising gain at 1 sigma_data, dB"] == pytest.approx(at_one, abs=0.006)
    tables = (out / "validation.md").read_text()
    assert "| music, network |" in tables
    assert "| CPU hours |" in tables
    assert load(out / "model").length == 1024


def test_lines_of_the_log_are_reported(
    go: Callable[..., Outcome], unvalidated: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "LOG_STEPS", 3)
    lines: list[dict[str, Any]] = []
    go(report=lines.append)
    assert [line["step"] for line in lines] == [3, 6]
    assert {"cpu_hours", "loss", "seconds_per_step"} <= set(lines[0])


def test_a_folder_with_a_run_is_not_used_again(go: Callable[..., Outcome], unvalidated: None):
    go()
    with pytest.raises(UsageError, match=r"out holds a run already; resume it, or take another folder"):
        go()


def test_a_run_goes_on_with_its_settings(go: Callable[..., Outcome], unvalidated: None, tmp_path: Path):
    steps = iter([False, False, True, True, True])
    first = go("out", "batch=3", stop=lambda: next(steps))
    assert (first.step, first.complete) == (2, False)
    second = go("out", "steps=8", resume=True)
    assert (second.step, second.complete) == (8, True)
    facts = load_latest(tmp_path / "out")[1]
    assert (facts["recipe"]["batch"], facts["recipe"]["steps"], facts["segments"]) == (3, 8, 24)


def test_a_run_in_two_parts_is_the_run_in_one(
    go: Callable[..., Outcome], unvalidated: None, tmp_path: Path, same: Callable[..., bool]
):
    go("whole")
    steps = iter([False, False, False, False, True, True, True])
    go("parts", stop=lambda: next(steps))
    go("parts", resume=True)
    assert same(load_latest(tmp_path / "whole")[0], load_latest(tmp_path / "parts")[0])


def test_without_a_checkpoint_resuming_is_starting(go: Callable[..., Outcome], unvalidated: None):
    outcome = go(resume=True, settings=MICRO)
    assert outcome.step == 6


def test_no_time_left_writes_the_model_and_trains_no_more(
    go: Callable[..., Outcome], unvalidated: None, tmp_path: Path
):
    outcome = go(max_minutes=1e-6)
    assert outcome.step == 0
    assert (tmp_path / "out" / "model" / "card.json").exists()


def test_the_exported_average_can_be_chosen_afterwards(
    go: Callable[..., Outcome], unvalidated: None, tmp_path: Path
):
    go()
    go("out", "average=raw", resume=True)
    raw = load_latest(tmp_path / "out")[0]["network.stem_lower.weight"]
    exported = load(str(tmp_path / "out" / "model")).network.state_dict()["stem_lower.weight"]
    assert torch.equal(exported, raw.half().float())


def test_another_recipe_is_refused(go: Callable[..., Outcome], unvalidated: None):
    go()
    with pytest.raises(UsageError, match="holds a run of the recipe tiny, not of prior"):
        go(recipe="prior", resume=True)


def test_another_architecture_is_refused_with_the_difference(go: Callable[..., Outcome], unvalidated: None):
    go()
    with pytest.raises(
        TrainingError, match=r"of another architecture than the recipe: widths \(8, 8\) instead of"
    ):
        go("out", "architecture.widths=16,16", resume=True)


def test_share_alike_data_can_be_left_out(go: Callable[..., Outcome], unvalidated: None, tmp_path: Path):
    go("all")
    go("free", no_sharealike=True)
    all_data, free = (read_card(tmp_path / name / "model") for name in ("all", "free"))
    assert len(free.training_data) == len(all_data.training_data) - 1
    assert all_data.weights_licence.startswith("CC BY-SA 4.0")
    assert free.weights_licence.startswith("CC BY 4.0")


@pytest.mark.parametrize(("at_first", "word"), [(True, "without"), (False, "with")])
def test_a_run_stays_with_or_without_share_alike_data(
    go: Callable[..., Outcome], unvalidated: None, at_first: bool, word: str
):
    go(no_sharealike=at_first)
    with pytest.raises(UsageError, match=f"was begun {word} share-alike data"):
        go(resume=True, no_sharealike=not at_first)


def test_a_run_can_start_from_a_model(go: Callable[..., Outcome], unvalidated: None, tmp_path: Path):
    go("first")
    model = str(tmp_path / "first" / "model")
    go("second", "steps=1", init=model, max_minutes=1e-6)
    ours, theirs = load(str(tmp_path / "second" / "model")), load(model)
    ours_state, theirs_state = ours.network.state_dict(), theirs.network.state_dict()
    assert all(torch.equal(ours_state[name], theirs_state[name]) for name in theirs_state)
    assert ours.card.segments == 12
    go("second", "steps=1", resume=True)
    card = read_card(tmp_path / "second" / "model")
    assert card.segments == 14
    assert card.cpu_hours >= theirs.card.cpu_hours


def test_a_deeper_run_can_start_from_a_model_but_no_shallower_one(
    go: Callable[..., Outcome], unvalidated: None, tmp_path: Path
):
    go("first")
    model = str(tmp_path / "first" / "model")
    go("second", "architecture.depth=2", "steps=1", init=model, max_minutes=1e-6)
    ours, theirs = (load(path).network for path in (str(tmp_path / "second" / "model"), model))
    assert ours.architecture.depth == 2
    x, level = torch.randn(1, theirs.architecture.length), torch.zeros(1)
    assert torch.equal(ours(x, level, level), theirs(x, level, level))
    with pytest.raises(UsageError, match="depth 2 instead of 1; only its depth may be less"):
        go("third", init=str(tmp_path / "second" / "model"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "architecture.widths=16,16",
            r"another architecture than the recipe: widths \(8, 8\) instead of \(16, 16\)",
        ),
        ("sigma_data=0.2", "has sigma_data 0.1; the recipe's 0.2 must be the same"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    go: Callable[..., Outcome], unvalidated: None, tmp_path: Path, setting: str, message: str
):
    go("first")
    with pytest.raises(UsageError, match=message):
        go("second", setting, init=str(tmp_path / "first" / "model"))


def test_share_alike_weights_are_no_start_for_a_free_run(
    go: Callable[..., Outcome], unvalidated: None, tmp_path: Path
):
    go("first")
    with pytest.raises(UsageError, match="was made of share-alike data, which is to be left out"):
        go("second", init=str(tmp_path / "first" / "model"), no_sharealike=True)


def test_a_prior_without_weights_is_no_start(go: Callable[..., Outcome]):
    with pytest.raises(UsageError, match="The model wiener has no weights to start from"):
        go(init="wiener")


def test_an_unknown_model_is_no_start(go: Callable[..., Outcome]):
    with pytest.raises(ModelError, match="There is no model nowhere"):
        go(init="nowhere")


def test_a_resumed_run_takes_no_other_weights(go: Callable[..., Outcome], unvalidated: None):
    go()
    with pytest.raises(UsageError, match="goes on from its own weights, not from those of x"):
        go(resume=True, init="x")


def test_an_unknown_recipe_or_setting_leaves_no_folder(go: Callable[..., Outcome], tmp_path: Path):
    with pytest.raises(UsageError, match="Did you mean tiny"):
        go(recipe="tinny")
    with pytest.raises(UsageError, match="Did you mean batch"):
        go("out", "bach=3")
    assert not (tmp_path / "out").exists()


def test_a_stop_before_any_audio_is_a_cancellation(go: Callable[..., Outcome], tmp_path: Path):
    with pytest.raises(Cancelled):
        go(pool=tmp_path / "empty", stop=lambda: True)


def test_a_stopped_run_is_exported_without_figures(go: Callable[..., Outcome], tmp_path: Path):
    steps = iter([False, False, True, True, True])
    go(stop=lambda: next(steps))
    assert not (tmp_path / "out" / "validation.jsonl").exists()
    assert read_card(tmp_path / "out" / "model").figures == {}


def test_a_finished_run_is_not_validated_twice(go: Callable[..., Outcome], tmp_path: Path):
    go()
    before = (tmp_path / "out" / "validation.jsonl").read_text()
    go(resume=True)
    assert (tmp_path / "out" / "validation.jsonl").read_text() == before


def test_figures_need_withheld_audio(go: Callable[..., Outcome], tmp_path: Path):
    tone = np.sin(0.3 * np.arange(66150)).astype(np.float32)
    write_shard(tmp_path / "own", [(Origin("a", "music", "me", "CC0", 22050.0, "train"), tone)])
    go(pool=tmp_path / "own")
    assert not (tmp_path / "out" / "validation.jsonl").exists()
    assert read_card(tmp_path / "out" / "model").figures == {}


def test_the_recipe_weighs_the_materials(
    go: Callable[..., Outcome], unvalidated: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "LOG_STEPS", 6)
    lines: list[dict[str, Any]] = []
    go("out", "materials.piano=0", report=lines.append)
    assert "music" in lines[0]["loss"]
    assert "piano" not in lines[0]["loss"]


def test_folders_have_defaults(
    unvalidated: None, tmp_path: Path, pool: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    pool.rename(tmp_path / "kept")
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "kept").rename(tmp_path / "runs" / "tiny" / "pool")
    assert train_recipe("tiny", settings=MICRO).model == Path("runs/tiny/model")
