"""Calls in a child process: their result, their cost, and what happens when they go wrong."""

import math
import os
import sys
import time

import numpy as np
import pytest

from audiomend.evaluation.worker import Worker, WorkerError, mib_of


def test_a_call_gives_its_result_and_the_process_lives_on() -> None:
    with Worker(60.0) as worker:
        assert worker.call(math.hypot, 3.0, 4.0)[0] == 5.0
        first, second = worker.call(os.getpid)[0], worker.call(os.getpid)[0]
        assert first == second != os.getpid()


def test_sleeping_costs_wall_time_and_little_else() -> None:
    with Worker(60.0) as worker:
        _, cost = worker.call(time.sleep, 0.4)
        assert 0.4 <= cost.wall_s < 2.0
        assert cost.cpu_s < 0.2


def test_computing_costs_processor_time() -> None:
    with Worker(60.0) as worker:
        _, cost = worker.call(math.factorial, 60_000)
        assert 0.02 < cost.cpu_s < 1.1 * cost.wall_s


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the counter")
def test_the_peak_memory_is_that_of_the_call() -> None:
    with Worker(60.0) as worker:
        (_, before), (_, large), (_, after) = (
            worker.call(eval, f"len(bytearray({mib} * 2**20))") for mib in (0, 400, 0)
        )
        assert large.peak_mib - before.peak_mib == pytest.approx(400, abs=6)
        assert after.peak_mib == pytest.approx(before.peak_mib, abs=8)


@pytest.mark.parametrize(("system", "value"), [("linux", 3 * 2**10), ("darwin", 3 * 2**20)])
def test_the_kernel_counts_in_its_own_unit(monkeypatch: pytest.MonkeyPatch, system: str, value: int) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert mib_of(value) == 3.0


def test_arrays_come_back_unchanged() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    with Worker(60.0) as worker:
        got, _ = worker.call(np.negative, x)
    np.testing.assert_array_equal(got, -x)
    assert got.dtype == np.float32


def test_an_exception_comes_back_by_name_and_the_process_lives_on() -> None:
    with Worker(60.0) as worker:
        process = worker.call(os.getpid)[0]
        with pytest.raises(WorkerError, match="ValueError: "):
            worker.call(math.sqrt, -1)
        assert worker.call(os.getpid)[0] == process


def test_a_crash_is_reported_and_the_next_call_has_a_new_process() -> None:
    with Worker(60.0) as worker:
        with pytest.raises(WorkerError, match="ended with code 3"):
            worker.call(os._exit, 3)
        assert worker.call(math.sqrt, 9)[0] == 3.0


def test_every_new_process_is_set_up_first() -> None:
    with Worker(60.0, os.setsid) as worker:
        for _ in range(2):
            assert worker.call(os.getsid, 0)[0] == worker.call(os.getpid)[0]
            worker.close()


def test_a_call_that_takes_too_long_is_stopped() -> None:
    with Worker(5.0) as worker:
        worker.call(len, ())
        worker._timeout_s = 0.3  # starting a process may take longer than that
        begin = time.perf_counter()
        with pytest.raises(WorkerError, match=r"stopped after 0\.3 s"):
            worker.call(time.sleep, 60)
        assert time.perf_counter() - begin < 5
