"""Cost of one evaluation of CQT-Diff at the paper's size against the plain form of the same network.

Run: python benchmarks/cqtdiff.py [--guided] [--threads 2] [--repeats 5]

Each form lives in a process of its own, the plain one with the default allocator; they take turns, so that a
machine whose speed drifts treats them alike. With --guided an evaluation includes the gradient of a sum with
respect to the input, as reconstruction guidance needs it; otherwise SaShiMi-Diff takes part. No checkpoint is
needed: parameters are drawn from a generator.

Printed: GFLOP of convolutions and matrix products; medians of wall and CPU seconds; ratios to the plain form;
the share of the peak, which is what a convolution of 128 channels reaches per CPU second in the same format;
peak memory; deviation from the plain form, root mean square over root mean square; and what 35 steps take,
which are 69 evaluations.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from engine import ask, count_flops, cpu_model

HERE = Path(__file__).parent
FORMS = ("plain", "float32", "bfloat16")
EVALUATIONS = 2 * 35 - 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of one evaluation of CQT-Diff.")
    parser.add_argument("--guided", action="store_true", help="with the gradient")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--form", choices=(*FORMS, "sashimi"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.form:
        serve(arguments.form, arguments.threads, arguments.guided)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    forms = FORMS if arguments.guided else (*FORMS, "sashimi")
    workers = {form: start(form, arguments) for form in forms}
    for worker in workers.values():
        ask(worker, "run")  # warm-up
    times: dict[str, list[list[float]]] = {form: [] for form in forms}
    for _ in range(arguments.repeats):
        for form, worker in workers.items():
            times[form].append([float(x) for x in ask(worker, "run")])
    memory = {form: float(ask(worker, "memory")[0]) for form, worker in workers.items()}
    results = {form: result(worker) for form, worker in workers.items()}
    facts = {form: [float(x) for x in ask(worker, "facts")] for form, worker in workers.items()}
    for worker in workers.values():
        worker.communicate("stop\n")

    what = "with gradient" if arguments.guided else "without gradient"
    print(f"{cpu_model()}, {arguments.threads} threads, {arguments.repeats} repeats, {what}")
    print(
        "| form | GFLOP | wall s | CPU s | faster (wall) | faster (CPU) | share of peak | MiB | deviation |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    median = {f: [statistics.median(column) for column in zip(*times[f], strict=True)] for f in forms}
    for form in forms:
        flops, peak = facts[form]
        wall, cpu = median[form]
        ratios = [median["plain"][i] / median[form][i] for i in range(2)]
        apart = "-" if form in ("plain", "sashimi") else f"{deviation(results[form], results['plain']):.1e}"
        print(
            f"| {form} | {flops / 1e9:.0f} | {wall:.2f} | {cpu:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} | "
            f"{flops / cpu / peak:.0%} of {peak / 1e9:.0f} GFLOP/s | {memory[form]:.0f} | {apart} |"
        )
    for form in forms:
        wall, cpu = (EVALUATIONS * seconds for seconds in median[form])
        print(f"35 steps, {form}: {wall:.0f} s wall, {cpu:.0f} s CPU ({EVALUATIONS} times the medians)")


def start(form: str, arguments: argparse.Namespace) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "--form", form, "--threads", str(arguments.threads)]
    command += ["--guided"] * arguments.guided
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def result(worker: "subprocess.Popen[str]") -> "np.ndarray":
    """What the last run gave."""
    (path,) = ask(worker, "result")
    values = np.load(path)
    Path(path).unlink()
    return values


def deviation(found: "np.ndarray", expected: "np.ndarray") -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def serve(form: str, threads: int, guided: bool) -> None:
    if form != "plain":  # the plain form keeps the default allocator
        from audiomend.tuning import tune_process

        tune_process()
    import torch

    torch.set_num_threads(threads)
    evaluate = evaluation(form, guided)
    precision = torch.bfloat16 if form == "bfloat16" else torch.float32
    values = None
    for line in sys.stdin:
        word = line.strip()
        if word == "facts":
            print(count_flops(evaluate), convolution_peak(precision), flush=True)
        elif word == "run":
            wall, cpu = time.perf_counter(), time.process_time()
            values = evaluate()
            print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)
        elif word == "memory":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
        elif word == "result":
            assert values is not None
            with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
                np.save(file, values.numpy())
            print(file.name, flush=True)
        else:
            break


def evaluation(form: str, guided: bool):
    """A function of nothing that gives the network's output, or the gradient."""
    import torch
    from plain_cqtdiff import plain_cqtdiff
    from published_networks import cqtdiff_rule, fill, normal

    from audiomend.networks import cqtdiff, sashimi

    architecture = cqtdiff.Architecture()
    x, weighting = normal(38, 1, architecture.length), normal(39, 1, architecture.length)
    level = torch.full((1, 1), -0.3)
    if form == "sashimi":
        network = sashimi.Sashimi(sashimi.Architecture())
    else:
        network = cqtdiff.CqtDiff(architecture, torch.bfloat16 if form == "bfloat16" else torch.float32)
        fill(network, 37, cqtdiff_rule, ("resample.kernel",))
    network.requires_grad_(False)
    weights = dict(network.state_dict())

    def output(x: torch.Tensor) -> torch.Tensor:
        return plain_cqtdiff(weights, architecture, x, level) if form == "plain" else network(x, level)

    def evaluate() -> torch.Tensor:
        if not guided:
            with torch.inference_mode():
                return output(x)
        leaf = x.clone().requires_grad_()
        (output(leaf) * weighting).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    return evaluate


def convolution_peak(precision) -> float:
    """FLOP per CPU second of a convolution with the channels last, the best of five."""
    import torch
    from torch.nn import functional as F

    image = torch.randn(1, 128, 450, 44).to(precision, memory_format=torch.channels_last)
    kernel = torch.randn(128, 128, 5, 3).to(precision, memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(6):
            begun = time.process_time()
            F.conv2d(image, kernel)
            times.append(time.process_time() - begun)
    return 2 * kernel.numel() * 446 * 42 / min(times)


if __name__ == "__main__":
    main()
