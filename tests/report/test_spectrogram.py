"""The pictures put each sound at its place, at its level."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from audiomend.report import spectrogram
from audiomend.report.spectrogram import Region

RATE = 44_100


def tone(hz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(("hz", "mels"), [(0, 0.0), (700, 781.1728), (1000, 999.9855), (7000, 2702.4140)])
def test_mel_is_oshaughnessys(hz: float, mels: float) -> None:
    assert spectrogram.mel(hz) == pytest.approx(mels, abs=1e-3)


def test_hertz_inverts_mel() -> None:
    hz = np.array([0.0, 55.0, 1000.0, 22050.0])
    np.testing.assert_allclose(spectrogram.hertz(spectrogram.mel(hz)), hz, atol=1e-9)


@pytest.mark.parametrize(("hz", "share"), [(0, 0.0), (1000, 0.254881), (22050, 1.0), (math.inf, 1.0)])
def test_height_is_the_share_of_the_mel_axis(hz: float, share: float) -> None:
    assert spectrogram.height(hz, RATE) == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize(("hz", "row"), [(103, 230), (1000, 178), (4000, 108), (15011, 25), (21900, 0)])
def test_a_tone_stands_at_its_row(hz: float, row: int) -> None:
    picture = spectrogram.levels(tone(hz), RATE, 11, 240)
    assert int(picture[:, 5].argmax()) == row


@pytest.mark.parametrize("hz", [1000, 5003, 15011])
@pytest.mark.parametrize("level", [0, -40])
def test_a_tone_has_its_level_in_decibels_of_full_scale(hz: float, level: float) -> None:
    picture = spectrogram.levels(tone(hz) * 10 ** (level / 20), RATE, 11, 240)
    assert picture[:, 5].max() == pytest.approx(level, abs=0.4)


def test_a_low_tone_is_interpolated_between_bins() -> None:
    spectrum = np.array([1.0, 3.0, 2.0])
    np.testing.assert_allclose(
        spectrogram._at(spectrum, np.array([[0.25, 1.5], [0.0, 2.0]])), [[1.5, 2.5], [1, 2]]
    )


def test_every_bin_of_the_top_rows_is_looked_at() -> None:
    bins = spectrogram._bins(1411, RATE, 240)
    assert np.diff(bins[-1]).max() <= 1
    assert bins[0, 0] > 0
    assert bins[-1, -1] <= 2048


@pytest.mark.parametrize("rate", [1000, 8000, 192_000])
def test_the_axis_ends_at_half_the_rate(rate: int) -> None:
    picture = spectrogram.levels(tone(0.49 * rate, 1.0, rate), rate, 5, 100)
    assert picture[:, 2].argmax() <= 1


def test_a_click_stands_in_its_column() -> None:
    audio = np.zeros(RATE * 2)
    audio[round(0.731 * 2 * RATE)] = 1
    picture = spectrogram.levels(audio, RATE, 50, 20)
    assert int(picture.max(axis=0).argmax()) == 36


def test_the_window_is_32_ms_long() -> None:
    audio = np.zeros(RATE)
    audio[RATE // 2] = 1
    heard = spectrogram.levels(audio, RATE, 1000, 10).max(axis=0) > spectrogram.SILENCE_DB + 1
    assert abs(heard.sum() - 32) <= 1
    assert np.flatnonzero(heard).mean() == pytest.approx(
        499.5, abs=0.6
    )  # column k has its middle at k + 1/2 ms


def test_a_short_sound_in_a_long_file_is_not_missed() -> None:
    audio = np.zeros(60 * RATE)
    start = round(30.7 * RATE)
    audio[start : start + RATE // 16] = tone(1000, 1 / 16)
    picture = spectrogram.levels(audio, RATE, 20, 60)
    assert picture[:, 10].max() == pytest.approx(0, abs=0.4)
    assert picture[:, [9, 11]].max() < -100


def test_the_loudest_channel_is_drawn() -> None:
    left, right = tone(1000) * 0.1, tone(6000)
    both = spectrogram.levels(np.stack([left, right]), RATE, 7, 60)
    separate = [spectrogram.levels(channel, RATE, 7, 60) for channel in (left, right)]
    assert both[:, 3].max() == pytest.approx(separate[1][:, 3].max(), abs=1e-9)
    row = int(separate[0][:, 3].argmax())
    assert both[row, 3] == pytest.approx(separate[0][row, 3], abs=1e-9)


@pytest.mark.parametrize("samples", [1, 2, 5000])
def test_silence_is_the_lowest_level(samples: int) -> None:
    picture = spectrogram.levels(np.zeros((2, samples)), RATE, 9, 6)
    assert picture.shape == (6, 9)
    assert (picture == -200).all()


def test_the_blocks_of_the_computation_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = np.random.default_rng(0).standard_normal(RATE)
    whole = spectrogram.levels(audio, RATE, 21, 30)
    monkeypatch.setattr(spectrogram, "BLOCK_FRAMES", 1)
    np.testing.assert_array_equal(spectrogram.levels(audio, RATE, 21, 30), whole)


@pytest.mark.parametrize(
    ("peaks", "top"), [((-17.3, -60.0), -15), ((-9.9,), -5), ((-15.0,), -15), ((-80.0, 1.0), 5), ((4.9,), 5)]
)
def test_the_range_begins_at_the_loudest_point_of_all_pictures(peaks: tuple[float, ...], top: float) -> None:
    assert spectrogram.top_of([np.array([[peak, -200.0]]) for peak in peaks]) == top


def oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB bytes to OKLab (Ottosson 2020)."""
    c = rgb / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    cone = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear @ np.array(cone).T) @ np.array(lab).T


