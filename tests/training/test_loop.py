import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audiomend.errors import TrainingError
from audiomend.recipes.recipe import Recipe
from audiomend.training import checkpoint, loop
from audiomend.training.loop import rate_factor, train
from audiomend.training.objective import Batch
from audiomend.training.state import Run, save, start

Batches = Callable[[int], Batch]


def fresh(recipe: Recipe) -> Run:
    return start(recipe, torch.float32)


def weights(run: Run) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in run.network.named_parameters()}


def spoiled(batches: Batches, change: Callable[[Tensor], Tensor], steps: set[int]) -> Batches:
    def batch(step: int) -> Batch:
        whole = batches(step)
        return replace(whole, clean=change(whole.clean)) if step in steps else whole

    return batch


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (60, 1.0), (70, 0.853553), (80, 0.5), (90, 0.146447), (100, 0.0)],
)
def test_the_rate_rises_stays_and_falls(recipe: Recipe, step: int, factor: float):
    schedule = replace(recipe, steps=100, warmup_steps=10, decay_steps=40)
    assert rate_factor(schedule, step) == pytest.approx(factor, abs=1e-6)


def test_a_decay_longer_than_the_run_falls_over_all_of_it(recipe: Recipe):
    schedule = replace(recipe, steps=100, warmup_steps=1, decay_steps=1000)
    assert rate_factor(schedule, 0) == 1.0
    assert rate_factor(schedule, 50) == pytest.approx(0.5)


def test_without_decay_the_rate_stays(recipe: Recipe):
    schedule = replace(recipe, steps=100, warmup_steps=1, decay_steps=0)
    assert rate_factor(schedule, 99) == 1.0


def test_a_run_ends_at_its_last_step_and_is_saved(recipe: Recipe, sines: Batches, tmp_path: Path):
    run = fresh(replace(recipe, steps=4))
    train(run, sines, tmp_path)
    assert run.step == 4
    assert run.segments == 8
    assert [p.name for p in tmp_path.glob("step-*")] == ["step-00000004.safetensors"]


def test_no_time_means_no_step(recipe: Recipe, sines: Batches, tmp_path: Path):
    run = fresh(recipe)
    train(run, sines, tmp_path, max_seconds=0)
    assert run.step == 0


def test_stop_is_asked_between_steps(recipe: Recipe, sines: Batches, tmp_path: Path):
    run = fresh(recipe)
    train(run, sines, tmp_path, stop=lambda: run.step == 3)
    assert run.step == 3
    assert list(tmp_path.glob("step-00000003.safetensors"))


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_state(
    recipe: Recipe, sines: Batches, tmp_path: Path
):
    good = fresh(recipe)
    train(good, sines, tmp_path / "..", stop=lambda: good.step == 3)
    run = fresh(recipe)
    with pytest.raises(TrainingError, match=r"The loss of step 3 is nan; the state before it is saved in"):
        train(run, spoiled(sines, lambda x: x * math.nan, {3}), tmp_path)
    tensors, facts = checkpoint.load_latest(tmp_path)
    assert facts["step"] == 3
    assert all(torch.equal(tensors[f"network.{n}"], t) for n, t in weights(good).items())


@pytest.fixture
def nan_gradients(recipe: Recipe) -> Callable[[set[int]], Run]:
    """A run whose gradient is not finite at the steps given."""

    def make(steps: set[int]) -> Run:
        run = fresh(recipe)
        first = next(run.network.parameters())
        first.register_hook(lambda g: g * math.inf if run.step in steps else g)
        return run

    return make


def test_a_gradient_that_is_not_finite_is_skipped_and_counted(
    nan_gradients: Callable[[set[int]], Run], sines: Batches, tmp_path: Path
):
    run = nan_gradients({2})
    train(run, sines, tmp_path, stop=lambda: run.step == 2)
    before, averaged = weights(run), run.averages.step
    train(run, sines, tmp_path, stop=lambda: run.step == 3)
    assert all(torch.equal(t, before[n]) for n, t in weights(run).items())
    assert (run.skipped, run.averages.step) == (1, averaged)
    train(run, sines, tmp_path, stop=lambda: run.step == 4)
    assert not all(torch.equal(t, before[n]) for n, t in weights(run).items())
    assert all(bool(t.isfinite().all()) for t in weights(run).values())


def test_three_such_gradients_in_a_row_stop_the_run(
    nan_gradients: Callable[[set[int]], Run], sines: Batches, tmp_path: Path
):
    run = nan_gradients({1, 2, 4, 5, 7, 8, 9})
    with pytest.raises(TrainingError, match="The gradients of 3 steps up to 9 are not finite"):
        train(run, sines, tmp_path)
    assert checkpoint.load_latest(tmp_path)[1]["step"] == 9


