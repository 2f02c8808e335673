"""The command among pipes, closed streams, interrupts, and documents that would drive the terminal."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExitCode
from tests.support.commands import FAKE, FATHOM, indexed, ok, process, told
from tests.support.files import write
from tests.support.questions import QUESTION

ESCAPES = (b"\x1b", b"\x07", b"\x9b", b"\xc2\x9b")
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m"


def test_no_document_reaches_the_terminal_with_its_escapes(room: Path) -> None:
    name = f"a{HOSTILE}.md"
    write(
        room / "docs",
        {name: f"# Okapi {HOSTILE}\n\nThe okapi {HOSTILE} eats 12 leaves.{HOSTILE}\n", f"{name}.pdf": b""},
    )
    outputs = [
        process("index", "docs"),
        process("search", "okapi"),
        process("search", "okapi", "--json"),
        process("ask", "What does the okapi eat?", "--explain", *FAKE),
        process("ask", "What does the okapi eat?", "--json", *FAKE),
        process("status"),
        process("ask", f"okapi {HOSTILE}", "--engine", f"http://{HOSTILE}"),
    ]
    assert [done.returncode for done in outputs] == [4, 0, 0, 0, 0, 0, 2]
    for done in outputs:
        assert not [code for code in ESCAPES if code in done.stdout + done.stderr]
        assert b"Traceback" not in done.stderr
    assert json.loads(outputs[4].stdout)["status"] == "answered"


# Pipes and interrupts


@pytest.fixture
def many(room: Path) -> Path:
    """The room with more hits than a pipe holds."""
    text = "".join(f"# Fee {n}\n\n{f'The fee of fund {n} is due. ' * 30}\n\n" for n in range(400))
    write(room / "docs", {"fees.md": text})
    ok("index", "docs")
    return room


def test_a_reader_that_leaves_early_ends_the_command_quietly(many: Path) -> None:
    with subprocess.Popen(
        [*FATHOM, "search", "fee", "-k", "400"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", ExitCode.ERROR)
    assert first.startswith(b" 1. fees.md")


def test_a_shell_pipe_into_head_shows_one_line(many: Path) -> None:
    command = f"{sys.executable} -m pipeline search fee -k 400 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("redirect", "says"), [(">&-", "stdout is closed"), (">/dev/full", "No space left"), ("2>&-", ""), ("<&-", "")]
)
def test_streams_that_are_closed_or_full_cause_no_traceback(room: Path, redirect: str, says: str) -> None:
    command = f"{sys.executable} -m pipeline ask Marrowbay --engine fake:// {redirect}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == (ExitCode.ERROR if says else ExitCode.ANSWERED)
    if says:
        assert says in told(done.stderr)[0]


def test_letters_that_the_terminal_lacks_are_no_error(room: Path) -> None:
    write(room / "docs", {"e.md": "# É\n\nThe okapi costs €5 – “cheap”.\n"})
    ok("index", "docs")
    done = process("search", "okapi", env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"costs ?5" in done.stdout


class Stuck(ThreadingHTTPServer):
    """A server that knows its model and never answers a request for `stuck_at`; `reached` is set when one came."""

    daemon_threads = True

    def __init__(self, stuck_at: str) -> None:
        self.stuck_at = stuck_at
        self.reached, self.over = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), StuckHandler)


class StuckHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._reply({"data": [{"id": "m", "max_model_len": 8192}]} if self.path == "/v1/models" else {})

    def do_POST(self) -> None:
        self._reply({"count": 10} if self.path == "/tokenize" else {})

    def _reply(self, content: Any) -> None:
        assert isinstance(self.server, Stuck)
        if self.path == self.server.stuck_at:
            self.server.reached.set()
            self.server.over.wait(60)
            return
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.mark.parametrize("stuck_at", ["/v1/models", "/v1/chat/completions"])
def test_ctrl_c_ends_a_question_with_one_line(room: Path, stuck_at: str) -> None:
    before = indexed(room)
    server = Stuck(stuck_at)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    command: Sequence[str] = [*FATHOM, "ask", QUESTION, "--engine", f"http://127.0.0.1:{server.server_port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert server.reached.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, "")
    assert err.splitlines()[-1] == "fathom: interrupted; what was done is kept"
    assert all(line.startswith("… ") for line in err.splitlines()[:-1])
    assert indexed(room) == before
