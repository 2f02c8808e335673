"""When a folder was made: a file system gives the inode number of a deleted one to the next, but not its time."""

import ctypes
import os
import struct
import sys
from functools import cache
from typing import Any

_EMPTY_PATH, _BTIME, _BYTES = 0x1000, 0x800, 256  # AT_EMPTY_PATH, STATX_BTIME, size of struct statx
_MASK_AT, _BTIME_AT = 0, 80


def born_ns(descriptor: int) -> int:
    """When what is open was made, in nanoseconds; 0 where the file system or the system does not say."""
    if sys.platform != "linux":
        return int(getattr(os.fstat(descriptor), "st_birthtime", 0) * 10**9)
    if (statx := _statx()) is None:
        return 0
    found = ctypes.create_string_buffer(_BYTES)
    if statx(descriptor, b"", _EMPTY_PATH, _BTIME, found):
        return 0
    if not struct.unpack_from("=I", found, _MASK_AT)[0] & _BTIME:
        return 0
    seconds, nanoseconds = struct.unpack_from("=qI", found, _BTIME_AT)
    return int(seconds) * 10**9 + int(nanoseconds)


@cache
def _statx() -> Any:
    return getattr(ctypes.CDLL(None), "statx", None)
