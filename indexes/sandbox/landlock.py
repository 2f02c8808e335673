"""Landlock, by which a Linux process gives up all files but those it names, TCP, and signals to other processes."""

import ctypes
import os
import stat
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # of every architecture that fathom runs on
_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _TRUNCATE = 1 << 7, 1 << 8, 1 << 14
_FILES_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # rights that are given up
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract UNIX sockets, signals
_TCP_ABI, _SCOPES_ABI = 4, 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def version() -> int:
    """The kernel's Landlock ABI. Raises OSError where it has none or does not let it be used."""
    return _call(_CREATE_RULESET, None, 0, _VERSION)


def restrict(readable: Iterable[str], writable: Iterable[str]) -> int:
    """Gives up everything but reading and writing below these paths, for good; the ABI.

    Holds for the calling thread and what it starts. Nothing can be executed. What is open stays open; a path that
    is not there is left out. Raises OSError.
    """
    abi = version()
    handled = max(rights for least, rights in _FILES_BY_ABI.items() if least <= abi)
    size = 24 if abi >= _SCOPES_ABI else 16 if abi >= _TCP_ABI else 8  # the struct grew with the ABI
    ruleset = _Ruleset(handled, _TCP, _SCOPES)
    rules = _call(_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        reading = _READ_FILE | _READ_DIR
        writing = reading | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
        for rights, paths in ((reading, readable), (writing & handled, writable)):
            for path in paths:
                _allow(rules, path, rights)
        set_no_new_privileges()
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    return abi


def set_no_new_privileges() -> None:
    """No program that this process starts has more rights than it. Raises OSError."""
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _last_error()


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
        _call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(_Beneath(rights, descriptor)), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    if (result := int(_libc.syscall(ctypes.c_long(number), *wide))) < 0:
        raise _last_error()
    return result


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
