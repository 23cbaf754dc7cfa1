"""Samplers: the pipeline equals the whole-signal walk, whatever the blocks, and its memory is bounded."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.denoisers.windowed import Windows
from audiomend.errors import UsageError
from audiomend.guidance.projection import projected
from audiomend.noise import normal
from audiomend.processes.base import Along, Process, combine
from audiomend.processes.edm import EDM
from audiomend.processes.ouve import OUVE
from audiomend.processes.sbve import SBVE
from audiomend.samplers.base import Signal, Walk, begin, seeded, silence
from audiomend.samplers.stream import stream
from audiomend.samplers.timeline import Timeline
from audiomend.samplers.trajectory import evaluations, trajectory
from audiomend.schedules import karras
from audiomend.solvers.base import State
from audiomend.solvers.bridge import bridge_ode, bridge_sde
from audiomend.solvers.churn import churned
from audiomend.solvers.dpm import dpm_pp_2m
from audiomend.solvers.dpm_3m import dpm_pp_3m
from audiomend.solvers.euler_maruyama import euler_maruyama
from audiomend.solvers.first_order import first_order
from audiomend.solvers.heun import heun
from audiomend.solvers.momentum import momentum
from audiomend.solvers.predictor_corrector import predictor_corrector
from audiomend.solvers.repaint import repainted
from audiomend.solvers.unipc import unipc

LENGTH = 1003
SOLVERS = {
    "ddim": first_order(0.0),
    "fresh": first_order(0.6),
    "ancestral": first_order("ancestral"),
    "heun": heun(),
    "churn": heun(churn=2, denominator=6, s_tmin=0.05, s_tmax=2),
    "2m": dpm_pp_2m(),
    "2m sde": dpm_pp_2m(sde=True),
    "3m": dpm_pp_3m(),
    "unipc": unipc(),
    "momentum": momentum(0.7, 0.4),
    "euler-maruyama": euler_maruyama(),
    "churned": churned(first_order(0.3), churn=2),
    "corrected": predictor_corrector(euler_maruyama(), snr=0.2),
    "repaint": repainted(unipc(), 1),
}
KERNEL = torch.tensor([0.1, -0.3, 0.5, 0.9, -0.4, 0.2, 0.3])
WALK = Walk(EDM(), karras(5, 0.02, 2), heun(churn=2), seeded(3), Windows(96, 64))


@dataclass(frozen=True)
class Toy:
    """A damaged file, with a small nonlinear network that sees its neighbours, and projection as guidance.

    A sample is known where the signal is positive; windows that start in a third of the file are idle in
    channel 1. The carry counts the evaluations and changes the estimate, so a mix-up shows.
    """

    signal: Signal
    keep_noise: bool = False
    channels: int = 2

    def idle(self, start: int, stop: int) -> Tensor | None:
        return torch.tensor([False, True]) if 300 < start < 600 else None

    def observation(self, start: int, stop: int) -> Tensor:
        return self.signal(start, stop)

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        observed = torch.stack([self.signal(start, start + length) for start in starts])[rows]
        return projected(
            network, lambda x, y: torch.where(y > 0, y, x), observed, EDM() if self.keep_noise else None
        )


def network(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    age = carry if isinstance(carry, int) else 0
    near = torch.nn.functional.conv1d(x[:, None] / (1 + t), KERNEL[None, None], padding=3)[:, 0]
    return Estimate(x / (1 + t**2) + 0.3 * t * torch.tanh(near) + 0.05 * s + 0.01 * age, carry=age + 1)


def file(start: int, stop: int) -> Tensor:
    """A stereo file of LENGTH samples, 0 outside."""
    n = torch.arange(start, stop)
    inside = (n >= 0) & (n < LENGTH)
    return torch.stack((torch.sin(0.05 * n), torch.cos(0.13 * n))) * inside


def blocks(size: int) -> Iterator[Tensor]:
    for start in range(0, LENGTH, size):
        yield file(start, min(start + size, LENGTH))


def streamed(walk: Walk, size: int, keep_noise: bool = False) -> Tensor:
    timeline = Timeline(channels=2)
    toy = Toy(timeline.read, keep_noise)
    return torch.cat(list(stream(blocks(size), timeline, toy, walk, toy.observation)), dim=-1)


def whole(walk: Walk, keep_noise: bool = False) -> Tensor:
    *_, last = trajectory(Toy(file, keep_noise), walk, file, LENGTH)
    return last.state.x


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("batch", [1, 3, 40])
@pytest.mark.parametrize("keep_noise", [False, True])
def test_stream_equals_trajectory_for_every_solver(solver, batch, keep_noise):
    walk = replace(WALK, solver=SOLVERS[solver], batch=batch)
    result = streamed(walk, size=100, keep_noise=keep_noise)
    expected = whole(replace(walk, batch=1), keep_noise)
    assert expected.shape == (2, LENGTH)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-4)
    assert (expected - file(0, LENGTH)).abs().max() > 0.1  # the walk does change the unknown samples


@pytest.mark.parametrize("windows", [Windows(64, 64), Windows(128, 64), Windows(65, 64), Windows(1500, 1000)])
@pytest.mark.parametrize("batch", [1, 2])
def test_stream_equals_trajectory_for_every_layout_of_windows(windows, batch):
    walk = replace(WALK, windows=windows, batch=batch)
    torch.testing.assert_close(streamed(walk, size=77), whole(walk), rtol=0, atol=1e-4)


class Telling(Toy):
    """Whose carry is where its windows begin, and which stages they have passed."""

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
            places, passed = carry or (starts, [])
            assert places == starts
            assert passed == WALK.levels[: WALK.levels.index(t)]
            return Estimate(x / 2, carry=(starts, [*passed, t]))

        return denoise


@pytest.mark.parametrize("batch", [1, 3])
def test_each_batch_of_windows_takes_its_own_carry_from_stage_to_stage(batch):
    walk = replace(WALK, solver=first_order(), batch=batch)
    for _ in trajectory(Telling(file), walk, file, LENGTH):
        pass
    timeline = Timeline(channels=2)
    for _ in stream(blocks(100), timeline, Telling(timeline.read), walk, timeline.read):
        pass


@pytest.mark.parametrize("batch", [1, 3])
def test_blocks_of_any_size_give_the_same_bytes(batch):
    walk = replace(WALK, solver=unipc(), batch=batch)
    expected = streamed(walk, size=LENGTH)
    for size in (1, 63, 64, 65, 1000):
        assert torch.equal(streamed(walk, size), expected)


def test_known_samples_come_out_as_they_went_in():
    observed = file(0, LENGTH)
    result = whole(WALK)
    torch.testing.assert_close(result[observed > 0], observed[observed > 0], rtol=1e-6, atol=0)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    assert torch.equal(whole(WALK), whole(WALK))
    for other in (seeded(4), seeded(3, sample=1)):
        assert (whole(replace(WALK, noise=other)) - whole(WALK)).abs().max() > 0.01


def test_a_cold_walk_starts_from_noise_alone_and_a_warm_one_from_the_signal():
    noise = torch.from_numpy(normal(3, 0, 0, 0, -32, 40))
    torch.testing.assert_close(begin(WALK, silence(2), -32, 40).x, 2 * noise.expand(2, -1))
    torch.testing.assert_close(begin(WALK, file, -32, 40).x, file(-32, 40) + 2 * noise)


def test_the_denoiser_is_told_where_the_state_is_and_where_it_goes():
    told = []

    def listening(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        told.append((t, s, carry))
        return Estimate(x, carry=len(told))

    stages = heun(churn=2)(EDM(), [2.0, 1.0, 0.0])
    list(evaluations(listening, stages, State(torch.ones(2, 8)), seeded(0)))
    assert told == [(stages[0].t, 1.0, None), (1.0, 1.0, 1), (stages[2].t, 0.0, 2)]


def test_every_step_tells_where_it_is_and_shows_state_and_estimate_of_the_file():
    steps = list(trajectory(Toy(file, keep_noise=True), WALK, file, LENGTH))
    stages = WALK.solver(WALK.process, WALK.levels)
    assert [step.index for step in steps] == list(range(9))
    assert {step.total for step in steps} == {9}
    assert [step.t for step in steps] == [stage.t for stage in stages]
    for step in steps:
        shown = (step.state.x, *step.state.memory, step.estimate.clean, step.estimate.noise)
        assert all(tensor.shape == (2, LENGTH) for tensor in shown)
    first = begin(WALK, file, -32, 1088).x[:, 32 : 32 + LENGTH]
    draw = torch.from_numpy(normal(3, 0, 1, 0, 0, LENGTH))
    t, t_hat = WALK.levels[0], stages[0].t
    torch.testing.assert_close(steps[0].state.memory[0], first + (t_hat**2 - t**2) ** 0.5 * draw)
    torch.testing.assert_close(steps[-1].state.x, steps[-1].estimate.clean)


@pytest.mark.parametrize("windows", [Windows(96, 64), Windows(64, 64)])
@pytest.mark.parametrize("length", [1, 32, 33, 64, 96, 128, 224, 256])
def test_short_files_come_out_at_their_length(windows, length):
    timeline = Timeline(channels=2)
    toy = Toy(timeline.read)
    walk = replace(WALK, windows=windows, batch=2)
    pieces = list(stream([file(0, length)], timeline, toy, walk, toy.observation))

    def short(start: int, stop: int) -> Tensor:
        return file(start, stop) * (torch.arange(start, stop) < length)

    *_, last = trajectory(Toy(short), walk, short, length)
    assert last.state.x.shape == (2, length)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), last.state.x, rtol=0, atol=1e-4)


def test_an_empty_stream_gives_nothing():
    timeline = Timeline(channels=2)
    assert list(stream([], timeline, Toy(timeline.read), WALK, silence(2))) == []


def test_a_walk_can_be_left_at_any_time_and_looks_no_further_ahead_than_it_must():
    """5 evaluations and windows of hop 64: at most 5 + 1 hops are read before the first piece comes out."""
    read = 0

    def counted() -> Iterator[Tensor]:
        nonlocal read
        for block in blocks(10):
            read += block.shape[-1]
            yield block

    timeline = Timeline(channels=2)
    toy = Toy(timeline.read)
    walk = replace(WALK, solver=unipc())
    first = next(stream(counted(), timeline, toy, walk, toy.observation))
    assert first.shape[-1] == 64 - 32
    assert read <= (5 + 1) * 64 + 10


def along_the_file(process: Callable[[Tensor], Process], signal: Signal = file) -> Along:
    """A process whose anchor is the damaged file."""
    return lambda start, stop: process(signal(start, stop))


ANCHORED = {"ouve": (OUVE, [1.0, 0.7, 0.4, 0.2, 0.0]), "bridge": (SBVE, [1.0, 0.8, 0.5, 0.2, 0.0])}
BRIDGES_ONLY = {"published ode": bridge_ode(), "published sde": bridge_sde()}
FROM_ITS_END = ("ddim", "fresh", "ancestral", "heun", "2m", "2m sde", "3m", "unipc", "momentum", "repaint")
ALONG = [("ouve", name) for name in SOLVERS] + [("bridge", name) for name in (*FROM_ITS_END, *BRIDGES_ONLY)]


@pytest.mark.parametrize(("batch", "keep_noise"), [(1, False), (3, True)])
@pytest.mark.parametrize(("name", "solver"), ALONG)
def test_stream_equals_trajectory_for_processes_with_an_anchor(name, solver, batch, keep_noise):
    anchored, levels = ANCHORED[name]
    walk = replace(WALK, levels=levels, solver=(SOLVERS | BRIDGES_ONLY)[solver], batch=batch)
    timeline = Timeline(channels=2)
    toy = Toy(timeline.read, keep_noise)
    piecewise = replace(walk, process=along_the_file(anchored, timeline.read))
    result = torch.cat(list(stream(blocks(100), timeline, toy, piecewise, toy.observation)), dim=-1)
    expected = whole(replace(walk, process=along_the_file(anchored), batch=1), keep_noise)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-4)
    assert (expected - file(0, LENGTH)).abs().max() > 0.03


@pytest.mark.parametrize("name", ANCHORED)
def test_a_walk_in_one_window_is_the_walk_of_the_process_with_its_whole_anchor(name):
    anchored, levels = ANCHORED[name]
    windows = Windows(1500, 1500)
    process = anchored(file(0, 1500))
    denoise = projected(network, lambda x, y: torch.where(y > 0, y, x), file(0, 1500), EDM())

    walk = replace(WALK, levels=levels, windows=windows, solver=SOLVERS["fresh"])
    start = State(combine(process, process.coefficients(levels[0]), file(0, 1500), walk.noise(0, 0, 0, 1500)))
    *_, plain = evaluations(denoise, walk.solver(process, levels), start, walk.noise)
    result = whole(replace(walk, process=along_the_file(anchored)), keep_noise=True)
    torch.testing.assert_close(result, plain.state.x[:, :LENGTH], rtol=0, atol=1e-5)


def test_a_process_that_is_bound_to_its_anchor_has_no_positions_and_is_refused():
    walk, timeline = replace(WALK, process=SBVE(torch.zeros(2, 8))), Timeline(channels=2)
    for refused in (
        lambda: next(stream([], timeline, Toy(timeline.read), walk, silence(2))),
        lambda: next(trajectory(Toy(file), walk, file, LENGTH)),
    ):
        with pytest.raises(UsageError, match="function of the position"):
            refused()


@pytest.mark.parametrize("name", ["ddim", "ancestral", "heun", "2m", "3m", "unipc", "2m sde"])
def test_a_bridge_walks_a_file_from_its_anchor(name):
    """The anchor is the file, and 0 where the windows reach beyond it; known samples stay as they are."""
    levels = [1.0, 0.8, 0.5, 0.2, 0.0]
    result = whole(replace(WALK, process=along_the_file(SBVE), levels=levels, solver=SOLVERS[name]))
    observed = file(0, LENGTH)
    torch.testing.assert_close(result[observed > 0], observed[observed > 0], rtol=1e-6, atol=0)
    assert (result - observed).abs().max() > 0.1
    assert result.isfinite().all()


def test_a_solver_that_takes_norms_of_the_whole_signal_is_refused_by_the_pipeline():
    timeline = Timeline(channels=2)
    walk = replace(WALK, solver=predictor_corrector(euler_maruyama(), size="langevin"))
    with pytest.raises(UsageError, match="norms"):
        next(stream([], timeline, Toy(timeline.read), walk, silence(2)))


def test_a_timeline_reads_what_arrived_and_zeros_elsewhere():
    timeline = Timeline(channels=2)
    for block in file(0, 30).split([7, 1, 12, 10], dim=-1):
        timeline.append(block)
    assert timeline.end == 30
    for start, stop in ((0, 30), (-5, 3), (6, 9), (25, 40), (-9, -2), (31, 33), (8, 8), (-3, 44)):
        inside = torch.arange(start, stop) < 30
        assert torch.equal(timeline.read(start, stop), file(start, stop) * inside)


def test_a_timeline_forgets_what_it_is_told_to_and_no_more():
    timeline = Timeline(channels=2)
    for block in file(0, 30).split(10, dim=-1):
        timeline.append(block)
    timeline.forget(13)
    timeline.forget(4)
    assert torch.equal(timeline.read(13, 30), file(13, 30))
    assert timeline.read(-4, 0).abs().max() == 0
    assert sum(block.shape[-1] for _, block in timeline._blocks) == 20
    for start in (-2, 0, 12):
        with pytest.raises(ValueError, match=f"before 13 are forgotten; {start}"):
            timeline.read(start, 20)
    timeline.forget(20)
    assert sum(block.shape[-1] for _, block in timeline._blocks) == 10


@pytest.mark.parametrize("shape", [(3, 5), (5,), (1, 2, 5)])
def test_a_block_of_another_shape_is_refused(shape):
    with pytest.raises(UsageError, match="2 channels"):
        Timeline(channels=2).append(torch.zeros(shape))


LONG_FILE = Path(__file__).parent / "long_file.py"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_memory_does_not_grow_with_the_length_of_the_file():
    """60 minutes of stereo against 10, with a stub for a network, at 4 kHz to keep the test short."""

    def peak(minutes: int) -> int:
        command = [sys.executable, str(LONG_FILE), str(minutes)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert peak(60) < 1.05 * peak(10)
