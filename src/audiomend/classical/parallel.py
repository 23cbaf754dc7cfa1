"""Parts of an array side by side, on a thread each."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import TypeVar

import torch

Outcome = TypeVar("Outcome")

START_S = 60.0  # a thread that has not started by then never will

Run = Callable[[Callable[[slice], None], Sequence[slice]], None]
"""Calls the function with each slice, in no certain order, and waits for all."""


@contextmanager
def side_by_side() -> Generator[Run]:
    """Share slices out among as many threads as torch uses, with no further threads inside a call.

    By itself torch shares out every operation, which pays for large arrays only. Other threads of the
    process keep the number that they have.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield _in_turn
        return
    inference = torch.is_inference_mode_enabled()  # each thread has its own mode

    def some(function: Callable[[slice], None], slices: Sequence[slice]) -> None:
        with torch.inference_mode(inference):
            _in_turn(function, slices)

    def run(function: Callable[[slice], None], slices: Sequence[slice]) -> None:
        shares = [slices[i::threads] for i in range(1, min(threads, len(slices)))]
        others = [pool.submit(some, function, share) for share in shares]
        some(function, slices[::threads])
        for other in others:
            other.result()

    def begin() -> None:
        torch.get_num_threads()
        begun.wait()

    begun = Barrier(threads, timeout=START_S)
    torch.set_num_threads(1)  # of this thread and, until it is set again, of those that come to torch anew
    try:
        with ThreadPoolExecutor(threads - 1) as pool:
            for _ in range(threads - 1):
                pool.submit(begin)
            begun.wait()
            others = Thread(target=torch.set_num_threads, args=(threads,))  # leaves this one as it is
            others.start()
            others.join()
            yield run
    finally:
        torch.set_num_threads(threads)


def results(tasks: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
    """What each task gives, in their order; as many at a time as torch uses threads, each on one.

    So it does not depend on their number: sums that threads share are rounded in another way.
    """
    found: dict[int, Outcome] = {}

    def work(places: slice) -> None:
        found[places.start] = tasks[places.start]()

    with side_by_side() as run:
        run(work, [slice(k, k + 1) for k in range(len(tasks))])
    return [found[k] for k in range(len(tasks))]


def slices(count: int, most: int) -> list[slice]:
    """0 to `count` in slices of at most `most`, about equal, and one for each thread of torch at least."""
    parts = max(-(-count // max(most, 1)), torch.get_num_threads())
    size = max(1, -(-count // parts))
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]


def _in_turn(function: Callable[[slice], None], slices: Sequence[slice]) -> None:
    for each in slices:
        function(each)
