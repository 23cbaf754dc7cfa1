"""A browser opens the page, plays its sounds in step, and reaches for nothing outside it."""

from pathlib import Path

import numpy as np
import pytest

from audiomend.report.page import Page, Region, Sound, write

RATE = 22_050
SECONDS = 10.0  # long enough that nothing ends while a busy machine is slow
# Every gain that a player makes is kept where the test can read it.
TAP = """
window.gains = [];
window.starts = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (...to) {
  if (this instanceof GainNode) gains.push(this);
  return connect.apply(this, to);
};
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  starts.push([when, offset, this.buffer.duration]);
  return start.call(this, when, offset);
};
"""
PLAYING = "document.querySelector('.listen').classList.contains('playing')"
POSITION = "Number(document.querySelector('.seek').value)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    time = np.arange(round(SECONDS * RATE)) / RATE
    sounds = [
        Sound(name, 0.2 * np.sin(2 * np.pi * hz * time) * np.ones((2, 1)), RATE)
        for name, hz in (("Clean", 440), ("<b>Damaged</b>", 550), ("Mended", 660))
    ]
    path = tmp_path_factory.mktemp("page") / "page.html"
    write(
        Page("A page", sounds=sounds, intervals=[Region(1, 1.2)], parts=[Page("B", sounds=sounds[1:])]), path
    )
    return path


@pytest.fixture
def page(browser, file: Path):
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=TAP)["identifier"]
    browser.open(file)
    yield browser
    assert browser.complaints() == []
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def play(page) -> None:
    page.run("document.querySelector('.play').click()")
    page.wait(f"{PLAYING} && {POSITION} > 0.05")


def test_the_page_asks_the_network_for_nothing(page) -> None:
    assert page.requests() == []
    assert page.run("document.querySelector('h3').textContent") == "Clean"


def test_the_policy_stops_what_a_name_might_smuggle_in(page) -> None:
    refused = page.run(
        "fetch('http://127.0.0.1:9/').then(() => 'went out', () => 'refused').then(async (answer) => {"
        " const script = document.createElement('script'); script.textContent = 'window.smuggled = 1';"
        " document.body.append(script); return answer + (window.smuggled ?? ''); })"
    )
    assert refused == "refused"
    assert page.requests() == []
    assert all("Content Security Policy" in complaint for complaint in page.complaints())
    page.events.clear()


def test_both_sounds_play(page) -> None:
    play(page)
    before, clock = page.run("[players[0].position(), performance.now() / 1000]")
    page.wait(f"{POSITION} > {before + 0.5}")
    after, later = page.run("[players[0].position(), performance.now() / 1000]")
    assert after - before == pytest.approx(later - clock, abs=0.3)
    assert page.run("gains.length") == 3
    starts = page.run("starts")
    assert len({(when, offset) for when, offset, _ in starts}) == 1  # all in step
    assert [duration for *_, duration in starts] == pytest.approx([SECONDS] * 3, abs=1e-3)


def test_a_key_switches_at_once_and_keeps_the_place(page) -> None:
    play(page)
    assert page.run("gains.map((node) => node.gain.value)") == [1, 0, 0]
    before = page.run(POSITION)
    page.press("2")
    page.wait("gains[1].gain.value > 0.99 && gains[0].gain.value < 0.01")
    assert page.run("starts.length") == 3  # the same voices go on
    page.wait(f"{POSITION} > {before}")  # the slider follows a frame of the screen later
    assert page.run("[...document.querySelectorAll('.pick')].map((e) => e.ariaPressed)")[:3] == [
        "false",
        "true",
        "false",
    ]


def test_space_pauses_and_the_place_stays(page) -> None:
    play(page)
    page.press(" ")
    page.wait(f"!{PLAYING}")
    place = page.run(POSITION)
    assert page.run(f"new Promise((done) => setTimeout(() => done({POSITION}), 150))") == place
    page.press(" ")
    page.wait(f"{PLAYING} && {POSITION} > {place}")
    assert page.run("starts.at(-1)[1]") == pytest.approx(place, abs=0.01)


def test_the_sound_ends_and_returns_to_its_beginning(page) -> None:
    page.run(
        "(() => { const seek = document.querySelector('.seek'); seek.value = 9.7;"
        " seek.dispatchEvent(new Event('input')); })()"
    )
    page.run("document.querySelector('.play').click()")
    page.wait(PLAYING)
    assert page.run("starts[0][1]") == pytest.approx(9.7, abs=0.01)
    page.wait(f"!{PLAYING} && {POSITION} === 0")


def test_one_player_plays_at_a_time(page) -> None:
    play(page)
    page.run("document.querySelectorAll('.play')[1].click()")
    page.wait("document.querySelectorAll('.listen')[1].classList.contains('playing')")
    page.wait(f"!{PLAYING}")


def test_a_click_on_a_picture_moves_the_playhead(page) -> None:
    page.run(
        "(() => { const p = document.querySelectorAll('.picture')[1]; const b = p.getBoundingClientRect();"
        " p.dispatchEvent(new MouseEvent('click', { clientX: b.left + b.width / 2, bubbles: true })); })()"
    )
    assert page.run(POSITION) == pytest.approx(SECONDS / 2, abs=0.02)
    heads = page.run(
        "[...document.querySelector('.listen').querySelectorAll('.playhead')]"
        ".map((line) => parseFloat(line.getAttribute('x1')))"
    )
    assert heads == pytest.approx([50] * 3, abs=0.5)


def test_without_the_player_each_sound_plays_by_itself(page) -> None:
    for index in range(2):
        page.run(f"document.querySelectorAll('audio')[{index}].play()")
        page.wait(f"document.querySelectorAll('audio')[{index}].currentTime > 0.1")


def test_the_page_fits_a_narrow_screen(page) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=1, mobile=False)
    overhang = page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.call("Emulation.clearDeviceMetricsOverride")
    assert overhang <= 0


@pytest.mark.parametrize("count", [1, 4, 5])
def test_facts_leave_no_hole(browser, tmp_path: Path, count: int) -> None:
    """Where two stand side by side, every row ends where the grid does."""
    path = tmp_path / "page.html"
    write(Page("A page", facts={f"Fact {number}": "so" for number in range(count)}), path)
    browser.open(path)
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False
    )
    ends = browser.run(
        """(() => {
          const facts = [...document.querySelectorAll('.facts div')], ends = {};
          for (const fact of facts) {
            const box = fact.getBoundingClientRect();
            ends[box.top] = Math.max(ends[box.top] || 0, box.right);
          }
          const grid = document.querySelector('.facts').getBoundingClientRect();
          return Object.values(ends).map(end => grid.right - end);
        })()"""
    )
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert ends == [0] * ((count + 1) // 2)