def test_weights_that_are_not_finite_are_never_saved(recipe: Recipe, tmp_path: Path):
    run = fresh(recipe)
    save(run, tmp_path)
    run.step = 1
    next(run.network.parameters()).data[0, 0] = math.inf
    with pytest.raises(TrainingError, match="The weights before step 1 are not finite"):
        save(run, tmp_path)
    assert checkpoint.load_latest(tmp_path)[1]["step"] == 0


def test_a_step_with_a_high_loss_is_left_out_after_the_warm_up(
    recipe: Recipe, sines: Batches, tmp_path: Path
):
    loud = spoiled(sines, lambda x: 1000 * x, {1, 5})
    run = fresh(replace(recipe, warmup_steps=3))
    train(run, loud, tmp_path, stop=lambda: run.step == 5)
    assert run.skipped == 0
    before, averaged = weights(run), run.averages.step
    train(run, loud, tmp_path, stop=lambda: run.step == 6)
    assert run.skipped == 1
    assert run.averages.step == averaged
    assert all(torch.equal(t, before[n]) for n, t in weights(run).items())


@pytest.mark.parametrize(("limit", "norm"), [(1e-3, 1e-3), (1e9, None)])
def test_gradients_are_scaled_down_to_the_limit(
    recipe: Recipe, sines: Batches, tmp_path: Path, limit: float, norm: float | None
):
    norms: list[float] = []

    def step(_: float) -> None:
        gradients = [p.grad for p in run.network.parameters() if p.grad is not None]
        norms.append(torch.stack([g.norm() for g in gradients]).norm().item())
        run.optimisers.clear()

    run = fresh(replace(recipe, clip_norm=limit))
    run.optimisers.step = step
    train(run, sines, tmp_path, stop=lambda: run.step == 2)
    assert norms == pytest.approx([norm] * 2, rel=1e-3) if norm else min(norms) > 1e-2


def test_each_step_takes_the_rate_of_its_schedule(recipe: Recipe, sines: Batches, tmp_path: Path):
    factors: list[float] = []
    run = fresh(replace(recipe, steps=6, warmup_steps=3, decay_steps=2))
    run.optimisers.step = lambda factor: (factors.append(factor), run.optimisers.clear())
    train(run, sines, tmp_path)
    assert factors == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 0.5])


def test_noise_and_levels_are_new_at_every_step_and_for_every_seed(
    recipe: Recipe, sines: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Tensor] = []
    errors = loop.errors
    monkeypatch.setattr(
        loop, "errors", lambda n, b, level, e: (seen.extend((level, e[0])), errors(n, b, level, e))[1]
    )
    for seed in (1, 2):
        train(fresh(replace(recipe, seed=seed, steps=2, warmup_steps=1)), sines, tmp_path)
    levels, noises = seen[::2], seen[1::2]
    assert len({tuple(x.tolist()) for x in levels}) == 4
    assert all(abs(torch.corrcoef(torch.stack((noises[0], n)))[0, 1]) < 0.2 for n in noises[1:])
    assert torch.stack(noises).std().item() == pytest.approx(1, abs=0.05)


