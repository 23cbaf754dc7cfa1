"""Threads that work side by side, and those of the host beside them."""

from collections.abc import Iterator
from threading import Thread

import pytest
import torch

from audiomend.classical.parallel import side_by_side


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def in_another_thread(found: list[int]) -> None:
    other = Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()


@pytest.mark.usefixtures("three_threads")
def test_threads_of_the_host_keep_their_number() -> None:
    inside, beside = list[int](), list[int]()
    with side_by_side() as run:
        run(lambda _: inside.append(torch.get_num_threads()), [slice(k, k + 1) for k in range(12)])
        in_another_thread(beside)
    in_another_thread(beside)
    assert inside == [1] * 12
    assert beside == [3, 3]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("where", [0, 1, 2])
def test_the_number_comes_back_after_an_error(where: int) -> None:
    def fail(part: slice) -> None:
        if part.start == where:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"), side_by_side() as run:
        run(fail, [slice(k, k + 1) for k in range(3)])
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_every_slice_is_taken_once() -> None:
    taken = torch.zeros(11, dtype=torch.int64)
    for count in range(12):
        taken.zero_()
        with side_by_side() as run:
            run(lambda part: taken[part].add_(1), [slice(k, k + 1) for k in range(count)])
        assert taken.tolist() == [1] * count + [0] * (11 - count)
