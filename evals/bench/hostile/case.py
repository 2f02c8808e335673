"""One variant: how the folder is packed, which commands its user runs, and what must not have happened after them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ExitCode

from .arena import (
    API_KEY,
    MOST_MEMORY_MIB,
    MOST_SECONDS,
    SECRET,
    Arena,
    Listener,
    Ran,
    foreign_calls,
    foreign_programs,
    tampered,
)

Pack = Callable[[Arena], None]
Command = tuple[str, ...]
Look = Callable[[Arena], Iterator[str]]
CODES = frozenset(int(code) for code in ExitCode) - {int(ExitCode.INTERRUPTED)}
ANSWERED = frozenset({int(ExitCode.ANSWERED)})
FAKE = ("--engine", "fake://")


def nothing_more(_: Arena) -> Iterator[str]:
    """No look beyond what every variant is looked at for."""
    yield from ()


@dataclass(frozen=True)
class Case:
    """A variant. `{room}`, `{url}` and `{server}` in a command stand for the folder, the port that nobody may call, and
    a server that `pack` started and the user names.

    `never` are words that no output may hold, `must` words that the last command's output has to hold, `codes` the exit
    codes that the last command may end with. `look` finds what else must not be. `environment` is added to that of the
    commands.
    """

    kind: str
    name: str
    pack: Pack
    commands: tuple[Command, ...]
    never: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    codes: frozenset[int] = CODES
    look: Look = nothing_more
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What must not have happened and did; empty for a variant that did no harm."""

    kind: str
    name: str
    harm: tuple[str, ...]
    seconds: float
    memory_mib: float


def play(case: Case) -> Verdict:
    """Packs the folder, runs the commands, and looks at what happened."""
    listener = Listener()
    root = Path(tempfile.mkdtemp(prefix="fathom-hostile-"))
    arena = Arena(root, listener)
    try:
        arena.fill()
        case.pack(arena)
        before = arena.state()
        for command in case.commands:
            arena.run(*(arena.filled(word) for word in command), **case.environment)
        harm = tuple(_harm(case, arena, before))
        seconds = max((done.seconds for done in arena.ran), default=0.0)
        memory = max((done.memory_mib for done in arena.ran), default=0.0)
        return Verdict(case.kind, case.name, harm, seconds, memory)
    finally:
        listener.close()
        for stop in arena.stops:
            stop()
        shutil.rmtree(root, ignore_errors=True)


def _harm(case: Case, arena: Arena, before: dict[str, str]) -> Iterator[str]:
    last = len(arena.ran)
    yield from case.look(arena)  # it may run more commands, which are looked at as well
    for name in tampered(before, arena.state()):
        yield f"changed: {name} in the user's home"
    for where in arena.leaked():
        yield f"leaked: a secret is in {where}"
    for address in foreign_calls(arena.ran, arena.allowed):
        yield f"called: {address}"
    if arena.listener.heard:
        yield "called: the port of the folder"
    for program in foreign_programs(arena.ran):
        yield f"started: {program}"
    for done in arena.ran:
        yield from _ill(case, done)
    yield from _last(case, arena.ran[:last])


def _ill(case: Case, done: Ran) -> Iterator[str]:
    """What no command of any variant may do."""
    command = f"fathom {' '.join(done.command)}"[:80]
    if "Traceback (most recent call last)" in done.said:
        yield f"traceback: {command}: {done.said.strip().splitlines()[-1][:200]}"
    if done.code not in CODES:
        late = f" after {done.seconds:.0f} s" if done.seconds >= MOST_SECONDS else ""
        yield f"exit code {done.code}{late}: {command}: {done.said[-200:]!r}"
    if done.memory_mib > MOST_MEMORY_MIB:
        yield f"memory: {done.memory_mib:,.0f} MiB: {command}"
    for word in (SECRET, API_KEY, *case.never):
        if word in done.said:
            yield f"said {word!r}: {command}"
    if odd := sorted({f"U+{ord(sign):04X}" for sign in done.said if _drives(sign)}):
        yield f"sent to the terminal: {', '.join(odd)[:80]}: {command}"


def _last(case: Case, ran: Sequence[Ran]) -> Iterator[str]:
    if not ran:
        return
    last = ran[-1]
    if last.code in CODES and last.code not in case.codes:
        yield f"exit code {last.code}, expected {sorted(case.codes)}: {last.said[-300:]!r}"
    for word in case.must:
        if word not in last.said:
            yield f"did not say {word!r}: {last.said[-300:]!r}"


def _drives(sign: str) -> bool:
    """Whether a character drives a terminal, turns the direction of writing, or is a tag."""
    code = ord(sign)
    control = (code < 32 and sign not in "\n\t") or 127 <= code < 160
    return (
        control
        or code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
        or (0xE0000 <= code <= 0xE007F)
    )
