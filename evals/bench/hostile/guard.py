"""Runs `fathom` with a hook that writes down whom it calls and what it starts: one JSON line an event.

python -P -c "from evals.bench.hostile.guard import main; main()" LOG COMMAND…
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

_EVENTS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "socket.connect": lambda arguments: arguments[1],
    "socket.getaddrinfo": lambda arguments: arguments[0],
    "subprocess.Popen": lambda arguments: arguments[1],
    "os.system": lambda arguments: arguments[0],
    "os.exec": lambda arguments: arguments[1],
    "os.posix_spawn": lambda arguments: arguments[1],
    "pickle.find_class": lambda arguments: ".".join(map(str, arguments)),
}


def watch(log: int) -> None:
    """Writes every such event of this process to a descriptor; its children are not watched."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (detail := _EVENTS.get(event)) is not None:
            os.write(log, (json.dumps({"event": event, "what": detail(arguments)}, default=str) + "\n").encode())

    sys.addaudithook(hook)


def main() -> None:
    """The command line of `fathom`, watched."""
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.argv = ["fathom", *sys.argv[2:]]
    watch(log)
    from pipeline.__main__ import main as fathom

    fathom()
