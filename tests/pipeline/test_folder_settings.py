"""A `fathom.toml` that came with documents: what it may set, what is left out, and how its user trusts it."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import EngineError
from engine.remote import API_KEY, RemoteEngine
from indexes.files.home import home_folder
from pipeline.config import FILE, Config, flat, load
from pipeline.engines import engine_source
from pipeline.errors import ConfigError, ExitCode
from pipeline.folder_settings import VERDICTS, read_folder_file, revoke, trust, trusted_files
from tests.support.commands import ok, run

WANTS = """
[engine]
url = "http://user:kumquat@127.0.0.1:9"
model = "evil/model"
temperature = 0.5
timeout_s = 1e9
[index]
embedding = "evil/embedding"
ocr = true
max_pages = 1000000
max_file_mib = 1
[retrieval]
reranker = "evil/reranker"
chunks = 5
[router]
time_limit_s = 0
route = "chunked"
"""


class Listener:
    """A port that keeps what it hears and answers 401 with what it heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            with caller:
                self.heard.append(caller.recv(65536))
                body = self.heard[-1]
                caller.sendall(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A received folder with a document, as the current one."""
    received = tmp_path / "received"
    received.mkdir()
    (received / "a.txt").write_text("The cap is 1 million euros.\n")
    monkeypatch.chdir(received)
    return received


def _file(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder / FILE


def test_every_setting_has_a_verdict_and_no_verdict_lacks_a_setting() -> None:
    assert VERDICTS.keys() == flat(Config().model_dump()).keys()


def test_an_untrusted_file_names_nothing_and_raises_no_limit(folder: Path) -> None:
    _file(folder, WANTS)
    loaded = load(folder, environ={})
    config, default = loaded.config, Config()
    assert (config.engine.url, config.engine.model, config.index.embedding, config.index.ocr) == (
        None,
        None,
        None,
        False,
    )
    assert config.retrieval.reranker is None
    assert config.index.max_pages == default.index.max_pages
    assert config.router.time_limit_s == default.router.time_limit_s
    assert config.engine.timeout_s == default.engine.timeout_s
    assert (config.engine.temperature, config.index.max_file_mib, config.retrieval.chunks) == (0.5, 1, 5)
    assert config.router.route == "chunked"
    assert set(loaded.left_out) == {
        "engine.url", "engine.model", "engine.timeout_s", "index.embedding", "index.ocr", "index.max_pages",
        "retrieval.reranker", "router.time_limit_s",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("own", "theirs", "taken"),
    [
        ("time_limit_s = 0", "time_limit_s = 600", 600.0),  # the user has no limit, so any lowers it
        ("time_limit_s = 10", "time_limit_s = 20", 10.0),
        ("time_limit_s = 10", "time_limit_s = 5", 5.0),
        ("time_limit_s = 10", "time_limit_s = 0", 10.0),
    ],
)
def test_a_limit_is_only_lowered_below_the_users_own(
    folder: Path, tmp_path: Path, own: str, theirs: str, taken: float
) -> None:
    user = tmp_path / "user.toml"
    user.write_text(f"[router]\n{own}\n")
    _file(folder, f"[router]\n{theirs}\n")
    assert load(folder, environ={}, user_file=user).config.router.time_limit_s == taken


def test_a_trusted_file_counts_whole_until_it_changes_or_is_revoked(folder: Path) -> None:
    path = _file(folder, '[engine]\nmodel = "./model"\n')
    trust(read_folder_file(path))
    assert load(folder, environ={}).config.engine.model == "./model"
    _file(folder, '[engine]\nmodel = "./other"\n')
    assert load(folder, environ={}).config.engine.model is None
    trust(read_folder_file(path))
    assert load(folder, environ={}).config.engine.model == "./other"
    assert revoke(path)
    assert not revoke(path)
    assert load(folder, environ={}).config.engine.model is None
    assert trusted_files() == {}


def test_trust_holds_for_a_place_and_not_for_a_copy(folder: Path, tmp_path: Path) -> None:
    text = '[engine]\nmodel = "./model"\n'
    trust(read_folder_file(_file(folder, text)))
    other = tmp_path / "other"
    other.mkdir()
    _file(other, text)
    assert load(other, environ={}).config.engine.model is None


def test_what_is_trusted_can_be_read_by_its_user_alone(folder: Path) -> None:
    trust(read_folder_file(_file(folder, "")))
    [path] = home_folder().iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_read_and_nothing_of_what_it_points_to_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private.env").write_text('PASSWORD = "kumquat"\nkumquat = [\n')
    (folder / FILE).symlink_to(tmp_path / "private.env")
    assert load(folder, environ={}).config == Config()
    done = run("index", "a.txt", "--embedding", "none")
    assert done.exit_code == 0
    assert "is a link" in done.stderr
    assert "kumquat" not in done.output
    done = run("trust", "--yes")
    assert done.exit_code == ExitCode.USAGE
    assert "kumquat" not in done.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = " + b"[" * 30_000, "nested too deeply"),
        (b"x" * (2**16 + 1), "more than 64 KiB"),
        (b"a." * 30_000 + b"a = 1", "over 100 dots"),
        (b"[index]\nmax_pages = " + b"9" * 10_000, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'[index]\n"\\u001b[2J\\u202e" = 1\n', "unknown setting"),
    ],
)
def test_a_broken_file_is_one_line_that_names_it(folder: Path, content: bytes, said: str) -> None:
    (folder / FILE).write_bytes(content)
    done = run("search", "cap")
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr
    assert FILE in done.stderr
    assert len(done.stderr) < 1000
    assert not set(done.stderr) & {"\x1b", "\u202e"}


def test_a_pipe_named_like_the_file_is_no_settings_file(folder: Path) -> None:
    os.mkfifo(folder / FILE)
    assert load(folder, environ={}).file is None


def test_no_command_calls_an_engine_that_nobody_trusted(
    folder: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY, "sk-kumquat")
    _file(folder, f'[engine]\nurl = "{listener.url}"\n')
    for command in (
        ("index", ".", "--embedding", "none"),
        ("search", "cap"),
        ("status",),
        ("doctor", "--json"),
        ("ask", "What is the cap?", "--dry-run", "--json"),
        ("ask", "What is the cap?"),
        ("models", "pull", "./nowhere.gguf"),
        ("remove", "a.txt"),
    ):
        done = run(*command)
        assert "engine.url left out" in done.stderr or command[0] != "ask", done.stderr
    assert listener.heard == []


def test_the_key_does_not_go_to_an_address_of_a_trusted_file(
    folder: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY, "sk-kumquat")
    trust(read_folder_file(_file(folder, f'[engine]\nurl = "{listener.url}"\n')))
    settings = load(folder, environ={}).config.engine
    assert not settings.sends_key
    with pytest.raises(EngineError, match="answered 401") as caught:
        engine_source(settings)
    assert "goes only to a server that you name yourself" in caught.value.hint
    assert listener.heard
    assert not any(b"sk-kumquat" in heard for heard in listener.heard)


@pytest.mark.parametrize("source", ["flag", "environment", "user file"])
def test_the_key_goes_to_an_address_of_the_users_own(
    folder: Path, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv(API_KEY, "sk-kumquat")
    user = tmp_path / "user.toml"
    user.write_text(f'[engine]\nurl = "{listener.url}"\n' if source == "user file" else "")
    flags = {"engine.url": listener.url} if source == "flag" else {}
    environ = {"FATHOM_ENGINE_URL": listener.url} if source == "environment" else {}
    with pytest.raises(EngineError, match="answered 401") as caught:
        engine_source(load(folder, flags, environ, user).config.engine)
    assert any(b"Bearer sk-kumquat" in heard for heard in listener.heard)
    assert "sk-kumquat" not in str(caught.value)  # which the server sent back
    assert "***" in str(caught.value)


def test_a_password_goes_to_its_host_and_is_shown_nowhere(listener: Listener) -> None:
    url = listener.url.replace("http://", "http://user:kumquat@")
    with pytest.raises(EngineError) as caught:
        RemoteEngine(url)
    assert any(b"Authorization: Basic" in heard for heard in listener.heard)
    assert "kumquat" not in str(caught.value) + caught.value.hint
    assert "http://user:***@127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://u:kumquat@h h", "http://u:kumquat@h?x", "ftp://u:kumquat@h", "http://h?k=kumquat"]
)
def test_a_wrong_address_is_told_without_its_password(folder: Path, url: str) -> None:
    done = run("doctor", "--engine", url, "--json")
    assert done.exit_code == ExitCode.USAGE
    assert "kumquat" not in done.output


def test_what_is_left_out_is_said_each_time_and_what_counts_once(folder: Path) -> None:
    _file(folder, WANTS)
    first, second = run("index", ".", "--embedding", "none"), run("search", "cap")
    for done in (first, second):
        assert "is not trusted: engine.url, engine.model, engine.timeout_s" in done.stderr
        assert "fathom trust" in done.stderr
        assert "kumquat" not in done.output
    assert "engine.temperature = 0.5" in first.stderr
    assert "engine.temperature = 0.5" not in second.stderr


def test_trust_shows_what_it_accepts_and_asks(folder: Path) -> None:
    _file(folder, WANTS)
    done = run("trust")
    assert done.exit_code == ExitCode.USAGE
    assert "--yes" in done.stderr
    assert trusted_files() == {}
    said = ok("trust", "--yes")
    assert "engine.url = http://user:***@127.0.0.1:9" in said
    assert "kumquat" not in said
    assert list(trusted_files()) == [str(folder.resolve() / FILE)]
    assert json.loads(ok("trust", "--list", "--json"))["settings"] == [str(folder.resolve() / FILE)]
    assert "trusted" in ok("doctor", "--engine", "fake://")
    ok("trust", "--revoke", FILE)
    assert trusted_files() == {}
    assert run("trust", "--revoke", FILE).exit_code == ExitCode.USAGE


def test_a_collection_is_trusted_by_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_HOME", str(folder.parent / "sender"))
    ok("index", "a.txt", "--embedding", "none")
    monkeypatch.setenv("FATHOM_HOME", str(folder.parent / "user"))
    refused = run("search", "cap")
    assert refused.exit_code == ExitCode.ERROR
    assert "fathom trust" in refused.stderr
    assert "--rebuild" in refused.stderr
    said = json.loads(ok("trust", "--yes", "--json", "."))
    assert said["collection"]["documents"] == 1
    assert "1 million" in ok("search", "cap")
    assert json.loads(ok("trust", "--list", "--json"))["collections"]
    ok("trust", "--revoke", ".")
    assert run("search", "cap").exit_code == ExitCode.ERROR


def test_there_must_be_something_to_trust(folder: Path) -> None:
    for command in (("trust", "--yes"), ("trust", "--yes", "nowhere"), ("trust", "--yes", "a.txt")):
        assert run(*command).exit_code == ExitCode.USAGE
    with pytest.raises(ConfigError):
        read_folder_file(folder / FILE)