def test_equal_steps_of_level_are_equal_steps_of_colour() -> None:
    anchors = oklab(spectrogram.colour_map(17).astype(float))
    steps = np.linalg.norm(np.diff(anchors, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.12)


def test_louder_is_lighter() -> None:
    assert np.diff(oklab(spectrogram.colour_map(64).astype(float))[:, 0]).min() > 0


def test_the_colours_span_eighty_decibels() -> None:
    colours = spectrogram.colour_map()
    row = np.array([[-15.0, -3.0, -55.0, -95.0, -94.0, -300.0]])
    image = np.asarray(spectrogram.paint(row, -15.0))[0]
    np.testing.assert_array_equal(image, colours[[255, 255, 128, 0, 3, 0]])


def test_png_holds_the_picture() -> None:
    painted = spectrogram.paint(np.linspace(-80, 0, 60).reshape(4, 15), 0.0)
    decoded = Image.open(io.BytesIO(spectrogram.png(painted)))
    assert (decoded.format, decoded.size) == ("PNG", (15, 4))
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(painted))


def test_frequency_ticks_keep_their_distance() -> None:
    labels = ["200 Hz", "500 Hz", "1 kHz", "2 kHz", "5 kHz", "10 kHz"]
    values = [200, 500, 1000, 2000, 5000, 10_000]
    assert spectrogram.frequency_ticks(44_100) == list(zip(values, labels, strict=True))


@pytest.mark.parametrize("rate", [96_000, 768_000])
def test_frequency_ticks_stand_at_what_they_say(rate: float) -> None:
    for hz, label in spectrogram.frequency_ticks(rate):
        number, unit = label.split()
        assert hz == int(number) * {"Hz": 1, "kHz": 1000}[unit]


def test_frequency_ticks_of_a_low_rate() -> None:
    assert [hz for hz, _ in spectrogram.frequency_ticks(2000)] == [50, 100, 200, 500]


