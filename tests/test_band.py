"""A box of time and frequency, from its making to its filling: what goes, what stays, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import audiomend
from audiomend.cli.app import run
from audiomend.errors import UsageError
from audiomend.evaluation.damages import BAND_HZ, Damage, NotApplicableError, damage, plan
from audiomend.evaluation.metrics import sdr
from audiomend.evaluation.scoring import FIGURES, score, shown_figures
from audiomend.evaluation.tables import severity_title
from audiomend.operators.band_gap import BandGap, BandPass
from audiomend.restorers.bands import parse_bands
from audiomend.restorers.damage import Boxes
from audiomend.restorers.locate import Given, search
from audiomend.restorers.regions import region_fade
from audiomend.restorers.settings import way

RATE = 8000
BAND = (1000.0, 2000.0)
START, STOP = 4000, 6000
FAST = {"model": "wiener", "steps": 3}


def whistled(whistle: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise of a second and a half without and with a whistle in the box, (2, time)."""
    clean = 0.1 * np.random.default_rng(seed).standard_normal((2, 12_000))
    tone = whistle * np.sin(2 * np.pi * 1500 * np.arange(12_000) / RATE)
    return clean, clean + tone * region_fade([(START, STOP)], 0, 12_000, RATE)


def passed(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return BandPass(((low, high),), RATE).forward(torch.from_numpy(np.asarray(x, np.float64))).numpy()


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("2k-6k", (2000, 6000)),
        ("300-3400", (300, 3400)),
        (" 2.5K - 4000 ", (2500, 4000)),
        (".5k-1.kHz", (500, 1000)),
        ("0-50hz", (0, 50)),
        ("900-1k", (900, 1000)),
    ],
)
def test_bands(text: str, band: tuple[float, float]) -> None:
    assert parse_bands([text, "1-2"]) == (band, (1, 2))


@pytest.mark.parametrize("text", ["", "2k", "2k-", "-2k", "2k-6m", "2k-6k-8k", "1e3-2e3", "nan-2", "٣-5"])
def test_what_is_no_band(text: str) -> None:
    with pytest.raises(UsageError, match="is not a band; bands are LOW-HIGH"):
        parse_bands([text])


@pytest.mark.parametrize("text", ["6k-2k", "2k-2000"])
def test_a_band_rises(text: str) -> None:
    with pytest.raises(UsageError, match="does not rise"):
        parse_bands([text])


def test_a_short_region_fades_over_a_quarter_of_it() -> None:
    fade = region_fade([(100, 180)], 0, 300, RATE)
    assert fade[:100].max() == fade[180:].max() == 0
    np.testing.assert_allclose(fade[120:160], 1)
    assert fade[109] == pytest.approx(np.sin(np.pi / 2 * 9.5 / 20) ** 2)


def test_a_box_may_change_in_its_time_only_and_is_guessed_empty() -> None:
    _, x = whistled()
    boxes = Boxes(BandPass((BAND,), RATE), ((START, STOP),), 0.25)
    lost = boxes.lost(0, x)
    assert lost.shape == x.shape
    assert lost[:, START:STOP].all()
    assert not lost[:, :START].any()
    assert not lost[:, STOP:].any()
    whole = BandGap(boxes.band, torch.from_numpy(region_fade([(START, STOP)], 0, 12_000, RATE)))
    padded = torch.nn.functional.pad(torch.from_numpy(x), (20_000, 20_000))

    def damaged(start: int, stop: int) -> torch.Tensor:
        return padded[:, start + 20_000 : stop + 20_000]

    expected = whole.forward(torch.from_numpy(x))
    for start, stop in ((0, 12_000), (3990, 4500), (5000, 7000)):
        guess = boxes.warm(damaged, start, stop)
        torch.testing.assert_close(guess, expected[:, start:stop], rtol=0, atol=1e-12)
    middle = slice(START + 400, STOP - 400)
    assert np.abs(passed(expected, 1100, 1900)[:, middle]).max() < 1e-3


