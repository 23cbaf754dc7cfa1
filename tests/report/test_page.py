"""The page is one well-formed file that asks for nothing, whatever the names in it."""

import base64
import hashlib
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from PIL import Image

from audiomend.errors import AudioWriteError, UsageError
from audiomend.report import spectrogram
from audiomend.report.markup import text
from audiomend.report.page import Page, Region, Sound, render, write

RATE = 8_000
HOSTILE = [
    "</title><script>alert(1)</script>",
    "\"><img src=http://example.com/x onerror='alert(1)'>",
    "]]>&amp;<!--",
    "a\u202egnp.wav\x00\x1b[31m\udce9\n",
    "<style>@import 'http://example.com'</style>",
]


def tone(hz: float, level: float = 0.1, seconds: float = 1.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def page_with(word: str = "a name", **changes: object) -> Page:
    settings: dict[str, object] = {
        "title": word,
        "lead": word,
        "sounds": [Sound(word, tone(500), RATE, word), Sound("after", 0.5 * tone(500), RATE)],
        "facts": {word: word, "Seed": "0"},
        "intervals": [Region(0.25, 0.5)],
        "warnings": [word],
        "parts": [Page(word, word, warnings=[word, "two"])],
    }
    return Page(**(settings | changes))  # pyright: ignore[reportArgumentType]


def parsed(page: Page) -> ElementTree.Element:
    """The page as a tree; all but the contents of script and style must be well-formed XML."""
    html = render(page).removeprefix("<!DOCTYPE html>")
    return ElementTree.fromstring(re.sub(r"(<(script|style)>).*?(</\2>)", r"\1\3", html, flags=re.S))


def said(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def content(url: str, kind: str) -> io.BytesIO:
    assert url.startswith(f"data:{kind};base64,")
    return io.BytesIO(base64.b64decode(url.partition(",")[2]))


def test_the_page_asks_for_nothing() -> None:
    for element in parsed(page_with()).iter():
        for name, value in element.attrib.items():
            if name in {"src", "href", "srcset", "poster", "action", "data"}:
                assert value.startswith("data:")
    sources = re.findall(r"<(script|style)>(.*?)</", render(page_with()), re.S)
    assert [name for name, _ in sources] == ["style", "script"]
    for _, source in sources:
        assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|WebSocket|import\(", source)


def test_the_policy_admits_this_script_and_this_style_alone() -> None:
    page = render(page_with())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    for name in ("script", "style"):
        source = re.search(f"<{name}>(.*?)</{name}>", page, re.S)
        assert source
        digest = base64.b64encode(hashlib.sha256(source[1].encode()).digest()).decode()
        assert rules.pop(f"{name}-src") == f"'sha256-{digest}'"
    assert rules == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "img-src": "data:",
        "media-src": "data:",
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_and_does_nothing(name: str) -> None:
    harmless, hostile = parsed(page_with("x")), parsed(page_with(name))
    assert [e.tag for e in hostile.iter()] == [e.tag for e in harmless.iter()]
    assert [sorted(e.attrib) for e in hostile.iter()] == [sorted(e.attrib) for e in harmless.iter()]
    shown = re.sub(r"[\u202e\x00\x1b\udce9\n]", "\ufffd", name)
    for tag in ("title", "h1", "h2", "h3", "dt"):
        assert next(hostile.iter(tag)).text == shown


def test_text_shows_what_hides() -> None:
    assert text("a\u200b\u2066b\ue000\u2028<&>\"'é 音") == (
        "a\ufffd\ufffdb\ufffd\ufffd&lt;&amp;&gt;&quot;&#x27;é 音"
    )


def test_everything_given_is_told_in_order() -> None:
    page = Page(
        "T", "L", facts={"b": "1", "a": "2"}, warnings=["w1", "w2"], parts=[Page("P", "Q", facts={"c": "3"})]
    )
    body = parsed(page).find("body/main")
    assert body is not None
    assert re.sub(r"\s+", " ", " ".join(body.itertext())).startswith(
        " audiomend T L w1 w2 b 1 a 2 P Q c 3 One file"
    )


def test_a_hash_is_set_as_code_and_a_sentence_is_not() -> None:
    root = parsed(Page("t", facts={"a": "0" * 64, "b": "x" * 40, "c": "word " * 20}))
    assert [dd.get("class") for dd in root.iter("dd")] == ["code", None, None]


def test_the_sounds_are_embedded_level_matched() -> None:
    root = parsed(page_with())
    sounds = [
        soundfile.read(content(a.attrib["src"], "audio/flac"), always_2d=True) for a in root.iter("audio")
    ]
    for samples, rate in sounds:
        assert rate == RATE
        np.testing.assert_allclose(samples[:, 0], tone(500), atol=2e-5)
    gains = [said(e) for e in root.iter("p") if e.get("class") == "gain"]
    assert gains == ["gain 0.0 dB", "gain +6.0 dB"]


@pytest.mark.parametrize(
    ("end", "level", "sentence"),
    [
        (0.5, 0.1, "equal RMS on the undamaged samples."),
        (1.0, 0.1, "equal RMS on the whole."),
        (0.5, 1.3, "undamaged samples. All were lowered together, so that no peak exceeds full scale."),
    ],
)
def test_the_page_says_on_what_levels_were_matched(end: float, level: float, sentence: str) -> None:
    sound = Sound("a", tone(500, level), RATE)
    root = parsed(Page("t", sounds=[sound, sound], intervals=[Region(0, end)]))
    how = next(e for e in root.iter("p") if e.get("class") == "how")
    assert said(how).endswith(sentence)


def test_a_long_sound_is_an_excerpt_and_says_so() -> None:
    before = tone(500, seconds=70)
    after = before.copy()
    after[40 * RATE : 41 * RATE] = 0
    sounds = [Sound("b", before, RATE), Sound("a", after, RATE)]
    root = parsed(Page("t", sounds=sounds, intervals=[Region(40, 41)]))
    how = next(e for e in root.iter("p") if e.get("class") == "how")
    place = re.search(
        r"An excerpt, (\S+) s to (\S+) s of 1:10.000: the stretch that changed most.", said(how)
    )
    assert place
    assert float(place[2]) - float(place[1]) == pytest.approx(20)
    assert float(place[1]) == pytest.approx(30.5, abs=0.2)
    section = next(e for e in root.iter("section") if e.get("class") == "listen")
    assert section.get("data-seconds") == "20.0000"
    assert len(soundfile.read(content(next(root.iter("audio")).attrib["src"], "audio/flac"))[0]) == 20 * RATE
    times = next(e for e in root.iter("svg") if e.get("class") == "times")
    assert [e.text for e in times] == ["35 s", "40 s", "45 s", "50 s"]
    assert float(times[0].attrib["x"].rstrip("%")) == pytest.approx(
        100 * (35 - float(place[1])) / 20, abs=0.01
    )


def test_an_excerpt_given_as_such_keeps_its_place_in_the_file() -> None:
    page = Page(
        "t", sounds=[Sound("a", tone(500), RATE)], intervals=[Region(100.5, 101)], start=100, duration=200
    )
    root = parsed(page)
    how = next(e for e in root.iter("p") if e.get("class") == "how")
    assert "An excerpt, 1:40.000 to 1:41.000 of 3:20.000" in said(how)
    strip = next(e for e in root.iter("svg") if e.get("class") == "strip")
    assert [(bar.get("x"), bar.get("width")) for bar in strip] == [("50.000%", "50.000%")]


def test_all_pictures_of_a_page_share_one_range_of_levels() -> None:
    page = Page(
        "t",
        sounds=[Sound("soft", tone(500, 0.01), RATE)],
        parts=[Page("p", sounds=[Sound("loud", tone(500, 0.9), RATE)])],
    )
    soft, loud = [
        np.asarray(Image.open(content(e.attrib["href"], "image/png"))) for e in parsed(page).iter("image")
    ]
    assert soft.shape == loud.shape == (240, 1000, 3)
    colours = spectrogram.colour_map().astype(int)

    def level(picture: np.ndarray) -> int:
        column = picture[:, 500].astype(int)
        return max(int(np.abs(colours - pixel).sum(axis=1).argmin()) for pixel in column)

    assert level(loud) - level(soft) == pytest.approx(20 * np.log10(90) / 80 * 255, abs=2)
    legends = [said(e) for e in parsed(page).iter("p") if e.get("class") == "legend"]
    assert legends == ["-80 dB 0 dB re a sine at full scale"] * 2


def test_the_picture_stands_under_its_axes() -> None:
    root = parsed(page_with(intervals=[Region(0.25, 0.5, 1000, 2000), Region(0.75, 0.7505)]))
    axis = next(e for e in root.iter("svg") if e.get("class") == "axis")
    ticks = {tick.text: float(tick.attrib["y"].rstrip("%")) for tick in axis}
    assert ticks["1 kHz"] == pytest.approx(100 * (1 - spectrogram.height(1000, RATE)), abs=1e-3)
    times = next(e for e in root.iter("svg") if e.get("class") == "times")
    assert [(t.text, t.get("x")) for t in times][::2] == [
        ("0.0 s", "0.000%"),
        ("0.4 s", "40.000%"),
        ("0.8 s", "80.000%"),
    ]
    outlines = [e for e in root.iter("rect") if e.get("class") == "outline"]
    assert len(outlines) == 2  # one a picture: the second stretch is too narrow
    assert outlines[0].get("x") == "25.000%"
    top, down = (float(outlines[0].attrib[name].rstrip("%")) for name in ("y", "height"))
    assert (top, top + down) == pytest.approx((ticks["2 kHz"], ticks["1 kHz"]), abs=0.002)


@pytest.mark.parametrize(("seconds", "count"), [(0.0149, 0), (0.0151, 2)])
def test_a_stretch_is_outlined_from_0_015_of_the_width(seconds: float, count: int) -> None:
    root = parsed(page_with(intervals=[Region(0.5, 0.5 + seconds)]))
    assert len([e for e in root.iter("rect") if e.get("class") == "outline"]) == count


def test_controls_have_names_and_keys() -> None:
    root = parsed(page_with("Clean"))
    picks = [e for e in root.iter("button") if e.get("class") == "pick"]
    assert [(said(e), e.get("aria-keyshortcuts")) for e in picks] == [("1 Clean", "1"), ("2 after", "2")]
    for tag in ("button", "input"):
        assert all(e.get("aria-label") or said(e) for e in root.iter(tag))


def test_without_scripts_every_sound_has_its_own_controls() -> None:
    root = parsed(page_with())
    assert all(audio.get("controls") for audio in root.iter("audio"))
    assert all(e.get("hidden") for e in root.iter("div") if e.get("class") == "transport")


def test_the_same_page_has_the_same_bytes() -> None:
    assert render(page_with()) == render(page_with())


def test_a_page_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    write(page_with(), path)
    assert path.read_text("utf-8") == render(page_with())
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(UsageError):
        write(page_with(sounds=[Sound("a", np.zeros(0), RATE)]), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioWriteError, match="nowhere"):
        write(Page("t"), tmp_path / "nowhere" / "page.html")
