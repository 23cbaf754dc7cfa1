"""Classical methods behind the verbs: excerpts of any length give the whole, and only lost samples change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import audiomend
from audiomend.audio.level import SIGMA_DATA
from audiomend.classical import blend, social_sparsity
from audiomend.classical.replication import replicated
from audiomend.classical.social_sparsity import ss_ew, ss_pew
from audiomend.errors import Cancelled, UsageError
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.classical import TRIED_FROM_S, foretold, parts, restored
from audiomend.restorers.damage import Clipped, Damage, Dull, Gaps
from audiomend.restorers.memory import ArrayReader
from audiomend.restorers.methods import METHODS, Excerpt, Method, frame_at

RATE = 2000
DECLIP = pytest.mark.parametrize("method", METHODS["declip"])
FAST = pytest.mark.parametrize("method", ["a-spade", "ar", "blend"])


def chord(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """Three tones with a slow beat, and a little noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    tones = [(1.0, 110), (0.6, 271), (0.3, 402)]
    x = sum(a * np.sin(2 * np.pi * f * t + f * (1 + seed)) for a, f in tones) * (1 + 0.2 * np.sin(9 * t))
    return 0.3 * x + 0.001 * np.random.default_rng(seed).standard_normal(len(t))


def clipped(level: float = 0.3, **how: float) -> tuple[np.ndarray, np.ndarray]:
    x = chord(**how)
    return x, np.clip(x, -level, level)


@DECLIP
def test_peaks_come_back_and_the_rest_stays_to_the_bit(method: str) -> None:
    x, y = clipped()
    shares: list[float] = []
    z = audiomend.declip(y, RATE, method=method, progress=shares.append)
    lost = np.abs(y) == 0.3
    np.testing.assert_array_equal(z[~lost], y[~lost])
    assert (z * np.sign(y) >= 0.3)[lost].all()
    assert np.linalg.norm((z - x)[lost]) < 0.5 * np.linalg.norm((y - x)[lost])
    assert shares[-1] == 1.0


