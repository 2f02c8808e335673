"""Where a variant plays: a received folder, its user's own folders with a secret, and all that is watched of a run."""

import hashlib
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

SECRET = "kumquat-7f3a-secret"  # stands in the user's private files, and must be seen nowhere else
API_KEY = "sk-kumquat-api-key"
MOST_SECONDS = 60.0
MOST_MEMORY_MIB = 1536  # resident, of the command and of each process that it starts
_MOST_ADDRESSES = 8 * 2**30  # bytes of address space, of which torch maps some that it never touches
_ROOT = Path(__file__).parents[3]
_GUARD = "from evals.bench.hostile.guard import main; main()"


class Listener:
    """A port on this machine that nobody may call; it keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(0.5)
                try:
                    self.heard.append(caller.recv(65536))
                except OSError:
                    self.heard.append(b"")

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did: its exit code, its output, its peak of memory, and what the guard wrote down."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    memory_mib: float
    events: tuple[dict[str, object], ...]

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass
class Arena:
    """The folders of one variant. `room` came from others; all other folders are the user's own.

    `allowed` are addresses, as `host` or `host:port`, that the user named. `stops` end what the variant started.
    """

    root: Path
    listener: Listener
    ran: list[Ran] = field(default_factory=list)
    server: str = ""
    allowed: set[str] = field(default_factory=set)
    stops: list[Callable[[], None]] = field(default_factory=list)

    @property
    def room(self) -> Path:
        return self.root / "room"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def filled(self, word: str) -> str:
        """A word of a command with its places filled in."""
        for place, value in (("{room}", str(self.room)), ("{url}", self.listener.url), ("{server}", self.server)):
            word = word.replace(place, value)
        return word

    def fill(self) -> None:
        """Makes the folders, and what in them must stay as it is."""
        for folder in (self.room, self.home / ".ssh", self.home / "papers", self.root / "own"):
            folder.mkdir(parents=True)
        (self.home / ".ssh" / "id_rsa").write_text(f"{SECRET} of the user\n")
        (self.home / "papers" / "will.txt").write_text(f"The will of the user. {SECRET}\n")
        (self.home / "papers" / "1-2-deadbeef").mkdir()
        (self.home / "papers" / "1-2-deadbeef" / "rows.npy").write_text("a file with a name like one of ours")

    def environment(self) -> dict[str, str]:
        """The user's surroundings; nothing of this machine's own."""
        own = self.root / "own"
        return {
            # Without the user's own programs: pip asks a compiler of Rust for its version.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "FATHOM_HOME": str(own / "data"),
            "FATHOM_CACHE": str(own / "cache"),
            "XDG_CONFIG_HOME": str(own / "config"),
            "HF_HOME": str(own / "hub"),
            "TMPDIR": str(own),
            "FATHOM_ENGINE_API_KEY": API_KEY,
            "PYTHONPATH": str(_ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command: str, **more: str) -> Ran:
        """Runs `fathom` in the room and keeps what it did; `more` is added to its environment."""
        log = self.root / f"events-{len(self.ran)}"
        out, err = self.root / "stdout", self.root / "stderr"
        started = time.monotonic()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _GUARD, str(log), *command],
                cwd=self.room,
                env={**self.environment(), **more},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=_confine,
            )
            alarm = threading.Timer(MOST_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
            alarm.start()
            _, status, usage = os.wait4(process.pid, 0)  # its peak of memory counts those that it waited for
            alarm.cancel()
            process.returncode = code = os.waitstatus_to_exitcode(status)
        events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        text = [path.read_bytes().decode(errors="replace") for path in (out, err)]
        done = Ran(command, code, text[0], text[1], time.monotonic() - started, usage.ru_maxrss / 1024, tuple(events))
        self.ran.append(done)
        return done

    def state(self) -> dict[str, str]:
        """Every entry of the user's home: its kind, and a hash of its content or where it points."""
        return {str(path.relative_to(self.home)): _mark(path) for path in _below(self.home)}

    def leaked(self) -> list[str]:
        """Files outside of the home, and what was heard on the port, that hold the secret or the key."""
        wanted = (SECRET.encode(), API_KEY.encode())
        found = [
            str(path.relative_to(self.root))
            for folder in (self.room, self.root / "own")
            for path in _below(folder)
            if stat.S_ISREG(path.lstat().st_mode) and any(word in path.read_bytes() for word in wanted)
        ]
        return found + ["the port" for heard in self.listener.heard if any(word in heard for word in wanted)]


def _confine() -> None:
    """A bound on memory that the system holds, well over what is allowed, so that this machine lives."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**31, 2**31))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_ADDRESSES, _MOST_ADDRESSES))


def _below(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            yield Path(at, name)


def _mark(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(status.st_mode):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return "folder" if stat.S_ISDIR(status.st_mode) else "special"


def tampered(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Names of entries that are gone, new or changed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def foreign_calls(ran: Sequence[Ran], allowed: Set[str]) -> list[str]:
    """Addresses that were looked up or called, but for allowed ones as `host` or `host:port`."""
    found = []
    for event in (event for done in ran for event in done.events):
        what = event["what"]
        if event["event"] == "socket.connect" and isinstance(what, list) and len(what) >= 2:
            address = f"{what[0]}:{what[1]}"
        elif event["event"] == "socket.getaddrinfo" and isinstance(what, str):
            address = what
        else:
            continue
        if address not in allowed:
            found.append(address)
    return found


def foreign_programs(ran: Sequence[Ran]) -> list[str]:
    """Programs that were started, but for Python in its safe mode; and what a pickle asked for."""
    found = []
    for event in (event for done in ran for event in done.events):
        what = event["what"]
        if event["event"] == "pickle.find_class":
            found.append(f"a pickle of {what}")
        elif event["event"] not in ("socket.connect", "socket.getaddrinfo"):
            words = [str(word) for word in what] if isinstance(what, list) else [str(what)]
            if not (words[0] == sys.executable and "-P" in words):
                found.append(" ".join(words)[:120])
    return found