def test_the_operator_of_windows_knows_where_each_is() -> None:
    boxes = Boxes(BandPass((BAND,), RATE), ((START, STOP),))
    rows = torch.tensor([[True, False], [True, True]])
    operator = boxes.operator([0, 3000], 3500, rows, gain=7.0)
    x, y = torch.randn(2, 3, 3500, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(operator.project(x, y)[0], y[0])
    changed = (operator.project(x, y) != y)[1:]
    assert not changed[:, : START - 3000].any()
    assert not changed[:, STOP - 3000 :].any()
    assert changed[:, START - 3000 : STOP - 3000].all()
    torch.testing.assert_close(operator.pinv(x), operator.forward(x))
    left, right = (operator.forward(x) * y).sum(), (x * operator.adjoint(y)).sum()
    torch.testing.assert_close(left, right)


def test_the_search_says_what_is_filled() -> None:
    found = search("inpaint", Given(gaps=((8000, 12_000), (2100, 4100)), bands=(BAND,)), RATE, 2).conclude()
    assert isinstance(found.damage, Boxes)
    assert found.damage.stretches == ((2100, 4100), (8000, 12_000))
    assert found.damage.severity == 0.5
    assert found.summary == "1,000 to 2,000 Hz in 2 stretches, 0.750 s together, as given"
    assert found.facts == {"bands_hz": [[1000, 2000]], "gaps_s": [[0.2625, 0.5125], [1.0, 1.5]]}
    chosen = way(found.damage.verb, "fast", None)
    assert (chosen.solver, chosen.start, chosen.conditioned) == ("2m", 1.0, True)


@pytest.mark.parametrize("where", ["gaps", "regions"])
def test_a_whistle_goes_and_the_rest_stays(where: str) -> None:
    clean, x = whistled()
    y = audiomend.inpaint(x, RATE, band=[BAND], **{where: [(START / RATE, STOP / RATE)]}, **FAST)
    np.testing.assert_array_equal(y[:, :START], x[:, :START])
    np.testing.assert_array_equal(y[:, STOP:], x[:, STOP:])
    inside = slice(START, STOP)
    before, after = x - passed(x, 900, 2150), y - passed(y, 900, 2150)
    assert sdr(before[:, inside], after[:, inside]) > 70
    left = (passed(y, *BAND)[:, inside] ** 2).mean()
    assert (
        left
        < 1.5 * (passed(clean, *BAND)[:, inside] ** 2).mean()
        < 0.1 * (passed(x, *BAND)[:, inside] ** 2).mean()
    )


def test_a_gap_decides_where_and_a_region_limits_it() -> None:
    _, x = whistled()
    y = audiomend.inpaint(x, RATE, band=[BAND], gaps=[(0.5, 0.75)], regions=[(0.55, 1.0)], **FAST)
    changed = np.flatnonzero((x != y).any(axis=0))
    assert (changed.min(), changed.max()) == (4400, 5999)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"band": [BAND]}, "a region or a gap must say where"),
        ({"band": [(1000, 4001)], "gaps": [(0.1, 0.2)]}, "from 1000 to 4001 Hz cannot be; at 8000 Hz"),
        ({"band": [(2000, 1000)], "regions": [(0.1, 0.2)]}, "from 2000 to 1000 Hz cannot be"),
    ],
)
def test_a_box_that_cannot_be_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        audiomend.inpaint(whistled()[1], RATE, **arguments, **FAST)