def test_levels_follow_the_recipe(
    recipe: Recipe, sines: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[float] = []
    errors = loop.errors
    monkeypatch.setattr(
        loop, "errors", lambda n, b, level, e: (seen.extend(level.tolist()), errors(n, b, level, e))[1]
    )
    law = {"level_mean": 0.5, "level_spread": 0.0, "lowest_level": 0.1, "highest_level": 10.0}
    train(fresh(replace(recipe, steps=2, **law)), sines, tmp_path)
    assert seen == pytest.approx([0.5] * 4)


def test_weights_follow_the_seed(recipe: Recipe):
    one, same, other = (weights(fresh(replace(recipe, seed=s))) for s in (1, 1, 2))
    assert all(torch.equal(one[n], same[n]) for n in one)
    assert not torch.equal(one["stem_lower.weight"], other["stem_lower.weight"])


def test_starting_leaves_the_global_generator_alone(recipe: Recipe):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    fresh(recipe)
    assert torch.equal(torch.rand(1), expected)


def test_the_log_holds_mean_losses_by_level_and_material(
    recipe: Recipe, sines: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    levels: list[float] = []
    losses: list[float] = []
    errors = loop.errors

    def noted(network: torch.nn.Module, batch: Batch, level: Tensor, noise: Tensor) -> Tensor:
        each = errors(network, batch, level, noise)
        levels.extend(level.exp().tolist())
        losses.extend(each.tolist())
        return each

    monkeypatch.setattr(loop, "errors", noted)
    monkeypatch.setattr(loop, "LOG_STEPS", 3)
    run = fresh(replace(recipe, steps=6))
    lines: list[dict] = []
    train(run, sines, tmp_path, report=lines.append)
    written = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert written == lines
    assert [line["step"] for line in lines] == [3, 6]
    assert [line["segments"] for line in lines] == [6, 12]
    assert [line["rate"] for line in lines] == [rate_factor(run.recipe, 3), rate_factor(run.recipe, 6)]
    for line, part in zip(lines, (slice(0, 6), slice(6, 12)), strict=True):
        assert line["loss"]["all"] == pytest.approx(sum(losses[part]) / 6, abs=1e-6)
        assert line["loss"]["music"] == pytest.approx(sum(losses[part][::2]) / 3, abs=1e-6)
        assert line["loss"]["piano"] == pytest.approx(sum(losses[part][1::2]) / 3, abs=1e-6)
        low = [loss for loss, level in zip(losses[part], levels[part], strict=True) if 0.1 <= level < 0.3]
        assert line["loss"].get("level3", 0.0) == pytest.approx(sum(low) / max(len(low), 1), abs=1e-6)


def test_bands_of_the_log_begin_at_their_edges(recipe: Recipe):
    run = fresh(recipe)
    edges = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    levels = torch.tensor([edge * side for edge in edges for side in (0.999, 1.001)]).log()
    losses = torch.arange(14.0)
    loop._note_losses(run, levels, losses, ("a", "b") * 7)
    bands = {f"level{n}": run.losses[f"level{n}"] for n in range(8)}
    assert bands == {
        "level0": [0.0],
        **{f"level{n}": [2.0 * n - 1, 2.0 * n] for n in range(1, 7)},
        "level7": [13.0],
    }
    assert run.losses["all"] == losses.tolist()
    assert run.losses["b"] == losses[1::2].tolist()


def test_the_log_says_how_long_a_step_takes(
    recipe: Recipe, sines: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(loop, "LOG_STEPS", 3)

    def slow(step: int) -> Batch:
        nonlocal now
        now += 2.5
        return sines(step)

    lines: list[dict] = []
    run = fresh(recipe)
    train(run, slow, tmp_path, stop=lambda: run.step == 4, report=lines.append)
    train(run, slow, tmp_path, stop=lambda: run.step == 6, report=lines.append)
    assert [line["seconds_per_step"] for line in lines] == [2.5, 2.5]


def test_validation_takes_at_most_3_percent_of_the_time():
    assert loop.VALIDATION_SHARE == 0.03


def test_a_duty_comes_back_after_its_interval_or_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    duty = loop._Duty(60.0, share=0.03)
    now = 159.9
    assert not duty.due()
    now = 160.0
    assert duty.due()

    def work() -> None:
        nonlocal now
        now += 6.0

    duty.do(work)  # 6 s at 3 % are 200 s
    now = 365.9
    assert not duty.due()
    now = 366.0
    assert duty.due()


def test_validation_comes_when_it_is_due(
    recipe: Recipe, sines: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "VALIDATION_SHARE", 1.0)
    steps: list[int] = []
    often = replace(recipe, steps=3, validation_minutes=1e-9)
    train(fresh(often), sines, tmp_path, validate=lambda run: steps.append(run.step))
    assert steps == [1, 2, 3]
    train(fresh(replace(recipe, steps=3)), sines, tmp_path, validate=lambda run: steps.append(run.step))
    assert steps == [1, 2, 3]


def test_saving_is_due_every_five_minutes_and_validation_as_the_recipe_says(
    recipe: Recipe, sines: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[tuple[float, ...]] = []

    class Duty(loop._Duty):
        def __init__(self, *arguments: float) -> None:
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(loop, "_Duty", Duty)
    run = fresh(replace(recipe, steps=1, validation_minutes=7.0))
    assert (run.step, run.segments, run.cpu_seconds, run.skipped, run.bad_gradients) == (0, 0, 0, 0, 0)
    train(run, sines, tmp_path)
    assert made == [(300.0,), (420.0, 0.03)]


def test_a_tiny_run_learns_more_than_the_wiener_estimate_it_starts_from(
    recipe: Recipe, sines: Batches, tmp_path: Path
):
    def loss(run: Run) -> float:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            each = [
                loop.errors(
                    run.network,
                    sines(n),
                    torch.tensor([-1.0, 1.0]),
                    torch.randn(2, 1024, generator=generator),
                )
                for n in range(1000, 1008)
            ]
        return torch.cat(each).mean().item()

    run = fresh(replace(recipe, steps=80, decay_steps=40))
    at_first = loss(run)  # the last layers start at zero: the estimate is Wiener's
    train(run, sines, tmp_path)
    assert loss(run) < 0.9 * at_first