@pytest.mark.parametrize("frames", [1, 2, 21])
@pytest.mark.parametrize("verb", ["declip", "inpaint"])
def test_sounds_of_a_few_samples_are_mended_by_every_method(verb: str, frames: int) -> None:
    y = np.full(frames, 0.3)
    y[frames // 2 + 1 :] = 0.1
    where = {"declip": {"clip_level": 0.3}, "inpaint": {"gaps": [(0, (frames // 2 + 1) / RATE)]}}[verb]
    for method in METHODS[verb]:
        z = getattr(audiomend, verb)(y, RATE, method=method, **where)
        assert np.isfinite(z).all()
        np.testing.assert_array_equal(z[frames // 2 + 1 :], y[frames // 2 + 1 :])


@FAST
def test_channels_are_mended_by_themselves(method: str) -> None:
    _, y = clipped()
    quiet = 0.5 * chord(seed=1)
    z = audiomend.declip(np.stack([y, np.clip(quiet, -0.1, 0.1)]), RATE, method=method)
    alone = audiomend.declip(y, RATE, method=method)
    lost = alone != y
    assert 20 * np.log10(np.linalg.norm((z[0] - alone)[lost]) / np.linalg.norm((alone - y)[lost])) < -16


def test_only_regions_change_and_strength_is_a_share() -> None:
    _, y = clipped()
    whole, half = (audiomend.declip(y, RATE, method="ar", strength=s) for s in (1.0, 0.5))
    np.testing.assert_allclose(half - y, (whole - y) / 2, atol=1e-12)
    part = audiomend.declip(y, RATE, method="ar", regions=[(0.25, 0.5)])
    np.testing.assert_array_equal(part[500:1000], whole[500:1000])
    np.testing.assert_array_equal(np.r_[part[:500], part[1000:]], np.r_[y[:500], y[1000:]])


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 4},
        {"quality": "best"},
        {"model": "wiener"},
        {"preset": "cqtdiff"},
        {"solver": "heun"},
        {"walk": {"start": 1.0}},
        {"samples": 2},
    ],
    ids=str,
)
def test_what_only_a_walk_obeys_is_refused(options: dict) -> None:
    _, y = clipped(seconds=0.2)
    with pytest.raises(UsageError, match="is nothing for the method ar, which evaluates no network"):
        audiomend.declip(y, RATE, method="ar", **options)


def test_auto_is_the_blend_unless_a_walk_is_asked_for() -> None:
    _, y = clipped()
    mended = audiomend.declip(y, RATE)
    np.testing.assert_array_equal(mended, audiomend.declip(y, RATE, method="blend", quality="balanced"))
    for quality in ("fast", "best"):
        assert (mended != audiomend.declip(y, RATE, quality=quality)).any()
    walked = audiomend.declip(y, RATE, steps=2, model="wiener")
    expected = audiomend.declip(y, RATE, method="diffusion", steps=2, model="wiener")
    np.testing.assert_array_equal(walked, expected)
    one, other = audiomend.declip(y, RATE, samples=2)
    assert (one != other).any()


def test_a_method_of_another_verb_is_refused() -> None:
    y = chord()
    y[1000:1100] = 0
    with pytest.raises(UsageError, match="The method ar is unknown; it is one of auto, diffusion"):
        audiomend.inpaint(y, RATE, method="ar")


def test_it_can_be_cancelled() -> None:
    _, y = clipped()
    with pytest.raises(Cancelled):
        audiomend.declip(y, RATE, method="ar", progress=lambda share: False)


def mended(
    y: np.ndarray, damage: Damage, method: Method, first: int = 0, stop: int | None = None
) -> np.ndarray:
    """(channels, stop - first), the parts that reach into them mended one by one."""
    source, out, stop = ArrayReader(y, RATE), y.copy(), y.shape[1] if stop is None else stop
    work = [part for part in parts(source, damage, method) if part.start < stop and first < part.stop]
    for start, piece in restored(source, damage, method, 0.4, work, lambda _: None):
        out[:, start : start + piece.shape[1]] = piece
    return out[:, first:stop]


def clipping(level: float = 0.3) -> Clipped:
    levels = np.array([[level]])
    return Clipped(-levels, levels, RATE)


@pytest.mark.parametrize(("method", "close"), [("a-spade", 1e-6), ("ar", 1e-6), ("ss-pew", 1e-3)])
def test_excerpts_give_the_whole(method: str, close: float) -> None:
    y = clipped(seconds=4.0)[1][None]
    whole = replace(METHODS["declip"][method], longest_s=100.0)
    expected, cut = mended(y, clipping(), whole), mended(y, clipping(), replace(whole, longest_s=1.5))
    lost = np.abs(y) == 0.3
    lost[:, :RATE] = lost[:, -RATE:] = False  # frames at the ends reach around into what is free
    assert np.linalg.norm((cut - expected)[lost]) < close * np.linalg.norm((expected - y)[lost])


CHUNKED = [
    (verb, name, quality)
    for verb in ("declip", "inpaint", "declick")
    for name, method in METHODS[verb].items()
    for quality in (None, *method.qualities)
]


@pytest.mark.parametrize(("verb", "name", "quality"), CHUNKED)
def test_a_chunk_is_mended_as_in_the_whole(verb: str, name: str, quality: str | None) -> None:
    """To 60 dB and more, from one longest part from its ends on. Whole sounds have more parts than one."""
    method = METHODS[verb][name].at(quality)
    method = replace(method, longest_s=method.margin_s + 0.3)
    tile = round(method.longest_s * RATE / method.grid(RATE)) * method.grid(RATE)
    x = chord(seconds=5 * tile / RATE)[None]

    def both(damage: Damage, of_chunk: Damage, y: np.ndarray) -> tuple[np.ndarray, ...]:
        whole = mended(y, damage, method, 2 * tile, 3 * tile)
        part = mended(y[:, tile : 4 * tile], of_chunk, method, tile, 2 * tile)
        return whole, part, y[:, 2 * tile : 3 * tile]

    if verb == "declip":
        whole, part, y = both(clipping(), clipping(), np.clip(x, -0.3, 0.3))
    else:
        every, longest = {"similarity": (7000, 900), "ar": (290, 12)}.get(name, (290, 120))
        lengths = np.random.default_rng(1).integers(4, longest, size=x.shape[1]).tolist()
        gaps = [(at, at + lengths[at]) for at in range(every // 2, x.shape[1] - longest, every)]
        near = [(a - tile, b - tile) for a, b in gaps if tile <= a and b <= 4 * tile]
        whole, part, y = both(Gaps((tuple(gaps),)), Gaps((tuple(near),)), x)
    changed = whole != y
    assert changed.sum() > tile / 50
    assert np.linalg.norm(part - whole) <= 1e-3 * np.linalg.norm((whole - y)[changed])


def words(rate: int, severity: float) -> str:
    return f"{rate} {severity}"


def test_parts_are_cells_with_damage_cut_where_they_are_long() -> None:
    source = ArrayReader(np.ones((2, 2650)), RATE)
    clicks = tuple((start, start + 9) for start in range(1410, 2650, 80))
    rows = (((110, 130), (210, 1010), *clicks), ((112, 350),))
    method = Method(lambda e: e.observation, words, lambda rate: 100, margin_s=0.0, longest_s=0.2)
    found = [(p.start, p.stop, p.rows, p.size) for p in parts(source, Gaps(rows), method)]
    assert found == [
        (100, 500, (True, True), 800),  # a cell more than to 400, which does not help either
        (500, 900, (True, False), 400),
        (900, 1100, (True, False), 200),
        (1400, 1600, (True, False), 200),
        (1600, 2000, (True, False), 400),
        (2000, 2400, (True, False), 400),
        (2400, 2650, (True, False), 250),
    ]


def test_parts_are_joined_where_that_is_less_work() -> None:
    """With margins of a cell on either side and one cell beyond, each part that is not saves 3 cells."""
    gaps = [(cell * 100, cell * 100 + 9) for cell in (1, 5, 9, 14, 20, 22, 24, 41)]
    source = ArrayReader(np.ones((2, 5000)), RATE)
    method = Method(lambda e: e.observation, words, lambda rate: 100, margin_s=0.05, longest_s=1.05, beyond=1)
    found = parts(source, Gaps((tuple(gaps), ((210, 220),))), method)
    assert [(p.start // 100, p.stop // 100, p.rows) for p in found] == [
        (1, 3, (True, True)),  # both channels for 3 cells more and 3 fewer beyond are not worth it
        (5, 10, (True, False)),
        (14, 15, (True, False)),  # 4 cells of nothing before it
        (20, 25, (True, False)),  # a cut is due at 21 and may wait for 5 cells
        (41, 42, (True, False)),
    ]


def test_no_part_ends_inside_a_gap() -> None:
    gaps = ((110, 120), (210, 220), (310, 320), (350, 420), (510, 520))
    method = Method(lambda e: e.observation, words, lambda rate: 100, margin_s=0.0, longest_s=0.2)
    found = parts(ArrayReader(np.ones((1, 900)), RATE), Gaps((gaps,)), method)
    assert [(p.start, p.stop) for p in found] == [(100, 500), (500, 600)]


def test_a_method_sees_its_margin_at_the_common_level_and_only_damaged_channels() -> None:
    samples = np.stack([np.linspace(-1, 1, 1000), np.linspace(-0.1, 0.1, 1000)])
    source, levels = ArrayReader(samples, RATE), np.full((2, 1), 0.9)
    seen: list[Excerpt] = []

    def mend(excerpt: Excerpt) -> torch.Tensor:
        seen.append(excerpt)
        return 2 * excerpt.observation

    method = Method(mend, words, lambda rate: 50, margin_s=0.006, longest_s=1.0)
    damage = Clipped(-np.inf * levels, levels, RATE, share=0.05)
    work = parts(source, damage, method)
    ((start, piece),) = restored(source, damage, method, 0.25, work, lambda _: None)
    (excerpt,) = seen
    assert (start, piece.shape) == (950, (2, 50))
    assert (excerpt.start, excerpt.rate, excerpt.severity) == (900, RATE, 0.05)
    expected = samples[0, 900:] * 0.25
    np.testing.assert_allclose(excerpt.observation[0], expected, rtol=1e-6)
    assert isinstance(excerpt.operator, HardClip)
    np.testing.assert_allclose(excerpt.operator.high, [[0.225]], rtol=1e-6)
    np.testing.assert_allclose(piece, [2 * samples[0, 950:], samples[1, 950:]], rtol=1e-6)


def test_time_is_foretold_from_a_piece_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that takes a second for a thousand samples and those of 3 frames, on a clock of its own."""
    now, sizes = 0.0, list[int]()

    def mend(excerpt: Excerpt) -> torch.Tensor:
        nonlocal now
        rows, samples = excerpt.observation.shape
        now += rows * (samples + 300) / 1000
        sizes.append(excerpt.observation.numel())
        return excerpt.observation

    monkeypatch.setattr("audiomend.restorers.classical.time.perf_counter", lambda: now)
    method = Method(mend, words, lambda rate: 100, margin_s=0.5, longest_s=2.0, beyond=3)
    source = ArrayReader(np.ones((2, 30_000)), RATE)
    damage = Gaps((((4010, 4020),), tuple((start, start + 5) for start in range(4000, 29_000, 50))))
    work = parts(source, damage, method)
    said = foretold(source, damage, method, 1.0, work)
    assert sizes == [2 * (400 + 2 * 200)]  # both channels, 0.2 s and 0.1 s on either side
    begun = now
    list(restored(source, damage, method, 1.0, work, lambda _: None))
    assert said == pytest.approx(now - begun)
    few = [part for part in work if part.start < 4000 + (TRIED_FROM_S - 4) * RATE]
    assert foretold(source, damage, method, 1.0, few) == 0.0


@pytest.mark.parametrize("name", METHODS["inpaint"])
@pytest.mark.parametrize("length", [20, 500])
def test_gaps_longer_than_the_trial_do_not_stop_it(name: str, length: int) -> None:
    y = chord(seconds=8.0)[None]
    damage = Gaps((tuple((start, start + length) for start in range(0, 16_000, 600)),))
    method, source = METHODS["inpaint"][name], ArrayReader(y, RATE)
    assert 0.0 < foretold(source, damage, method, 1.0, parts(source, damage, method)) < np.inf


def test_heavy_clipping_is_declipped_more_slowly() -> None:
    methods = METHODS["declip"]
    light, heavy = (methods["a-spade"].words(44_100, share) for share in (0.4, 0.41))
    assert light == "frames of 8192, k grows by 2 in 2 iterations"
    assert heavy == "frames of 8192, k grows by 1 in 2 iterations"
    sweeps = ("", "4096 and 16384, 500", "4096, 8192 and 16384, 1500")
    falls = {0.4: (100, 200, 600), 0.41: (200, 400, 1200)}
    for share in falls:
        for quality, sweep, steps in zip(("fast", None, "best"), sweeps, falls[share], strict=True):
            words = methods["blend"].at(quality).words(44_100, share).split("; ")
            assert words[0] == f"a threshold that falls in frames of 2048 and 8192, {steps} steps in each"
            assert words[1:-1] == ([f"social sparsity in frames of {sweep} steps in each"] if sweep else [])
            short = "2048" if quality == "fast" else "2048 and 4096"
            assert words[-1] == f"where partials move, A-SPADE in frames of {short}"


def test_slower_is_nearer_where_most_is_clipped() -> None:
    x = chord()
    y = torch.from_numpy(np.clip(x, -0.03, 0.03)[None]).float()
    spade = METHODS["declip"]["a-spade"]
    light, heavy = (spade.mend(Excerpt(y, HardClip(-0.03, 0.03), 0, RATE, share)) for share in (0.4, 0.9))
    assert (heavy.double() - torch.from_numpy(x)).norm() < (light.double() - torch.from_numpy(x)).norm()


def test_frames_last_about_as_long_at_every_rate() -> None:
    assert [frame_at(rate) for rate in (16_000, 44_100, 48_000, 96_000)] == [4096, 8192, 8192, 16_384]


@pytest.mark.parametrize(
    ("quality", "severity", "settings"),
    [
        ("fast", 0.4, blend.FAST),
        ("balanced", 0.4, blend.BALANCED),
        ("balanced", 0.41, blend.HEAVY),
    ],
)
def test_the_blend_knows_the_rate_and_how_much_is_clipped(quality, severity, settings) -> None:
    _, y = clipped(seconds=0.5)
    level = torch.tensor([[0.3]])
    excerpt = Excerpt(torch.from_numpy(y[None]).float(), HardClip(-level, level), 0, RATE, severity)
    settings = replace(settings, window=frame_at(RATE), rate=RATE, rms=None)
    gain = 0.15 / SIGMA_DATA  # what its thresholds are for
    clip = HardClip(-level * gain, level * gain)
    expected = blend.blended(excerpt.observation * gain, clip, settings) / gain
    torch.testing.assert_close(METHODS["declip"]["blend"].at(quality).mend(excerpt), expected)


@pytest.mark.parametrize(("name", "form", "overlaps"), [("ss-ew", ss_ew, 4), ("ss-pew", ss_pew, 2)])
def test_social_sparsity_has_more_frames_where_it_averages_nothing(name, form, overlaps) -> None:
    _, y = clipped(seconds=0.5)
    level = torch.tensor([[0.3]])
    excerpt = Excerpt(torch.from_numpy(y[None]).float(), HardClip(-level, level), 0, RATE, 0.1)
    start = replace(social_sparsity.DEFAULT.start, rate=RATE)
    kind = replace(social_sparsity.DEFAULT, start=start, overlaps=overlaps, window=frame_at(RATE), rms=None)
    gain = 0.15 / SIGMA_DATA
    clip = HardClip(-level * gain, level * gain)
    expected = clip.project(form(excerpt.observation * gain, clip, kind)[0], excerpt.observation * gain)
    torch.testing.assert_close(METHODS["declip"][name].mend(excerpt), expected / gain)


def dull(low: LowPass, seconds: float) -> np.ndarray:
    """Noise with nothing above the cut-off."""
    noise = 0.1 * np.random.default_rng(3).standard_normal(round(seconds * low.sample_rate))
    return low.forward(torch.from_numpy(noise)).numpy()


def test_replication_adds_the_copied_band_above_the_cut_off() -> None:
    low = LowPass(1000.0, 8000)
    y = dull(low, 1.0)
    z = audiomend.extend(y, 8000, cutoff_hz=low.cutoff_hz, method="replication")
    x = torch.from_numpy(y)
    copied = low.replace_band(x + replicated(x, 8000, low.cutoff_hz), x).numpy()
    assert np.linalg.norm(z - copied) < 1e-5 * np.linalg.norm(copied - y)
    assert np.linalg.norm(copied - y) > 0.02 * np.linalg.norm(y)


def test_replication_is_the_same_in_pieces() -> None:
    low = LowPass(1000.0, 8000)
    source, damage = ArrayReader(dull(low, 5.0)[None], 8000), Dull(low)
    method = METHODS["extend"]["replication"]

    def extended(method: Method) -> np.ndarray:
        work = parts(source, damage, method)
        return np.concatenate(
            [piece[0] for _, piece in restored(source, damage, method, 0.4, work, lambda _: None)]
        )

    whole, cut = extended(method), extended(replace(method, longest_s=1.0))
    np.testing.assert_allclose(cut, whole, atol=1e-6 * np.abs(whole).max())


def test_auto_replicates_at_any_quality() -> None:
    y = dull(LowPass(1000.0, 8000), 0.5)
    expected = audiomend.extend(y, 8000, cutoff_hz=1000.0, method="replication")
    np.testing.assert_array_equal(audiomend.extend(y, 8000, cutoff_hz=1000.0, quality="fast"), expected)
    with pytest.raises(
        UsageError, match="quality is nothing for the method replication, which evaluates no network"
    ):
        audiomend.extend(y, 8000, cutoff_hz=1000.0, method="replication", quality="fast")