def test_the_commands_damage_a_band_and_fill_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 2 * 1700)
    said: list[str] = []
    monkeypatch.setattr("audiomend.cli.degrade.say", said.append)
    clean, _ = whistled()
    soundfile.write("clean.wav", clean.T, RATE, subtype="FLOAT")
    assert run(["degrade", "gap", "clean.wav", "holed.wav", "--band", "1k-2k", "--gap", "0.5-0.75"]) == 0
    assert said == ["holed.wav: 1 gap, 0.250 s together, of the band 1k-2k only"]
    x, y = (soundfile.read(name, dtype="float32")[0].T for name in ("clean.wav", "holed.wav"))
    weight = torch.from_numpy(region_fade([(START, STOP)], 0, 12_000, RATE))
    expected = BandGap(BandPass((BAND,), RATE), weight).forward(torch.from_numpy(x).double()).numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(np.delete(y, slice(START, STOP), 1), np.delete(x, slice(START, STOP), 1))
    mend = ["inpaint", "holed.wav", "out.wav", "--band", "1k-2k", "--region", "0.5-0.75"]
    assert run([*mend, "--model", "wiener", "--steps", "2", "--json", "--report", "page.html"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["found"]["bands_hz"] == [[1000, 2000]]
    z = soundfile.read("out.wav", dtype="float32")[0].T
    np.testing.assert_array_equal(np.delete(z, slice(START, STOP), 1), np.delete(y, slice(START, STOP), 1))
    assert (z != y)[:, START:STOP].mean() > 0.9
    assert run(["inpaint", "holed.wav", "no.wav", "--band", "1k-2k"]) == 2
    assert "a region or a gap must say where" in capsys.readouterr().err
    assert run(["inpaint", "holed.wav", "no.wav", "--band", "1k-5k", "--gap", "0.5-0.75"]) == 2
    assert "at most 4000 Hz" in capsys.readouterr().err
    assert not Path("no.wav").exists()


BENCH = 16_000


def test_the_benchmark_takes_a_band_out_of_gaps() -> None:
    clip = (0.1 * np.random.default_rng(1).standard_normal((2, 3 * BENCH))).astype(np.float32)
    how = plan("band", 200.0, clip, BENCH, seed=3)
    assert all(stop - start == 3200 for start, stop in how.gaps)
    y = damage(clip, BENCH, how)
    inside = np.zeros(clip.shape[1], bool)
    for start, stop in how.gaps:
        inside[start:stop] = True
    np.testing.assert_array_equal(y[:, ~inside], clip[:, ~inside])
    weight = torch.from_numpy(region_fade(how.gaps, 0, clip.shape[1], BENCH))
    expected = BandGap(BandPass((BAND_HZ,), BENCH), weight).forward(torch.from_numpy(clip).double())
    np.testing.assert_allclose(y, expected.numpy(), rtol=0, atol=1e-7)
    with pytest.raises(NotApplicableError, match="up to 6000 Hz is not there at 12000 Hz"):
        plan("band", 200.0, clip, 12_000, seed=3)


def test_figures_of_a_box() -> None:
    """A band that is 2 times too loud is off by 6 dB in level and distance, and agrees beside the band."""
    clip = np.random.default_rng(1).standard_normal((1, 2 * BENCH))
    how = Damage("band", 200.0, gaps=((8000, 11_200), (20_000, 23_200)))
    wide = BandPass(((1800.0, 6500.0),), BENCH)
    louder = clip + wide.forward(torch.from_numpy(clip)).numpy()
    y = clip - BandPass((BAND_HZ,), BENCH).forward(torch.from_numpy(clip)).numpy()
    figures = score(clip, y, louder, BENCH, how)
    assert figures["box_level_error_db"] == pytest.approx(6.02, abs=0.01)
    assert figures["box_lsd_db"] == pytest.approx(6.02, abs=0.05)
    assert score(clip, y, y, BENCH, how)["agreement_beside_db"] == 300
    off = y + 0.01 * (clip - wide.forward(torch.from_numpy(clip)).numpy())
    assert score(clip, y, off, BENCH, how)["agreement_beside_db"] == pytest.approx(40, abs=1)
    assert score(clip, y, clip, BENCH, how)["agreement_beside_db"] > 70
    inner = y + 0.5 * BandPass(((2200.0, 5500.0),), BENCH).forward(torch.from_numpy(clip)).numpy()
    assert score(clip, y, inner, BENCH, how)["agreement_beside_db"] > 70
    shown = shown_figures("band", 200.0)
    assert shown == ("box_lsd_db", "box_level_error_db", "agreement_beside_db")
    assert set(shown) <= set(FIGURES)
    assert severity_title("band", 200.0) == "gaps from 2 to 6 kHz of 200 ms"
