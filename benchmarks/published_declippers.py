"""What the published settings of the declippers restore, and at what cost, beside the defaults of `declip`.

Run: python benchmarks/published_declippers.py --data DIR [--folders music ...] [--clips 8] [--methods ar ...]

DIR holds test/ (or train/) with recordings. From the middle of each 2 s of one channel, their peak
brought to 1 as in the survey (Záviška et al. 2021), are clipped to an input SDR. Printed: SDR
on the clipped samples, mean over the clips, and CPU seconds of one thread for a second of sound; "published"
runs the method as published for 44.1 kHz, in float64, whatever the rate, "default" is `declip --method`. The
blend is the default of `declip`; GLP is no method of `declip`.
"""

import time
from collections.abc import Callable

import audiomend

audiomend.tune_process()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from recordings import clips, options, row  # noqa: E402

from audiomend.classical import ar_declip, social_sparsity, spade  # noqa: E402
from audiomend.evaluation.metrics import sdr  # noqa: E402
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr  # noqa: E402

CLIP_S = 2
PUBLISHED: dict[str, Callable[[torch.Tensor, HardClip], tuple[torch.Tensor, torch.Tensor | None]]] = {
    "a-spade": lambda y, clip: spade.a_spade(y, clip, spade.PUBLISHED),
    "s-spade": lambda y, clip: spade.s_spade(y, clip, spade.PUBLISHED),
    "ss-ew": lambda y, clip: social_sparsity.ss_ew(y, clip, social_sparsity.PUBLISHED),
    "ss-pew": lambda y, clip: social_sparsity.ss_pew(y, clip, social_sparsity.PUBLISHED),
    "ar": lambda y, clip: (ar_declip.declipped(y, clip.low, clip.high, ar_declip.PUBLISHED), None),
    "glp": lambda y, clip: (ar_declip.declipped(y, clip.low, clip.high, ar_declip.GLP), None),
}
"""The restored signal, and how many iterations it took where that is not fixed."""
METHODS = (*PUBLISHED, "blend")
FORMS = {"glp": ("published",), "blend": ("default",)}  # others have both
Array = np.ndarray


def mended(method: str, form: str, observed: Array, level: float, rate: int) -> Array:
    if form == "published":
        return PUBLISHED[method](torch.from_numpy(observed), HardClip(-level, level))[0].numpy()
    return audiomend.declip(observed, rate, method=method, threads=1)


def main() -> None:
    parser = options(__doc__, "test", clips=8)
    parser.add_argument("--folders", nargs="*", default=[], help="of the set, instead of the usual ones")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--sdr-db", nargs="*", type=float, default=[5.0, 10.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = clips(arguments.data, arguments.set, arguments.clips, CLIP_S, arguments.folders)
    chosen = [(clip / np.abs(clip).max(), rate) for clip, rate in found]
    heads = [f"{head} at {db:g} dB" for db in arguments.sdr_db for head in ("SDR, dB", "CPU s")]
    print(row(["method", "settings", *heads]), row(["---", "---", *["---:"] * len(heads)]), sep="\n")
    for method in arguments.methods:
        for form in FORMS.get(method, ("published", "default")):
            cells: list[str] = []
            for sdr_db in arguments.sdr_db:
                figures, begun = [], time.process_time()
                for clean, rate in chosen:
                    level = float(threshold_for_sdr(torch.from_numpy(clean), sdr_db))
                    observed, lost = np.clip(clean, -level, level), np.abs(clean) >= level
                    figures.append(sdr(clean[lost], mended(method, form, observed, level, rate)[lost]))
                seconds = (time.process_time() - begun) / (CLIP_S * len(chosen))
                cells += [f"{np.mean(figures):.1f}", f"{seconds:.2g}"]
            print(row([method, form, *cells]), flush=True)


if __name__ == "__main__":
    main()
