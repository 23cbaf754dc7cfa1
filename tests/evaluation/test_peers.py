"""Other programs: small Python scripts stand for them."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.evaluation.peers import Alignment, Peer, PeerError, align, parse_peer, run_peer

RATE = 8000


def clip_of(seconds: float = 1.0, channels: int = 2, seed: int = 1) -> Any:
    shape = (channels, round(seconds * RATE))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def script(body: str) -> Peer:
    """A program that has read its input as x (time, channels), rate and now does `body`."""
    code = f"import sys, soundfile, numpy\nx, rate = soundfile.read(sys.argv[1], always_2d=True)\n{body}"
    return Peer("script", (sys.executable, "-c", code, "{input}", "{output}"))


WRITE = "soundfile.write(sys.argv[2], {}, rate, subtype='FLOAT')"


def test_a_command_is_split_as_in_a_shell() -> None:
    peer = parse_peer("my peer=prog -i {input} -f 'a b' x={output}")
    assert peer == Peer("my peer", ("prog", "-i", "{input}", "-f", "a b", "x={output}"))


@pytest.mark.parametrize(
    "text", ["prog {input} {output}", "a=prog {input}", "a=prog {output}", "=p {input} {output}"]
)
def test_a_command_without_label_or_files_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="label=command"):
        parse_peer(text)


def test_a_peer_reads_and_writes_exact_floats() -> None:
    clip = clip_of() * 3  # beyond full scale
    output, cost, alignment = run_peer(script(WRITE.format("-x")), clip, RATE, 60.0)
    np.testing.assert_array_equal(output, -clip)
    assert alignment == Alignment(0, 0)
    assert cost.wall_s > 0
    assert cost.cpu_s > 0
    assert cost.peak_mib > 10


def test_no_shell_sees_the_command(tmp_path: Path) -> None:
    code = "import json, sys; json.dump(sys.argv[1:-2], open(sys.argv[-2] + '.arguments', 'w'))"
    marker = tmp_path / "made"
    peer = parse_peer(
        f"p={shlex.quote(sys.executable)} -c {shlex.quote(code)} '$HOME; touch {marker}' {{input}} {{output}}"
    )
    with pytest.raises(PeerError, match="no readable output"):
        run_peer(peer, clip_of(), RATE, 60.0)
    assert not marker.exists()
    assert json.dumps(peer.arguments[3]) == f'"$HOME; touch {marker}"'


def test_memory_is_that_of_the_program() -> None:
    small = run_peer(script(WRITE.format("x")), clip_of(), RATE, 60.0)[1]
    large = run_peer(script("y = bytearray(300 * 2**20)\n" + WRITE.format("x")), clip_of(), RATE, 60.0)[1]
    again = run_peer(script(WRITE.format("x")), clip_of(), RATE, 60.0)[1]
    assert large.peak_mib - small.peak_mib == pytest.approx(300, abs=30)
    assert again.peak_mib == pytest.approx(small.peak_mib, abs=30)


def test_a_constant_delay_and_another_length_are_undone_and_stated() -> None:
    clip = clip_of()
    late = script(WRITE.format("numpy.concatenate([numpy.zeros((37, 2)), x, numpy.zeros((5, 2))])"))
    output, _, alignment = run_peer(late, clip, RATE, 60.0)
    np.testing.assert_array_equal(output, clip)
    assert alignment == Alignment(delay=37, excess=42)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit('out of luck')", "code 1: out of luck"),
        ("pass", "no readable output"),
        ("open(sys.argv[2], 'w').write('no sound')", "no readable output"),
        (WRITE.format("x[:, :1]"), "1 channels at 8000 Hz, the input 2 at 8000"),
        ("rate = 16000\n" + WRITE.format("x"), "2 channels at 16000 Hz"),
        ("import time; time.sleep(60)", "stopped after 1 s"),
    ],
)
def test_what_a_peer_can_do_wrong(body: str, message: str) -> None:
    with pytest.raises(PeerError, match=message):
        run_peer(script(body), clip_of(), RATE, 1.0 if "sleep" in body else 60.0)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(PeerError, match="no-such-program cannot be started"):
        run_peer(parse_peer("a=no-such-program {input} {output}"), clip_of(), RATE, 60.0)


@pytest.mark.parametrize("delay", [-250, -1, 1, 3, 1999])
def test_a_delay_is_undone_with_zeros_at_the_end_that_is_missing(delay: int) -> None:
    clip = clip_of()
    output = np.roll(clip, delay, axis=1)
    aligned, alignment = align(clip, output, RATE)
    assert alignment == Alignment(delay, 0)
    inside = slice(max(0, -delay), 8000 - max(0, delay))
    np.testing.assert_array_equal(aligned[:, inside], clip[:, inside])
    assert not aligned[:, : max(0, -delay)].any()
    assert not aligned[:, 8000 - max(0, delay) :].any()


def test_a_delay_of_one_sample_is_seen_in_a_dull_signal() -> None:
    """Most energy at 100 Hz, where a sample is nothing: the whitening tells the delay."""
    clip = clip_of() * np.float32(1e-3) + np.sin(2 * np.pi * 100 / RATE * np.arange(8000)).astype(np.float32)
    assert align(clip, np.roll(clip, 1, axis=1), RATE)[1].delay == 1


def test_a_delay_that_drifts_is_refused() -> None:
    clip = clip_of()
    output = clip.copy()
    output[:, 4010:] = clip[:, 4000:-10]
    with pytest.raises(PeerError, match="not constant: 0 samples, later 10"):
        align(clip, output, RATE)


@pytest.mark.parametrize("output", [np.zeros((2, 8000), np.float32), clip_of(seed=9), clip_of()[:, :7000]])
def test_no_delay_is_made_up(output: Any) -> None:
    aligned, alignment = align(clip_of(), output, RATE)
    assert alignment == Alignment(0, output.shape[1] - 8000)
    np.testing.assert_array_equal(aligned[:, : output.shape[1]], output)
    assert not aligned[:, output.shape[1] :].any()
