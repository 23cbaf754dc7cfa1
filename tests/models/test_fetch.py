"""Checkpoints by name from a server of this machine: whole or not at all, the same file ever after."""

import contextlib
import hashlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from audiomend.cli.app import run
from audiomend.errors import ModelError
from audiomend.models import fetch as fetching
from audiomend.models.card import read_card
from audiomend.models.fetch import cache, fetch
from audiomend.models.published import LAYOUTS
from audiomend.models.sources import SOURCES, Source, source_of

CONTENT = bytes(range(256)) * 20_000  # more than one piece
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """Gives `content` under every path, saying that it has `stated` bytes; counts what it was asked."""

    content: bytes = CONTENT
    status: int = 200
    stated: int | None = None
    asked: list[str] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    given = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.asked.append(self.path)
            self.send_response(given.status)
            if given.stated != 0:
                self.send_header("Content-Length", str(given.stated or len(given.content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever asked may have heard enough
                self.wfile.write(given.content)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        given.address = f"http://127.0.0.1:{running.server_address[1]}/weights.pt"
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield given
        running.shutdown()
        thread.join()


def source(server: Server, sha256: str | None = None) -> Source:
    return Source("mine", server.address, "sashimi", "free", sha256)


def held(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_comes_whole_and_is_trusted_the_first_time(server: Server, tmp_path: Path) -> None:
    shares: list[float] = []
    fetched = fetch(source(server), tmp_path / "new" / "place", progress=shares.append)
    assert fetched.path.read_bytes() == CONTENT
    assert (fetched.sha256, fetched.known, fetched.asked) == (SHA256, False, True)
    assert fetched.path == tmp_path / "new" / "place" / "mine.pt"
    assert held(tmp_path / "new" / "place") == ["mine.pt", "mine.sha256"]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx((1 << 20) / len(CONTENT))
    assert shares[-1] == 1


def test_what_is_here_already_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    fetch(source(server), tmp_path)
    again = fetch(source(server), tmp_path, offline=True)
    assert (again.sha256, again.known, again.asked) == (SHA256, True, False)
    assert server.asked == ["/weights.pt"]


def test_a_file_that_was_changed_here_is_fetched_again(server: Server, tmp_path: Path) -> None:
    path = fetch(source(server), tmp_path).path
    path.write_bytes(b"spoilt")
    again = fetch(source(server), tmp_path)
    assert (again.known, again.asked, path.read_bytes()) == (True, True, CONTENT)


def test_another_file_under_the_same_address_is_refused(server: Server, tmp_path: Path) -> None:
    """Both after the first was trusted and where the publisher states the hash; what stood there stands."""
    path = fetch(source(server), tmp_path).path
    path.write_bytes(b"spoilt")
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(ModelError, match=rf"not {SHA256}.*not kept"):
        fetch(source(server), tmp_path)
    assert path.read_bytes() == b"spoilt"
    with pytest.raises(ModelError, match=f"not {SHA256}"):
        fetch(source(server, SHA256), tmp_path / "empty")
    assert held(tmp_path / "empty") == []


def test_a_stated_hash_makes_the_first_file_known(server: Server, tmp_path: Path) -> None:
    fetched = fetch(source(server, SHA256), tmp_path)
    assert (fetched.sha256, fetched.known) == (SHA256, True)
    (tmp_path / "mine.sha256").write_text("0" * 64)  # what was kept before the publisher stated one
    assert not fetch(source(server, SHA256), tmp_path).asked


def test_a_server_that_does_not_say_how_much_there_is_will_do(server: Server, tmp_path: Path) -> None:
    server.stated = 0
    shares: list[float] = []
    assert fetch(source(server), tmp_path, progress=shares.append).sha256 == SHA256
    assert shares == []


def test_a_file_that_ends_early_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.stated = len(CONTENT) + 5
    with pytest.raises(ModelError, match=r"could not be fetched.*nothing was kept"):
        fetch(source(server), tmp_path)
    assert held(tmp_path) == []


def test_a_file_that_is_not_there_is_one_sentence(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(
        ModelError, match=r"mine could not be fetched from http.*Not Found.*import FILE --as sashimi"
    ):
        fetch(source(server), tmp_path)
    assert held(tmp_path) == []


def test_a_machine_that_does_not_answer_is_one_sentence(server: Server, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
    with pytest.raises(ModelError, match=r"could not be fetched.*refused"):
        fetch(replace(source(server), address=address), tmp_path)
    assert held(tmp_path) == []


@pytest.mark.parametrize("stated", [None, 0, 1001])
def test_more_than_any_checkpoint_has_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: int | None
) -> None:
    monkeypatch.setattr(fetching, "MOST_BYTES", 1000)
    server.stated = stated
    with pytest.raises(ModelError, match="more than 1,000 bytes"):
        fetch(source(server), tmp_path)
    assert held(tmp_path) == []
    server.content, server.stated = b"1", 1001
    with pytest.raises(ModelError, match="more than 1,000 bytes"):
        fetch(source(server), tmp_path)
    server.content, server.stated = b"1" * 1000, None
    assert fetch(source(server), tmp_path).path.stat().st_size == 1000


def test_offline_asks_nobody(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"--offline: mine is not on this machine.*was not asked"):
        fetch(source(server), tmp_path / "none", offline=True)
    assert server.asked == []
    assert not (tmp_path / "none").exists()


def test_a_kept_hash_that_cannot_be_read_is_not_passed_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.sha256").write_bytes(b"\xff")
    with pytest.raises(ModelError, match="cannot be read as a hash"):
        fetch(source(server), tmp_path)


def test_every_source_can_be_imported_and_says_where_it_is_from() -> None:
    assert list(SOURCES) == [source.name for source in SOURCES.values()]
    for known in SOURCES.values():
        assert source_of(known.name) is known
        assert known.layout in LAYOUTS
        assert known.address.startswith(("https://", "http://"))
        assert known.address.endswith(".pt")
        assert known.licence


def test_an_unknown_name_is_told_the_nearest_one() -> None:
    with pytest.raises(ModelError, match="Did you mean cqtdiff-plus-maestro"):
        source_of("cqtdif-plus-maestro")
    with pytest.raises(ModelError) as caught:
        source_of("xyz")
    assert "Did you mean" not in str(caught.value)


def test_files_are_kept_where_the_system_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache() == Path("/somewhere/audiomend/checkpoints")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache() == Path.home() / ".cache" / "audiomend" / "checkpoints"


def test_the_command_makes_a_model_and_says_what_it_trusted(
    server: Server,
    saved: Callable,
    read_json: Callable,
    loose: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, _ = saved("sashimi")
    server.content = path.read_bytes()
    monkeypatch.setitem(SOURCES, "mine", source(server))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert run(["models", "fetch", "mine"]) == 0
    told = capsys.readouterr().err
    sha256 = hashlib.sha256(server.content).hexdigest()
    assert sha256 in told
    assert "trusted, since it came first" in told
    assert "Licence: free." in told
    card = read_card(tmp_path / "mine")
    assert (card.name, card.architecture, card.weights_licence) == ("mine", "Sashimi", "free")
    assert run(["models", "fetch", "mine"]) == 2  # the folder exists
    assert "--force replaces it" in capsys.readouterr().err
    assert run(["models", "fetch", "mine", "--out", "again", "--json"]) == 0
    told = read_json(capsys.readouterr().out)
    assert loose(told) == {"card.arguments", "card.training_data"}
    assert told["checkpoint"]["sha256"] == sha256
    assert told["checkpoint"]["known"] is True
    assert told["folder"] == "again"
    assert server.asked == ["/weights.pt"]
