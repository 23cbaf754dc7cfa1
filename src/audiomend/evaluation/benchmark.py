"""The one command behind all tables: seeded damages, every method and peer, resumable, summarised.

In the folder of results: TASK.manifest.json (what was damaged how), TASK.jsonl (one line per cell), and, made
anew from the lines at the end of each run, TASK.csv, TASK.json, TASK.md and TASK.svg. Runs on POSIX systems.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from audiomend.errors import UsageError
from audiomend.evaluation import results
from audiomend.evaluation.damages import SEVERITIES, Clip, Damage, Task, damage
from audiomend.evaluation.machine import describe_machine
from audiomend.evaluation.manifest import (
    SETS,
    Case,
    build_manifest,
    find_sources,
    load,
    write_manifest,
)
from audiomend.evaluation.methods import UNPROCESSED, Method, parse_method, restore
from audiomend.evaluation.peers import Peer, PeerError, parse_peer, run_peer
from audiomend.evaluation.report_files import write_reports
from audiomend.evaluation.results import Result
from audiomend.evaluation.scoring import score
from audiomend.evaluation.summary import Row
from audiomend.evaluation.worker import Cost, Worker, WorkerError
from audiomend.tuning import tune_process

TIMEOUT_S = 3600.0
IN_WORKER = "a process of its own per method, kept for all its cells"
AS_PROGRAM = "a process per cell, reading and writing files"


@dataclass(frozen=True)
class Outcome:
    """What a method or peer gave for a damaged clip; `notes` joins the result's context."""

    estimate: Clip
    cost: Cost
    notes: dict[str, object]


class Runner(Protocol):
    """Mends one damaged clip (channels, time)."""

    def __call__(self, observation: Clip, rate: int, how: Damage) -> Outcome: ...


@dataclass(frozen=True)
class Progress:
    """How far a benchmark is: cells done of all to do, and the last result."""

    done: int
    total: int
    result: Result


def benchmark(
    task: Task,
    data_dir: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    methods: Sequence[str] = (UNPROCESSED,),
    peers: Sequence[str] = (),
    *,
    split: str = "test",
    sets: Sequence[str] = SETS,
    names: Sequence[str] = (),
    severities: Sequence[float] = (),
    clip_s: float = 12.0,
    seed: int = 0,
    timeout_s: float = TIMEOUT_S,
    progress: Callable[[Progress], None] | None = None,
) -> list[Row]:
    """Measures methods and peers on damaged clips, and writes tables; goes on where an earlier run stopped.

    Finished cells of the same folder are kept, whatever version made them (the summary names all versions);
    failed ones are tried again. A cell that fails is marked with its error.

    Args:
        task: "declip", "inpaint", "band", "extend" or "declick".
        data_dir: holds data_dir/split/set/*.flac (or wav, ogg, opus, mp3, aiff).
        out_dir: folder of the results, one per choice of damages.
        methods: e.g. "damaged", "diffusion@steps=16,solver=unipc", "cqtdiff-rg@steps=69" (`parse_method`).
        peers: e.g. "ffmpeg=ffmpeg -i {input} -af adeclip=m=s {output}" (`parse_peer`).
        split, sets, names: which folder, which sets in it, which file stems (all if empty).
        severities: dB of input SDR, ms of gap or Hz of cut-off; by default those of the task.
        clip_s: longer files are cut to this many seconds at a seeded place.
        seed: of the damages, of the restorers and of the bootstrap.
        timeout_s: a cell that takes longer has failed.
        progress: called after every cell.

    Returns:
        The rows of the summary, over all cells in the folder that belong to these damages.

    Raises:
        UsageError: an unknown task, a method or peer that cannot be read, no data, or an out_dir that holds
            results of other damages.
    """
    if task not in SEVERITIES:
        raise UsageError(f"There is no benchmark {task!r}; there are {', '.join(SEVERITIES)}.")
    chosen = [parse_method(text) for text in methods]
    others = [parse_peer(text) for text in peers]
    labels = [x.label for x in (*chosen, *others)]
    if len(set(labels)) < len(labels):
        raise UsageError(f"Each method and peer needs a name of its own; given were {', '.join(labels)}.")
    folder, out = Path(data_dir, split), Path(out_dir)
    manifest = build_manifest(task, folder, find_sources(folder, sets, names, clip_s, seed), severities, seed)
    write_manifest(manifest, out / f"{task}.manifest.json")
    lines = out / f"{task}.jsonl"
    done = results.finished(results.read(lines), manifest.hashes)
    todo = {x.label: [c for c in manifest.cases if _key(c, x.label) not in done] for x in (*chosen, *others)}
    context = describe_machine() | {"seed": seed, "manifest_sha256": manifest.sha256}
    finished, total = 0, sum(len(cases) for cases in todo.values())
    for contestant in (*chosen, *others):
        for result in _run_all(contestant, todo[contestant.label], folder, seed, timeout_s, context):
            results.append(lines, result)
            finished += 1
            if progress:
                progress(Progress(finished, total, result))
    return write_reports(manifest, out, labels)


def _run_all(
    contestant: Method | Peer,
    cases: Sequence[Case],
    folder: Path,
    seed: int,
    timeout_s: float,
    context: dict[str, object],
) -> Iterator[Result]:
    with Worker(timeout_s, tune_process) as worker:  # restorers run as the command line runs them
        run = _runner(contestant, worker, seed, timeout_s)
        for case in cases:
            yield _measure(run, contestant.label, case, folder, context)


def _runner(contestant: Method | Peer, worker: Worker, seed: int, timeout_s: float) -> Runner:
    if isinstance(contestant, Peer):
        return partial(_run_peer, contestant, timeout_s)
    if contestant.name == UNPROCESSED:
        return _leave
    return partial(_run_method, contestant, worker, seed)


def _leave(observation: Clip, rate: int, how: Damage) -> Outcome:
    return Outcome(observation, Cost(0.0, 0.0, 0.0), {})


def _run_method(
    method: Method, worker: Worker, seed: int, observation: Clip, rate: int, how: Damage
) -> Outcome:
    estimate, cost = worker.call(restore, method, observation, rate, how, seed)
    precision = str(dict(method.options).get("precision", "auto"))
    return Outcome(estimate, cost, {"runner": IN_WORKER, "precision": precision})


def _run_peer(peer: Peer, timeout_s: float, observation: Clip, rate: int, how: Damage) -> Outcome:
    estimate, cost, alignment = run_peer(peer, observation, rate, timeout_s)
    notes: dict[str, object] = {
        "runner": AS_PROGRAM,
        "command": peer.arguments,
        "alignment": asdict(alignment),
    }
    return Outcome(estimate, cost, notes)


def _measure(run: Runner, label: str, case: Case, folder: Path, context: dict[str, object]) -> Result:
    """One cell; whatever goes wrong in it becomes its error."""
    source, how = case.source, case.damage
    cell = (source.name, how.severity, label)
    clip = load(folder, source)
    observation = damage(clip, source.rate, how)
    try:
        outcome = run(observation, source.rate, how)
        if outcome.estimate.shape != clip.shape:
            raise WorkerError(f"the result has shape {outcome.estimate.shape}, the clip {clip.shape}")
        figures = score(clip, observation, outcome.estimate, source.rate, how)
    except (WorkerError, PeerError, UsageError) as error:
        return Result(*cell, {}, source.seconds, case.sha256, context=context, error=str(error))
    cost = asdict(outcome.cost)
    return Result(*cell, figures, source.seconds, case.sha256, **cost, context=context | outcome.notes)


def _key(case: Case, label: str) -> results.Key:
    return case.source.name, case.damage.severity, label
