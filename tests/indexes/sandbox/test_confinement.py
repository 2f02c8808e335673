"""What a loader process that was taken over can still do: each attack with none, one, and both of its confinements."""

import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexes.loaders import load
from indexes.loaders.limits import LoadLimits
from indexes.sandbox import seccomp
from indexes.sandbox.confinement import Confinement
from indexes.sandbox.pool import LoaderPool
from tests.indexes.loaders import samples, taken_over
from tests.support.files import docx, eml, epub, package, pdf, write, xlsx
from tests.support.misbehaving import TIGHT


def _here() -> Confinement:
    with LoaderPool(TIGHT, 1) as pool:
        return pool.try_out()


HERE = _here()
WHOLE = pytest.mark.skipif(not (HERE.landlock and HERE.filtered), reason=f"not confined here: {HERE}")
SCOPED = pytest.mark.skipif(HERE.landlock < 6, reason=f"Landlock does not hold signals here: {HERE}")

LEFT = {
    "see that a file is there",
    "read Python's library",
    "read system files",
    "write in its scratch folder",
    "start a thread",
    "signal itself",
    "choose its own core",
    "raise its own limits",
}
PAST_LANDLOCK = {  # what the filter is for
    "change a mode",
    "change a time",
    "send by UDP",
    "connect to a socket file",
    "send to a socket file through a pair",
    "start a process",
    "signal its group",  # which is its own
    "limit its parent",
    "keep its parent to one core",
    "give its parent a signal through a pipe",
    "outlive its parent",
    "leave its session",
    "be root in a namespace",
    "set up io_uring",
    "share memory",
}
PAST_FILTER = {  # what Landlock is for
    "read a file",
    "read another document",
    "list a folder",
    "read through a symbolic link",
    "read through a hard link",
    "read through /proc/self/root",
    "read the parent's environment",
    "write a file",
    "append to a file",
    "delete a file",
    "make a folder",
}
NOT_EVERYWHERE = {"read the parent's memory", "trace its parent", "be root in a namespace", "set up io_uring"}
_MACHINES = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}


