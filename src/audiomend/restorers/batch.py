"""Many files by one command: the tree is mirrored, one bad file does not stop the rest, and a batch that was
stopped goes on where it was.
"""

import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomend import __version__
from audiomend.audio.file import sha256
from audiomend.audio.formats import SOUND_SUFFIXES
from audiomend.errors import AudiomendError, Cancelled, OptionError, UsageError
from audiomend.restorers.manifest import Manifest, Row


@dataclass(frozen=True)
class Item:
    """A file to be worked on: where it is, and where its output goes, relative to the folder of the batch."""

    source: Path
    output: Path


@dataclass(frozen=True)
class Done:
    """What a worker tells of a file.

    Attributes:
        message: what was done, or why it failed.
        changed: whether the output differs from the input.
        output_sha256: empty where it failed.
        seconds: wall time.
        warnings: sentences for the user.
    """

    message: str
    changed: bool = False
    output_sha256: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


Work = Callable[[Path, Path, bool], Done]
"""Makes output of source; True replaces an output that is there. It raises only FAILURES."""

FAILURES = (AudiomendError, OSError, MemoryError)  # that concern one file of many
DONE = ("mended", "unchanged")  # states of files whose output stands


def failure(source: Path, error: Exception) -> str:
    """What one of FAILURES says of a file of many, which it names.

    Raises:
        Cancelled: it was one, and concerns them all.
    """
    if isinstance(error, Cancelled):
        raise error
    told = str(error) or type(error).__name__
    return told if isinstance(error, AudiomendError) and source.name in told else f"{source}: {told}"


def sounds(sources: Sequence[str], *, recursive: bool, apart: Path | None = None) -> list[Item]:
    """The files that were named, and those in folders that were named, by the end of their names.

    A folder's files keep their place below it. Hidden files and those below `apart` are left out. What was
    named and is not there is kept: it fails by itself, beside the others.

    Args:
        sources: files and folders.
        recursive: take folders within folders, too.
        apart: a folder of outputs.

    Raises:
        UsageError: there is no file.
    """
    found = list[Item]()
    for name in sources:
        path = Path(name)
        if os.path.isdir(path):  # of a name that is too long, too, it says that it is none
            found += [Item(one, one.relative_to(path)) for one in _within(path, apart, recursive)]
        else:
            found.append(Item(path, Path(path.name)))
    if not found:
        ends = "" if recursive else "; --recursive looks into the folders within, too"
        raise UsageError(f"no sound file was found in {', '.join(sources)}{ends}")
    return found


def items(sources: Sequence[str], folder: Path, *, recursive: bool) -> list[Item]:
    """The `sounds` of which outputs are made in a folder.

    Raises:
        UsageError: two files would have one output, an output would be its own input, or there is no file.
    """
    taken = dict[Path, Path]()
    for item in sounds(sources, recursive=recursive, apart=folder):
        if (other := taken.setdefault(item.output, item.source)) != item.source:
            raise UsageError(f"{other} and {item.source} would both become {folder / item.output}")
        if os.path.realpath(item.source) == os.path.realpath(folder / item.output):
            raise UsageError(f"{item.source} would be its own output; give another folder")
    return [Item(source, output) for output, source in taken.items()]


def _within(path: Path, apart: Path | None, recursive: bool) -> list[Path]:
    """Sound files of a folder, in order of their names."""
    left_out = None if apart is None else os.path.realpath(apart)
    inside = list[Path]()
    for place, folders, files in os.walk(path):
        kept = [name for name in folders if not name.startswith(".")] if recursive else []
        folders[:] = [name for name in kept if os.path.realpath(Path(place, name)) != left_out]
        named = [name for name in files if not name.startswith(".")]
        inside += [Path(place, name) for name in named if Path(name).suffix.lower() in SOUND_SUFFIXES]
    return sorted(inside)


def settings_sha256(*settings: Any) -> str:
    """Digest of all that an output follows from besides its input: dataclasses, plain data, this version."""
    plain = [one if isinstance(one, (str, dict)) else dataclasses.asdict(one) for one in settings]
    return hashlib.sha256(
        json.dumps([__version__, *plain], sort_keys=True, default=dict).encode()
    ).hexdigest()


