"""--offline refuses every connection of the process, and mending needs none."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ASKING = {
    "look-up": "socket.getaddrinfo('localhost', 80)",
    "name": "socket.gethostbyname('localhost')",
    "connection": "socket.create_connection(('127.0.0.1', 9))",
    "IPv6": "socket.socket(socket.AF_INET6).connect(('::1', 9))",
    "datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
}


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_the_network_is_refused(asking: str) -> None:
    done = run(f"import socket; from audiomend.cli.offline import forbid_network; forbid_network(); {asking}")
    assert done.returncode == 1
    assert "audiomend.errors.AudiomendError: --offline: the network was asked for" in done.stderr


def test_processes_of_one_machine_may_talk() -> None:
    done = run(
        "import socket; from audiomend.cli.offline import forbid_network; forbid_network()\n"
        "a, b = socket.socketpair(); a.sendall(b'x'); print(b.recv(1))\n"
        "a.sendmsg([b'y']); print(b.recv(1))"
    )
    assert done.stdout.split() == ["b'x'", "b'y'"]


def test_no_module_asks_for_the_network_when_it_is_imported() -> None:
    done = run(
        "from audiomend.cli.offline import forbid_network; forbid_network()\n"
        "import importlib, pkgutil, audiomend\n"
        "for module in pkgutil.walk_packages(audiomend.__path__, 'audiomend.'):\n"
        "    importlib.import_module(module.name)"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_library_is_imported_in_a_second_without_torch() -> None:
    done = run(
        "import audiomend, resource, sys\n"
        "use = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print('torch' in sys.modules, use.ru_utime + use.ru_stime < 1.0)"
    )
    assert done.stdout.split() == ["False", "True"]


CUT_OFF = ("unshare", "--map-root-user", "--net")


def can_be_cut_off() -> bool:
    """Whether this machine lets a user start a process without any network."""
    return (
        shutil.which("unshare") is not None and not subprocess.run([*CUT_OFF, "true"], check=False).returncode
    )


NEEDS_NAMESPACE = pytest.mark.skipif("not can_be_cut_off()", reason="needs a network namespace of its own")


@pytest.mark.parametrize(
    "prefix", [(), pytest.param(CUT_OFF, marks=NEEDS_NAMESPACE)], ids=["usual", "cut off"]
)
def test_mending_needs_no_network(
    write: Callable[..., Path], tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    source = write("in.wav", np.clip(np.random.default_rng(0).standard_normal(2000) * 0.3, -0.4, 0.4))
    target = tmp_path / "out.wav"
    options = ("--offline", "--clip-level", "0.4", "--model", "wiener", "--steps", "2")
    program = [*prefix, sys.executable, "-m", "audiomend.cli.main"]
    command = [*program, "declip", str(source), str(target), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert target.exists()
