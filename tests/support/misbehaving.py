"""A loader process whose loader does what a file says, run as a program: what libraries do at their worst."""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexes.documents import Heading, LoadedDocument
from indexes.errors import LoadError, UnsupportedError
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.worker import serve

if TYPE_CHECKING:
    from indexes.sandbox.pool import Outcome

COMMAND = (sys.executable, "-P", str(Path(__file__)))
WITH_CHILD = (*COMMAND, "with-child")  # which it starts before it is confined

TIGHT = LoadLimits(max_seconds=2.0, max_memory_mib=256, max_characters=5_000_000)

_kept: list[bytearray] = []
_poisoned = False
_child: subprocess.Popen[bytes] | None = None


def load(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The first word of the file is what to do, the rest with what; any other text is the document."""
    global _poisoned
    content = path.read_text(encoding="utf-8")
    if _poisoned:
        _die_of(signal.SIGSEGV)
    word, _, rest = content.partition(" ")
    match word:
        case "sleep":
            time.sleep(float(rest))
        case "spin":
            while True:
                pass
        case "ignore-signals":
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
        case "allocate":
            return _document(str(len(bytearray(int(rest)))))
        case "wrap-allocate":
            try:
                bytearray(int(rest))
            except MemoryError as error:
                raise LoadError("is truncated or damaged") from error
        case "keep":
            _kept.append(bytearray(b"x") * int(rest))
        case "recurse":
            return load(path, limits)
        case "crash":
            ctypes.string_at(0)
        case "signal":
            _die_of(int(rest))
        case "exit":
            os._exit(int(rest))
        case "poison":
            _poisoned = True
        case "print":
            sys.stdout.write("x" * int(rest))
            sys.stderr.write("y" * int(rest))
            os.write(1, b"\x00" * 100)
        case "answer":
            os.write(int(sys.argv[-1]), bytes.fromhex(rest))
            time.sleep(600)
        case "dribble":
            os.write(int(sys.argv[-1]), b"\x00")
            time.sleep(600)
        case "long":
            return _document("long " * int(rest))
        case "headings":
            return LoadedDocument("text", "many", "x\n", headings=(Heading(1, "y" * 1000, 0),) * int(rest))
        case "beyond":
            return LoadedDocument("text", "title", "short", headings=(Heading(1, "title", 5000),))
        case "surrogate":
            return _document("lone \ud800 surrogate")
        case "write":
            scratch = Path(tempfile.gettempdir(), "scratch")
            scratch.write_bytes(bytes(int(rest)))
            return _document(str(scratch))
        case "child" if _child:
            return _document(str(_child.pid))
        case "quit":
            raise SystemExit(3)
        case "refuse":
            raise UnsupportedError(rest)
        case "fail":
            raise LoadError(rest)
        case "about":
            return _document(json.dumps(_about()))
    return _document(content)


def _document(text: str) -> LoadedDocument:
    return LoadedDocument("text", "title", text)


def _die_of(number: int) -> None:
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(600)


def _about() -> dict[str, object]:
    umask = os.umask(0)
    os.umask(umask)
    return {
        "umask": umask,
        "pid": os.getpid(),
        "variables": dict(os.environ),
        "folder": str(Path.cwd()),
        "safe_path": sys.flags.safe_path,
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "own_session": os.getsid(0) == os.getpid(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def written(folder: Path, *contents: str) -> list[Path]:
    """Files of these contents, in their order."""
    paths = [folder / f"{number:04}.txt" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content, encoding="utf-8")
    return paths


def about(outcome: "Outcome") -> dict[str, Any]:
    """What a process that was asked "about" said of itself."""
    assert outcome.document, outcome.reason
    answer = json.loads(outcome.document.text)
    assert isinstance(answer, dict)
    return answer


if __name__ == "__main__":
    if "with-child" in sys.argv:
        _child = subprocess.Popen(["sleep", "600"])
    serve(load)
