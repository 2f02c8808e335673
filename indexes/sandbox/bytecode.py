"""Compiled modules for loader processes, which cannot write them once they are confined; made before, where missing."""

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import cache_from_source, find_spec
from pathlib import Path

# What loaders import when a file needs it. Some installers leave packages uncompiled until they are first used.
_LIBRARIES = (
    *("charset_normalizer", "docx", "docx.document", "lxml.etree", "lxml.html", "openpyxl", "pptx"),
    *("pypdfium2", "pypdfium2.raw", "striprtf.striprtf"),
)
_PACKAGES = ("loaders", "sandbox")
_HEADER = struct.Struct("<4sIII")  # magic number, flags, modification time and size of the source (PEP 552)


def compile_missing() -> None:
    """Imports what was never compiled, in a child, so that this process stays as small as it is; waits for it."""
    if sys.dont_write_bytecode or not (missing := [*_own(), *_libraries()]):
        return
    if not (child := os.fork()):
        for name in missing:
            with suppress(BaseException):
                import_module(name)
        os._exit(0)
    os.waitpid(child, 0)


def _own() -> Iterator[str]:
    room = Path(__file__).parents[1]
    for source in (path for name in _PACKAGES for path in (room / name).rglob("*.py")):
        if _is_missing(str(source)):
            yield ".".join(source.relative_to(room.parent).with_suffix("").parts).removesuffix(".__init__")


def _libraries() -> Iterator[str]:
    for package in dict.fromkeys(name.partition(".")[0] for name in _LIBRARIES):
        spec = find_spec(package)
        if spec and spec.origin and spec.origin.endswith(".py") and _is_missing(spec.origin):
            yield from (name for name in _LIBRARIES if name.partition(".")[0] == package)


def _is_missing(source: str) -> bool:
    """Whether a module has no compiled form that Python would take, and one can be written."""
    compiled = Path(cache_from_source(source))
    try:
        with compiled.open("rb") as stream:
            _, flags, seconds, size = _HEADER.unpack(stream.read(_HEADER.size))
        status = os.stat(source)  # noqa: PTH116 - for each module, where a Path is slow to make
    except (OSError, struct.error):
        present = next(path for path in compiled.parents if path.exists())
        return os.access(present, os.W_OK)
    stale = (seconds, size) != (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return stale and not flags and os.access(compiled.parent, os.W_OK)