@pytest.fixture
def given(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Things to attack."""
    home = write(tmp_path / "home", {"id_rsa": "private", "victim": "x", "other.txt": "another document"})
    with (
        socket.socket() as tcp,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(str(tmp_path / "d"))
        tcp.bind(("127.0.0.1", 0))
        named.bind(str(tmp_path / "s"))
        abstract.bind(f"\0fathom-test-{tmp_path.name}-{id(tcp)}")
        for server in (tcp, named, abstract):
            server.listen()
        yield {
            "folder": str(home),
            "secret": str(home / "id_rsa"),
            "victim": str(home / "victim"),
            "document": str(home / "other.txt"),
            "port": tcp.getsockname()[1],
            "socket": str(tmp_path / "s"),
            "datagrams": str(tmp_path / "d"),
            "abstract": abstract.getsockname()[1:].decode(),
        }


def _worked(given: dict[str, Any], way: str) -> set[str]:
    """The attacks that worked in a process that is confined in a way."""
    path = Path(given["folder"]) / "document.json"
    path.write_text(json.dumps(given), encoding="utf-8")
    with LoaderPool(LoadLimits(max_seconds=30), 1, (*taken_over.COMMAND, way)) as pool:
        (outcome,) = pool.load([path])
    assert outcome.document, outcome.reason
    results = json.loads(outcome.document.text)
    assert results.keys() == taken_over.ATTACKS.keys()
    return {name for name, error in results.items() if not error}


@pytest.mark.skipif(sys.platform != "linux", reason="the attacks are Linux's")
def test_the_attacks_work_where_nothing_confines(given: dict[str, Any]) -> None:
    assert taken_over.ATTACKS.keys() - _worked(given, "nothing") <= NOT_EVERYWHERE


@WHOLE
def test_a_confined_process_can_do_nothing_but_what_is_left_to_it(given: dict[str, Any]) -> None:
    assert _worked(given, "all") == LEFT
    home = Path(given["folder"])
    assert {path.name for path in home.iterdir()} == {"id_rsa", "victim", "other.txt", "document.json"}
    assert (home / "victim").read_text(encoding="utf-8") == "x"


@WHOLE
@SCOPED
def test_each_of_the_two_holds_alone_what_it_is_for(given: dict[str, Any]) -> None:
    assert _worked(given, "landlock") - LEFT - NOT_EVERYWHERE == PAST_LANDLOCK - NOT_EVERYWHERE
    assert _worked(given, "filter") - LEFT - NOT_EVERYWHERE == PAST_FILTER - NOT_EVERYWHERE


@WHOLE
def test_the_words_say_what_confines() -> None:
    assert str(HERE) == f"Landlock ABI {HERE.landlock} and a filter of system calls"
    without = Confinement(4, False, "seccomp cannot be used: Function not implemented")
    assert str(without).startswith("Landlock ABI 4, without a filter of system calls: seccomp cannot")
    nothing = Confinement(0, True, "Landlock cannot be used: Operation not supported")
    assert str(nothing) == "Landlock cannot be used: Operation not supported; system calls are filtered"


def _samples() -> dict[str, bytes]:
    html = samples.HTML.decode()
    return {
        "a.pdf": pdf([[("An ant walks.", 12)], [("Another follows.", 12)]]),
        "b.docx": docx([("Heading 1", "Ants"), ("Normal", "An ant walks.")], [["name", "legs"], ["ant", "6"]]),
        "c.xlsx": xlsx({"Ants": [["name", "legs"], ["ant", 6]]}, {"B2": "0.00"}),
        "d.pptx": _slides(),
        "e.epub": epub({"one.xhtml": "<html><body><h1>Ants</h1><p>An ant walks.</p></body></html>"}),
        "f.eml": eml(
            "See there.", attachments={"a.pdf": samples.TEXT_PDF, "b.docx": samples.WORD, "c.txt": b"An ant."}
        ),
        "g.mbox": samples.BOX,
        "h.html": html.encode(),
        "i.csv": samples.TABLE,
        "j.json": b'{"ant": {"legs": 6}}',
        "k.jsonl": b'{"ant": 1}\n{"ant": 2}\n',
        "l.rtf": rb"{\rtf1\ansi An ant walks.\par}",
        "m.md": b"# Ants\n\nAn ant walks.\n",
        "n_latin.txt": "Straße über Köln, très façon".encode("latin-1") * 20,
        "o_japanese.txt": "日本語の文章です。蟻が歩く。".encode("shift-jis") * 20,
        "p.zip": package({"a.txt": "An ant."}),
    }


def _slides() -> bytes:
    import io

    from pptx import Presentation

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Ants"
    slide.placeholders[1].text = "An ant walks."
    raw = io.BytesIO()
    deck.save(raw)
    return raw.getvalue()


def test_all_formats_are_read_as_by_a_process_that_is_not_confined(tmp_path: Path) -> None:
    files = _samples()
    write(tmp_path, files)
    with LoaderPool(LoadLimits(), 2) as pool:
        outcomes = {outcome.path.name: outcome for outcome in pool.load(tmp_path / name for name in files)}
    assert outcomes.pop("p.zip").unsupported
    for name, outcome in outcomes.items():
        assert outcome.document == load(tmp_path / name), outcome.reason


def test_scanned_pages_are_read_where_ocr_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    from tests.indexes.loaders.drawing import Drawn, drawn
    from tests.indexes.loaders.pdf.test_ocr import scan

    path = tmp_path / "scan.pdf"
    path.write_bytes(scan(drawn([[Drawn(72, 740, "Balance sheet of the company", 14)]])))
    with LoaderPool(LoadLimits(ocr=True), 1) as pool:
        (outcome,) = pool.load([path])
    assert outcome.document, outcome.reason
    assert "Balance sheet of the company" in outcome.document.text


# The filter's program, run by a simulator of the few instructions that it has, for both architectures.


def _verdict(machine: str, number: int, argument: int = 0, audit: int | None = None, pid: int = 1234) -> int:
    program = seccomp.filter_of(machine, pid)
    audit = seccomp._ARCHITECTURES[machine][0] if audit is None else audit
    data = {0: number, 4: audit, 16: argument & 0xFFFFFFFF, 24: argument & 0xFFFFFFFF}
    held, at = 0, 0
    while True:
        code, yes, no, operand = program[at]
        match code:
            case 0x20:
                held = data[operand]
            case 0x15:
                at += yes if held == operand else no
            case 0x25:
                at += yes if held > operand else no
            case 0x45:
                at += yes if held & operand else no
            case 0x06:
                return operand
        at += 1


_SPECIAL = [
    *seccomp._OWN_ALONE.split(),
    *seccomp._OWN_OR_ZERO.split(),
    *(seccomp._FCNTL, seccomp._IOCTL, seccomp._PRCTL, seccomp._CLONE, seccomp._CLONE3),
]
_ALLOW, _REFUSE, _MISSING = 0x7FFF0000, 0x50001, 0x50026  # EPERM is 1, ENOSYS 38


@pytest.mark.parametrize("machine", _MACHINES)
def test_the_filter_refuses_what_it_names_and_allows_the_rest(machine: str) -> None:
    column = seccomp._ARCHITECTURES[machine][1]
    denied = {int(entry.split(":")[column]) for entry in seccomp._DENIED.split()} - {0}
    special = {name: int(numbers[column - 1]) for name, *numbers in (entry.split(":") for entry in _SPECIAL)}
    for number in range(447):
        if number not in special.values():
            assert (_verdict(machine, number) == _REFUSE) == (number in denied), number
            assert _verdict(machine, number) in (_REFUSE, _ALLOW)
    for number in (447, 999, 2**30, 2**30 + 41, 2**32 - 1):
        assert _verdict(machine, number) == _MISSING
    assert _verdict(machine, 3, audit=0x40000003) == _REFUSE  # a 32-bit call
    assert _verdict(machine, special["clone3"]) == _MISSING
    for name in ("kill", "tkill", "tgkill"):
        assert [_verdict(machine, special[name], pid) for pid in (1234, 0, 1, -1)] == [_ALLOW, *[_REFUSE] * 3]
    for name in ("prlimit64", "sched_setaffinity", "sched_setattr"):
        assert [_verdict(machine, special[name], pid) for pid in (1234, 0, 1)] == [_ALLOW, _ALLOW, _REFUSE]
    for name, refused, allowed in (
        ("fcntl", (8, 10, 15), (1, 4, 1030)),
        ("ioctl", (0x8901, 0x8902, 0x5412), (0x5401,)),
    ):
        assert {_verdict(machine, special[name], value) for value in refused} == {_REFUSE}
        assert {_verdict(machine, special[name], value) for value in allowed} == {_ALLOW}
    assert [_verdict(machine, special["prctl"], option) for option in (1, 22, 38)] == [_REFUSE, _ALLOW, _ALLOW]
    assert [_verdict(machine, special["clone"], flags) for flags in (17, 0x10000000, 0x3D0F00)] == [
        _REFUSE,
        _REFUSE,
        _ALLOW,
    ]


@pytest.mark.parametrize("machine", [name for name, header in _MACHINES.items() if Path(header).exists()])
def test_numbers_of_system_calls_are_those_of_the_kernels_headers(machine: str) -> None:
    header = Path(_MACHINES[machine]).read_text(encoding="utf-8")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header)}
    column = seccomp._ARCHITECTURES[machine][1]
    entries = [*seccomp._DENIED.split(), *_SPECIAL]
    assert len(entries) > 100
    for entry in entries:
        assert known.get(entry.split(":")[0], 0) == int(entry.split(":")[column]), entry


def test_an_architecture_without_a_list_is_an_error_with_its_name() -> None:
    with pytest.raises(OSError, match="no list of system calls for riscv64"):
        seccomp.filter_of("riscv64", 1)
