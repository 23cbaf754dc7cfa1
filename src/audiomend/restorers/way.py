"""How a damage is walked, as plain values, and the solvers that have a name."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from audiomend import schedules
from audiomend.processes.base import Process
from audiomend.processes.edm import EDM
from audiomend.solvers.base import Solver, Stage
from audiomend.solvers.dpm import dpm_pp_2m
from audiomend.solvers.dpm_3m import dpm_pp_3m
from audiomend.solvers.euler_maruyama import euler_maruyama
from audiomend.solvers.first_order import first_order
from audiomend.solvers.heun import heun
from audiomend.solvers.momentum import momentum
from audiomend.solvers.predictor_corrector import predictor_corrector
from audiomend.solvers.repaint import repainted
from audiomend.solvers.unipc import unipc

PARTICLES = 4  # of `tds`
MEASURING = {"daps": 5, "red-diff": 1, "tds": PARTICLES}  # samplers without guidance: evaluations a level
ADAPTIVE = "rk45"  # the sampler whose tolerance decides how many evaluations it takes
ADAPTIVE_EVALUATIONS = 70  # of it: about as many with the tolerance below
WITHOUT_SOLVER = (*MEASURING, ADAPTIVE)
DIFFERENTIATED = ("tds",)  # samplers with a backward pass in each evaluation
SONG_SNR = 0.16  # of Langevin steps (Song et al. 2021)


@dataclass(frozen=True)
class Way:
    """How a damage is walked. Noise levels are in units of sigma_data.

    Attributes:
        start: first noise level.
        end: last one before 0.
        rho: of the Karras schedule between them.
        solver: name of SOLVERS.
        warm: whether the walk starts from a guess (`Damage.warm`) with noise or from noise alone.
        conditioned: whether the network is shown the observation.
        m, stride, kappa: of the solver `momentum`.
        steps: network evaluations, at most.
        guidance, sampler: names of `guiding.GUIDANCE` and `walking.SAMPLERS`.
        xi: strength of guidance by gradients; for DPS in units of sigma_data.
        power: by which the strength changes with the noise level: xi level^power (`guidance.scale.PowerLaw`).
        limit: the largest magnitude of an element of the gradient.
        sigma_y: deviation of the observation's noise, for guidance and samplers that know of one.
        churn: S_churn of the solvers `heun` and `heun-cqtdiff`.
        freshness: share of fresh noise, 0 to 1, of the solver `first-order`.
        repeats, phi_1, phi_2: of the sampler `repaint`, as `solvers.repaint.repainted` takes them.
        tolerance: of a step of the sampler `rk45`, over sigma_data.
    """

    start: float
    end: float
    rho: float
    solver: str
    warm: bool
    conditioned: bool
    m: float
    stride: float
    kappa: float
    steps: int
    guidance: str = "projection"
    sampler: str = "stream"
    xi: float = 0.2
    power: float = 0.0
    limit: float = inf
    sigma_y: float = 0.01
    churn: float = 0.0
    freshness: float = 0.0
    repeats: int = 1
    phi_1: float = 1.0
    phi_2: float = 2.0
    tolerance: float = 0.001

    def levels(self, sigma_data: float) -> list[float]:
        """Noise levels, the last one 0: as many steps as the evaluations allow, at least one."""
        count = bisect_right(range(1, self.steps + 1), self.steps, key=self.cost)
        return schedules.karras(max(count, 1), self.end * sigma_data, self.start * sigma_data, self.rho)

    def cost(self, count: int) -> int:
        """Evaluations of a walk of `count` steps."""
        return _cost(self, count)

    @property
    def evaluations(self) -> int:
        """Of the network, for every window; of `rk45` about."""
        if self.sampler == ADAPTIVE:
            return ADAPTIVE_EVALUATIONS
        return self.cost(len(self.levels(1.0)) - 1)

    def stages(self, process: Process, levels: Sequence[float]) -> list[Stage]:
        """Those of the solver, with the cycles of the sampler `repaint`: a `Solver`."""
        solver = SOLVERS[self.solver](self)
        if self.sampler == "repaint":
            solver = repainted(solver, self.repeats, self.phi_1, self.phi_2)
        return solver(process, levels)


@lru_cache(maxsize=256)
def _cost(way: Way, count: int) -> int:
    if way.sampler in MEASURING:
        return MEASURING[way.sampler] * count
    return len(way.stages(EDM(), schedules.log(count, 1.0, 2.0)))


def _heun_as_in_cqtdiff(way: Way) -> Solver:
    """Its code divides S_churn by the number of levels, one more than there are steps."""
    return lambda process, levels: heun(way.churn, denominator=len(levels))(process, levels)


SOLVERS: dict[str, Callable[[Way], Solver]] = {
    "euler": lambda way: first_order(0.0),
    "ancestral": lambda way: first_order("ancestral"),
    "renoise": lambda way: first_order(1.0),
    "first-order": lambda way: first_order(way.freshness),
    "heun": lambda way: heun(way.churn),
    "heun-cqtdiff": _heun_as_in_cqtdiff,
    "2m": lambda way: dpm_pp_2m(),
    "3m": lambda way: dpm_pp_3m(),
    "2m-sde": lambda way: dpm_pp_2m(sde=True),
    "3m-sde": lambda way: dpm_pp_3m(sde=True),
    "unipc": lambda way: unipc(),
    "euler-maruyama": lambda way: euler_maruyama(),
    "predictor-corrector": lambda way: predictor_corrector(euler_maruyama(), SONG_SNR),
    "momentum": lambda way: momentum(way.m, way.kappa, way.stride),
}
