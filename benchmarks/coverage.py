"""How often the truth lies within the 90 % band of posterior samples, on real recordings: a table.

Run: python benchmarks/coverage.py --data DIR [--split test] [--clips 1] [--task inpaint] [--walk start=30]

DIR/SPLIT/SET holds clean recordings. Each is cut to 2.2 s, one window of the prior, damaged, and drawn 19
times by the verb; `evaluation/coverage.py` says what is counted. Rows appear as they are done.
"""

import argparse
from pathlib import Path

from audiomend.evaluation.coverage import Coverage, coverage, nominal, total
from audiomend.evaluation.damages import NotApplicableError, Task, damage, plan, seed_of
from audiomend.evaluation.manifest import SETS, find_sources, load
from audiomend.evaluation.methods import parse_method, restore

CLIP_S = 2.2
SAMPLES = 19  # whose extremes are a 90 % band
SEVERITIES: dict[Task, float] = {"inpaint": 100.0, "extend": 3000.0, "declip": 5.0}
NAMES: dict[Task, str] = {
    "inpaint": "gaps of 100 ms",
    "extend": "band above 3 kHz",
    "declip": "clipped to 5 dB",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--set", action="append", dest="sets")
    parser.add_argument("--clips", type=int, default=1, help="recordings of each set, the first by name")
    parser.add_argument("--task", action="append", choices=list(SEVERITIES))
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--walk", default="", help="options of the verb, as for `benchmark --methods`")
    arguments = parser.parse_args()
    method = parse_method(f"auto@samples={arguments.samples},{arguments.walk}".rstrip(","))
    print(
        f"| damage | set | bins | in the {nominal(arguments.samples):.0%} band | truth louder | softer |",
        end="",
    )
    print(" error / expected |\n| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for task in arguments.task or SEVERITIES:
        parts: list[Coverage] = []
        for name in arguments.sets or SETS:
            found = list(measured(task, arguments.data / arguments.split, name, arguments.clips, method))
            if found:
                show(task, name, total(found))
            parts += found
        if parts:
            show(task, "all", total(parts))


def measured(task: Task, folder: Path, name: str, clips: int, method):
    for source in find_sources(folder, [name], clip_s=CLIP_S)[:clips]:
        clip, seed = load(folder, source)[:1], seed_of(0, source.name, task)
        try:
            how = plan(task, SEVERITIES[task], clip, source.rate, seed)
        except NotApplicableError:
            continue
        drawn = restore(method, damage(clip, source.rate, how), source.rate, how, seed=0)
        yield coverage(list(drawn), clip, source.rate, how)


def show(task: Task, name: str, found: Coverage) -> None:
    louder, softer = found.louder / found.bins, found.softer / found.bins
    print(
        f"| {NAMES[task]} | {name} | {found.bins:,} | {found.inside:.0%} | {louder:.0%} | {softer:.0%} |"
        f" {found.ratio:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