@pytest.mark.parametrize(
    ("start", "end", "labels"),
    [
        (0, 5, ["0 s", "1 s", "2 s", "3 s", "4 s", "5 s"]),
        (0, 0.9, ["0.0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]),
        (0, 6, ["0 s", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s"]),
        (0, 6.1, ["0 s", "2 s", "4 s", "6 s"]),
        (52.5, 72.5, ["55 s", "1:00", "1:05", "1:10"]),
        (0.03, 0.05, ["0.030 s", "0.035 s", "0.040 s", "0.045 s", "0.050 s"]),
    ],
)
def test_time_ticks_are_round(start: float, end: float, labels: list[str]) -> None:
    assert [label for _, label in spectrogram.time_ticks(start, end, most=6)] == labels


def test_time_ticks_stand_at_their_times() -> None:
    assert [at for at, _ in spectrogram.time_ticks(2.1, 5.0, most=6)] == pytest.approx(
        [2.5, 3, 3.5, 4, 4.5, 5]
    )


@pytest.mark.parametrize(
    ("seconds", "step", "shown"),
    [
        (5, 1, "5 s"),
        (59.96, 0.1, "1:00.0"),
        (59.94, 0.1, "59.9 s"),
        (83.4, 0.1, "1:23.4"),
        (60, 20, "1:00"),
        (3605.25, 0.01, "60:05.25"),
        (0.0124, 0.001, "0.012 s"),
    ],
)
def test_clock(seconds: float, step: float, shown: str) -> None:
    assert spectrogram.clock(seconds, step) == shown


def test_regions_nearer_than_asked_are_joined() -> None:
    regions = [Region(3.0, 3.5), Region(1.0, 1.25), Region(1.5, 2.0), Region(3.1, 3.2)]
    assert spectrogram.visible(regions, 0, 9, closest=0.25) == [
        Region(1.0, 1.25),
        Region(1.5, 2.0),
        Region(3.0, 3.5),
    ]
    assert spectrogram.visible(regions, 0, 9, closest=0.26) == [Region(1.0, 2.0), Region(3.0, 3.5)]


def test_regions_of_different_bands_stay_apart() -> None:
    regions = [Region(0, 2, high_hz=500), Region(1, 3, low_hz=4000), Region(2, 3, high_hz=500)]
    shown = spectrogram.visible(regions, 0, 9, closest=0.1)
    assert shown == [Region(0, 3, high_hz=500), Region(1, 3, low_hz=4000)]


def test_regions_are_cut_to_the_picture() -> None:
    regions = [Region(0, 1), Region(1.5, 2.5), Region(3.5, 6), Region(5, 6)]
    assert spectrogram.visible(regions, 2, 5, closest=0) == [Region(2, 2.5), Region(3.5, 5)]


def test_boxes_are_shares_of_the_picture() -> None:
    left, top, right, bottom = next(spectrogram.boxes([Region(11, 12, 1000, 4000)], 4.0, RATE, start=10.0))
    assert (left, right) == (0.25, 0.5)
    assert bottom == pytest.approx(1 - 0.254881, abs=1e-5)
    assert top == pytest.approx(1 - 2146.065 / 3923.344, abs=1e-4)


def test_before_and_after_show_one_range_of_levels(tmp_path) -> None:
    before = tone(1000, 2.0)
    spectrogram.before_after(tmp_path / "b.png", before, before / 100, RATE)
    picture = np.asarray(Image.open(tmp_path / "b.png"))
    assert picture.shape == (92 + 440 + 76, 124 + 740 + 64 + 740 + 40, 3)
    row = 92 + round(440 * (1 - 0.254881))
    colours = spectrogram.colour_map()
    left, right = picture[row - 3 : row + 4, 124 + 370], picture[row - 3 : row + 4, 124 + 740 + 64 + 370]
    assert left.sum(axis=1).max() == colours[255].sum()
    assert right.sum(axis=1).max() == pytest.approx(colours[round(255 * 40 / 80)].astype(int).sum(), abs=6)


def test_before_and_after_mark_the_damage_in_the_first_panel(tmp_path) -> None:
    silence = np.zeros(2 * RATE)
    regions = [Region(0.5, 1.0, low_hz=1000), Region(1.5, 1.505)]
    spectrogram.before_after(tmp_path / "b.png", silence, silence, RATE, regions=regions)
    picture = np.asarray(Image.open(tmp_path / "b.png")).astype(int)
    marked = (picture == np.array([0x7F, 0xE3, 0xFF])).all(axis=2)
    bars = np.flatnonzero(marked[92 - 9, : 124 + 740])
    assert set(bars) == {*range(124 + 184, 124 + 371), *range(124 + 554, 124 + 559)}
    middle = np.flatnonzero(marked[92:532, 124 + 277])
    assert (middle.min(), middle.max()) == (0, round(440 * (1 - 0.254881)))
    assert not marked[92:532, 124 + 556].any()  # too narrow for an outline
    assert not marked[:, 124 + 740 + 10 :].any()


def test_captions_outside_the_font_are_spelled_in_ascii(tmp_path) -> None:
    sound = np.zeros(RATE)
    for name, caption in (("a.png", "cafe -3 dB"), ("b.png", "café -3 dB")):
        spectrogram.before_after(tmp_path / name, sound, sound, RATE, captions=(caption, ""))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
