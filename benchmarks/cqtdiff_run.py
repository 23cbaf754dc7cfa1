"""Seconds of a whole published run of CQT-Diff, 35 steps, through the verb `extend`.

Run: python benchmarks/cqtdiff_run.py [--preset cqtdiff-dc] [--precision bfloat16] [--threads 2]

The network has the paper's size and drawn parameters, written as a checkpoint and imported; the sound is one
of its windows, 65536 samples at 22.05 kHz (2.97 s), without what is above 3 kHz. Seconds count the walk, not
the loading, which a run of one evaluation before it pays for.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from audiomend.tuning import tune_process

RATE, LENGTH = 22050, 65536


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds of a whole run of CQT-Diff.")
    parser.add_argument("--preset", action="append", dest="presets")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tune_process()

    import audiomend
    from audiomend.noise import normal

    sound = 0.05 * normal(1, 0, 0, 0, 0, LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        usual = {
            "cutoff_hz": 3000.0,
            "model": str(model(Path(folder))),
            "precision": arguments.precision,
            "threads": arguments.threads,
        }
        audiomend.extend(sound, RATE, preset="cqtdiff-dc", steps=1, **usual)
        print("| preset | evaluations | wall s | CPU s | MiB |\n| --- | --- | --- | --- | --- |")
        for preset in arguments.presets or ["cqtdiff-dc", "cqtdiff-rg"]:
            wall, cpu = time.perf_counter(), time.process_time()
            audiomend.extend(sound, RATE, preset=preset, **usual)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"| {preset} | 69 | {wall:.0f} | {cpu:.0f} | {mib:.0f} |", flush=True)


def model(folder: Path) -> Path:
    """A checkpoint with drawn parameters, imported."""
    import torch
    from published_networks import cqtdiff_rule, fill

    from audiomend.models.published import import_model
    from audiomend.networks import cqtdiff

    network = cqtdiff.CqtDiff(cqtdiff.Architecture())
    fill(network, 37, cqtdiff_rule, ("resample.kernel",))
    torch.save({"model": network.state_dict()}, folder / "weights.pt")
    return import_model(folder / "weights.pt", "cqtdiff", folder / "model", name="drawn").folder


if __name__ == "__main__":
    main()
