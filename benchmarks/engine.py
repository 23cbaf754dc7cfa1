"""Cost of one evaluation of the prior against the plain form of the same network.

Run: python benchmarks/engine.py [--model prior] [--threads 2] [--batch 2] [--repeats 5]

Each form lives in a process of its own; they take turns, so that a machine whose speed drifts treats them
alike. Printed: GFLOP, wall and CPU seconds per evaluation (medians), their ratio to the plain form, and the
share of the matrix peak, which is measured as one large product in the same number format.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
FORMS = ("plain", "float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of one evaluation of the prior.")
    parser.add_argument("--model", default="prior", help="a shipped model or a model's folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=2, help="windows of one evaluation")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--form", choices=FORMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.form:
        serve(arguments.form, arguments.model, arguments.threads, arguments.batch)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    workers = {form: start(form, arguments) for form in FORMS}
    flops, peaks = {}, {}
    for form, worker in workers.items():
        flops[form], peaks[form] = (float(x) for x in ask(worker, "facts"))
        ask(worker, "run")  # warm-up
    times: dict[str, list[tuple[float, float]]] = {form: [] for form in FORMS}
    for _ in range(arguments.repeats):
        for form, worker in workers.items():
            wall, cpu = ask(worker, "run")
            times[form].append((float(wall), float(cpu)))
    for worker in workers.values():
        worker.communicate("stop\n")
    median = {f: tuple(statistics.median(t[i] for t in times[f]) for i in range(2)) for f in FORMS}
    print(f"{cpu_model()}, {arguments.threads} threads, batch {arguments.batch}, {arguments.repeats} repeats")
    print("| form | GFLOP | wall s | CPU s | faster (wall) | faster (CPU) | share of matrix peak |")
    print("|---|---|---|---|---|---|---|")
    for form in FORMS:
        wall, cpu = median[form]
        share = flops[form] / wall / peaks[form]
        ratios = (median["plain"][i] / median[form][i] for i in range(2))
        print(
            f"| {form} | {flops[form] / 1e9:.1f} | {wall:.3f} | {cpu:.3f} | "
            + " | ".join(f"{r:.2f}" for r in ratios)
            + f" | {share:.0%} of {peaks[form] / 1e9:.0f} GFLOP/s |"
        )


def start(form: str, arguments: argparse.Namespace) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "--form", form, "--model", arguments.model]
    command += ["--threads", str(arguments.threads), "--batch", str(arguments.batch)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(worker: "subprocess.Popen[str]", word: str) -> list[str]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(word + "\n")
    worker.stdin.flush()
    return worker.stdout.readline().split()


def serve(form: str, model: str, threads: int, batch: int) -> None:
    if form != "plain":  # the plain form keeps the default allocator
        from audiomend.tuning import tune_process

        tune_process()
    import torch

    from audiomend.models.prior import TrainedPrior, load

    torch.set_num_threads(threads)
    prior = load(model, "bfloat16" if form == "bfloat16" else "float32")
    assert isinstance(prior, TrainedPrior)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, prior.length, generator=generator)
    level, bandwidth = torch.zeros(batch), torch.ones(batch)
    if form == "plain":
        sys.path.insert(0, str(HERE))
        from plain_prior import plain_prior

        weights, architecture = dict(prior.network.state_dict()), prior.network.architecture

        def evaluate() -> None:
            plain_prior(weights, architecture, x, level, bandwidth)
    else:

        def evaluate() -> None:
            prior.network(x, level, bandwidth)

    for line in sys.stdin:
        with torch.inference_mode():
            if line.strip() == "facts":
                print(count_flops(evaluate), matrix_peak(prior.network.precision), flush=True)
            elif line.strip() == "run":
                wall, cpu = time.perf_counter(), time.process_time()
                evaluate()
                print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)
            else:
                break


def count_flops(evaluate) -> int:
    """Multiplications and additions of convolutions and matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        evaluate()
    return counter.get_total_flops()


def matrix_peak(precision) -> float:
    """FLOP per second of a 2048 x 2048 product, the best of five."""
    import torch

    a = torch.randn(2048, 2048).to(precision)
    times = []
    for _ in range(6):
        begun = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - begun)
    return 2 * 2048**3 / min(times)


def cpu_model() -> str:
    from audiomend.evaluation.machine import cpu_model as model

    return model()


if __name__ == "__main__":
    main()
