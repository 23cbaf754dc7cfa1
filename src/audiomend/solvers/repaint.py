"""RePaint (Lugmayr et al. 2022): steps are taken back by fresh noise and walked again, to join seams."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from audiomend.errors import UsageError
from audiomend.processes.base import Process, renoised
from audiomend.solvers.base import Draw, Solver, Stage, State, drawing_later


def repainted(solver: Solver, repeats: int, phi_1: float = 1.0, phi_2: float = 2.0) -> Solver:
    """After each step inside a window, `repeats` times back to its start, x_t ~ p(x_t | x_s), and again.

    solver: any solver. A multistep one starts anew after each return.
    phi_1, phi_2: of T steps, counted T to 1 as the noise falls, those from phi_1 T / 3 to phi_2 T / 3 are
        repeated: the middle third (Hernandez-Olivan et al. 2023, after FreeDoM); 0 and 3 repeat all.

    Raises:
        UsageError: unless 0 <= phi_1 <= phi_2 <= 3 and repeats >= 0.
    """
    if not 0 <= phi_1 <= phi_2 <= 3:
        raise UsageError(
            f"A window from {phi_1:g} to {phi_2:g} thirds of the walk does not lie within 0 to 3."
        )
    if repeats < 0:
        raise UsageError(f"A step cannot be repeated {repeats} times: 0 or more are allowed.")

    def walk(process: Process, levels: Sequence[float]) -> list[Stage]:
        steps, total = groupby(solver(process, levels), key=lambda stage: stage.step), len(levels) - 1
        passes: list[list[Stage]] = []
        for (t, s), (step, stages) in zip(pairwise(levels), steps, strict=True):
            own = list(stages)
            inside = phi_1 * total / 3 <= total - step <= phi_2 * total / 3
            passes += [own] + [_returned(process, own, t, s)] * (repeats if inside else 0)
        return [replace(stage, step=number) for number, own in enumerate(passes) for stage in own]

    return walk


def _returned(process: Process, stages: list[Stage], t: float, s: float) -> list[Stage]:
    """The stages of a step from t to s, begun from the state at its end."""
    first, *rest = (drawing_later(stage, 1) for stage in stages)

    def enter(state: State, draw: Draw) -> State:
        return first.enter(State(renoised(process, state.x, s, t, draw(0))), draw)

    return [replace(first, enter=enter), *rest]
