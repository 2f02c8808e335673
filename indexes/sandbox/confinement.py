"""What a loader process gives up before its first file: other files, network, programs; as far as the system helps.

What it keeps: reading Python, its packages and system libraries; writing in its scratch folder; descriptors that are
open. Documents come to it as open files, so that not even the user's folders are readable.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[2]
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"),
    *(f"/etc/{name}" for name in "ld.so.cache ld.so.preload localtime timezone fonts mime.types passwd".split()),
    *("/etc/nsswitch.conf", "/etc/ssl/openssl.cnf", "/etc/alternatives"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm/overcommit_memory"),
    *("/sys/devices/system", "/dev/urandom", "/dev/random", "/dev/zero"),
)


@dataclass(frozen=True, slots=True)
class Confinement:
    """What keeps a loader process from files and network: the ABI of Landlock, 0 without; whether calls are filtered.

    `reason` says why what is missing is missing.
    """

    landlock: int = 0
    filtered: bool = False
    reason: str = ""

    def __str__(self) -> str:
        if self.landlock and self.filtered:
            return f"Landlock ABI {self.landlock} and a filter of system calls"
        if self.landlock:
            return f"Landlock ABI {self.landlock}, without a filter of system calls: {self.reason}"
        return f"{self.reason}{'; system calls are filtered' if self.filtered else ''}"


def confine(scratch: str) -> Confinement:
    """Confines this process for good, as far as the system lets it; raises nothing. No thread may run yet."""
    if sys.platform != "linux":
        return Confinement(reason=f"there is no Landlock on {sys.platform}")
    from . import landlock, seccomp
    from .bytecode import compile_missing

    with suppress(OSError):
        compile_missing()
    reasons = []
    abi, filtered = 0, False
    try:
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - the names alone, which a Path would wrap
            raise OSError("other threads run already")
        if linked := _linked_package():
            raise OSError(f"Python's packages are links, such as {linked}")
        abi = landlock.restrict(_readable(), (scratch, "/dev/null"))
    except Exception as error:  # whatever it is, files are read
        reasons.append(f"Landlock cannot be used: {_words(error)}")
    try:
        seccomp.install()
        filtered = True
    except Exception as error:
        reasons.append(f"seccomp cannot be used: {_words(error)}")
    return Confinement(abi, filtered, "; ".join(reasons)[:300])


def _readable() -> Iterator[str]:
    """Where Python's modules and the system's libraries are; of a checkout that fathom runs in, its own package."""
    yield from _SYSTEM
    yield from (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    yield from sysconfig.get_paths().values()
    yield from (entry for entry in sys.path if entry.startswith("/") and Path(entry) != _PACKAGES)
    yield from (entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry.startswith("/"))
    yield from (entry for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry.startswith("/"))
    yield str(_PACKAGES / "indexes")


def _linked_package() -> str:
    """A file of a needed package that is a link, as some installers make of all; what they lead to is not known."""
    spec = find_spec("lxml")
    return spec.origin if spec and spec.origin and Path(spec.origin).is_symlink() else ""


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
