"""A model's chat template as its parent sees it: rendered by another process, which is ended when late or too big."""

import json
import os
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import ModelDamagedError
from ..surroundings import PYTHON, child_environment
from . import template_process

SECONDS = 10.0
MEMORY_BYTES = 512 * 2**20
START_SECONDS = 60.0  # for the process to start, on a busy machine
# A template repeats no message, so that a prompt beyond this is not made of them.
_GROWTH = 4
_ROOM_BYTES = 2**20
_PIECE_BYTES = 2**20
_HINT = "use another model, or correct its chat template"


class ChatTemplate:
    """The template of the model in `folder`. Its process starts with the first prompt and lives as long as this."""

    def __init__(self, template: str, folder: Path, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._template = template
        self._folder = folder
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text of a prompt. Raises ModelDamagedError where the template fails, is late or writes too much."""
        try:
            process = self._process or self._start()
            request = json.dumps(variables).encode()
            deadline = time.monotonic() + self._seconds
            _write(process, request, deadline)
            answer = json.loads(_read(process, _GROWTH * len(request) + _ROOM_BYTES, deadline))
        except _TemplateError as failure:
            self.close()
            raise self._failed(str(failure)) from failure
        if "error" in answer:
            raise self._failed(" ".join(str(answer["error"]).split()))
        return str(answer["text"])

    def close(self) -> None:
        """Ends the process; a further prompt starts another one."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [*PYTHON, template_process.__file__],
            cwd="/",
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the parent's
        )
        weakref.finalize(self, _end, process)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        settings = {
            "template": self._template,
            "memory_bytes": self._memory_bytes,
            "cpu_seconds": self._seconds,
        }
        self._process = process
        deadline = time.monotonic() + START_SECONDS
        _write(process, json.dumps(settings).encode(), deadline)
        _read(process, _ROOM_BYTES, deadline)
        return process

    def _failed(self, reason: str) -> ModelDamagedError:
        return ModelDamagedError(f"the chat template of the model in {self._folder} cannot be used: {reason}", _HINT)


class _TemplateError(Exception):
    """The process is late, ended, or writes too much; the message is the reason."""


def _write(process: "subprocess.Popen[bytes]", content: bytes, deadline: float) -> None:
    assert process.stdin is not None
    left = memoryview(len(content).to_bytes(template_process.HEAD_BYTES, "big") + content)
    while left:
        _wait(process, deadline, writing=True)
        try:
            left = left[os.write(process.stdin.fileno(), left[:_PIECE_BYTES]) :]
        except BrokenPipeError:
            raise _ended(process) from None


def _read(process: "subprocess.Popen[bytes]", most: int, deadline: float) -> bytes:
    length = int.from_bytes(_take(process, template_process.HEAD_BYTES, deadline), "big")
    if length > most:
        raise _TemplateError(f"it makes a prompt of more than {_GROWTH} times what it is given")
    return _take(process, length, deadline)


def _take(process: "subprocess.Popen[bytes]", length: int, deadline: float) -> bytes:
    assert process.stdout is not None
    content = bytearray()
    while len(content) < length:
        _wait(process, deadline, writing=False)
        piece = os.read(process.stdout.fileno(), min(_PIECE_BYTES, length - len(content)))
        if not piece:
            raise _ended(process)
        content += piece
    return bytes(content)


def _wait(process: "subprocess.Popen[bytes]", deadline: float, writing: bool) -> None:
    pipe = process.stdin if writing else process.stdout
    assert pipe is not None
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_WRITE if writing else selectors.EVENT_READ)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise _TemplateError("it takes too long")


def _ended(process: "subprocess.Popen[bytes]") -> _TemplateError:
    code = process.wait()
    if -code == getattr(signal, "SIGXCPU", None):
        return _TemplateError("it takes too long")
    return _TemplateError(f"its process ended with exit code {code}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