def run_batch(
    work: Work,
    wanted: Sequence[Item],
    folder: Path,
    settings: str,
    *,
    jobs: int = 1,
    force: bool = False,
    begin: Callable[[], None] | None = None,
    tell: Callable[[Item, Row, Done | None], None] = lambda *_: None,
) -> list[Row]:
    """Work on the files that are not done yet; the rows of all of them, in the order of `wanted`.

    An output counts as done if the manifest has it with the digests of this input and these settings, and the
    file there has the digest that it was left with. Any other file by its name is replaced only if the
    manifest knows it, or with `force`.

    Args:
        work: a function of a module, so that a process can be told of it.
        folder: of the outputs; made if need be.
        settings: digest of the settings.
        jobs: processes; 1 works in this one.
        begin: called first in each process but this one; a function of a module.
        tell: called for each file when its row is final; without a `Done` it was done before.

    Raises:
        Cancelled: by an interrupt; what is finished stays.
        UsageError, AudioWriteError: the folder or its manifest cannot be used.
    """
    if jobs < 1:
        raise OptionError("jobs", f"is {jobs}; it must be 1 or more.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder: {error.strerror}") from None
    rows = dict[Item, Row]()
    with Manifest(folder) as manifest:

        def finish(item: Item, begun: Row, done: Done) -> None:
            state = "failed" if not done.output_sha256 else "mended" if done.changed else "unchanged"
            row = dataclasses.replace(
                begun,
                state=state,
                output_sha256=done.output_sha256,
                message=done.message,
                seconds=done.seconds,
            )
            manifest.put(row)
            rows[item] = row
            tell(item, row, done)

        def todo() -> Iterator[_Task]:
            for item in wanted:
                known = manifest.row(item.output.as_posix())
                is_there = os.path.lexists(folder / item.output)
                is_own = is_there and known is not None and known.own and not _is_another(known, folder)
                begun = Row(item.output.as_posix(), str(item.source), "", settings, "begun", own=is_own)
                try:
                    begun = dataclasses.replace(begun, input_sha256=sha256(item.source))
                except FileNotFoundError:
                    finish(item, begun, Done(f"{item.source} does not exist"))
                    continue
                except OSError as error:
                    finish(item, begun, Done(f"{item.source} cannot be read: {error.strerror}"))
                    continue
                if known is not None and is_own and _is_done(known, begun):
                    rows[item] = known
                    tell(item, known, None)
                    continue
                if is_there and not (is_own or force):
                    is_known = known is not None and known.own
                    what = "is no longer what was written" if is_known else "exists"
                    finish(item, begun, Done(f"{folder / item.output} {what}; --force replaces it"))
                    continue
                begun = dataclasses.replace(begun, own=True)
                manifest.put(begun)
                yield _Task(item, begun, is_there)

        with _doer(work, folder, jobs, begin) as do:
            for task, done in do(todo()):
                finish(task.item, task.begun, done)
    return [rows[item] for item in wanted]


@dataclass(frozen=True)
class _Task:
    item: Item
    begun: Row
    force: bool


_Do = Callable[[Iterator[_Task]], Iterator[tuple[_Task, Done]]]


def _is_done(known: Row, begun: Row) -> bool:
    same = (known.input_sha256, known.settings_sha256) == (begun.input_sha256, begun.settings_sha256)
    return same and known.state in DONE


def _is_another(known: Row, folder: Path) -> bool:
    """Whether what stands under the name of a finished output is no longer that."""
    path = folder / known.output
    return known.state in DONE and not (path.is_file() and sha256(path) == known.output_sha256)


@contextlib.contextmanager
def _doer(work: Work, folder: Path, jobs: int, begin: Callable[[], None] | None) -> Generator[_Do]:
    """What turns tasks into what came of them, in any order."""
    if jobs == 1:
        yield lambda todo: ((task, _worked_on(work, folder, task)) for task in todo)
        return
    workers = _Workers(work, folder, jobs, begin)
    try:
        yield workers.do
    finally:
        workers.stop()


def _worked_on(work: Work, folder: Path, task: _Task) -> Done:
    """One file, in whatever process: all that can be wrong with it is told, not raised."""
    output = folder / task.item.output
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return work(task.item.source, output, task.force)
    except FAILURES as error:
        return Done(failure(task.item.source, error))


class _Workers:
    """Processes that work; one that dies takes its own file with it and is replaced."""

    def __init__(self, work: Work, folder: Path, jobs: int, begin: Callable[[], None] | None) -> None:
        self._work, self._folder, self._jobs, self._begin = work, folder, jobs, begin
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")  # torch does not survive a fork
        return ProcessPoolExecutor(self._jobs, spawn, self._begin)

    def do(self, todo: Iterator[_Task]) -> Iterator[tuple[_Task, Done]]:
        """Keep every process busy; files in work when one died are tried once more, one at a time."""
        running = dict[Future[Done], _Task]()
        while True:
            while len(running) < self._jobs and (task := next(todo, None)) is not None:
                running[self._submit(task)] = task
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in ended):
                yield from [(task, self._alone(task)) for task in running.values()]
                running.clear()
            for future in ended & running.keys():
                yield running.pop(future), future.result()

    def _submit(self, task: _Task) -> "Future[Done]":
        try:
            return self._pool.submit(_worked_on, self._work, self._folder, task)
        except BrokenProcessPool as error:  # found out before the future that tells of it
            failed = Future[Done]()
            failed.set_exception(error)
            return failed

    def _alone(self, task: _Task) -> Done:
        """In a new pool; what the first trial may have left under the output's name is replaced."""
        self._renew()
        again = dataclasses.replace(task, force=True)
        try:
            return self._submit(again).result()
        except BrokenProcessPool:
            self._renew()
            return Done(f"{task.item.source}: the process that worked on it has ended unexpectedly")

    def _renew(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._pool = self._new()

    def stop(self) -> None:
        self._pool.shutdown(cancel_futures=True)
