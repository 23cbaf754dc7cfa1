"""Stream a stereo file of so many minutes at 4 kHz past a stub; print the peak of resident memory in kB.

Run in a process of its own: `python long_file.py MINUTES`.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.denoisers.windowed import Windows
from audiomend.processes.edm import EDM
from audiomend.samplers.base import Walk, seeded
from audiomend.samplers.stream import stream
from audiomend.samplers.timeline import Timeline
from audiomend.schedules import karras
from audiomend.solvers.unipc import unipc

RATE = 4000


@dataclass(frozen=True)
class Stub:
    timeline: Timeline
    channels: int = 2

    def idle(self, start: int, stop: int) -> Tensor | None:
        return None

    def observation(self, start: int, stop: int) -> Tensor:
        return self.timeline.read(start, stop)

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        return lambda x, t, s, carry=None: Estimate(x / (1 + t**2))


def blocks(minutes: int) -> Iterator[Tensor]:
    for _ in range(minutes * 60):
        yield torch.full((2, RATE), 0.1)


def main(minutes: int) -> None:
    torch.set_num_threads(1)
    timeline = Timeline(channels=2)
    stub = Stub(timeline)
    walk = Walk(EDM(), karras(4, 0.02, 1), unipc(), seeded(0), Windows(40_000, 32_000))
    length = sum(piece.shape[-1] for piece in stream(blocks(minutes), timeline, stub, walk, stub.observation))
    assert length == minutes * 60 * RATE
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main(int(sys.argv[1]))
