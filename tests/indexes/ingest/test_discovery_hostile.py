"""Walking where a folder holds what it should not: links, pipes, closed folders, depth, names that are no text."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import NothingToIndexError
from indexes.ingest.discovery import walk
from indexes.text.printable import printable, unprintable
from tests.support.files import open_folder, unprivileged, write

LINKED = "is a link to a folder, which is not followed; name the folder itself"
_UNSHOWN = {*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_ESCAPE_LIKE = st.lists(st.sampled_from(["\\", "x", "u", "0", "a", "ff", "/", "\n", "\udcff", "\u0085", "ä"])).map(
    "".join
)


def _skips(*paths: Path) -> dict[str, str]:
    return {candidate.name: candidate.skip for candidate in walk(paths).candidates}


def test_links_are_followed_to_files_and_never_to_folders(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, {"root/x.md": "x", "root/a/y.md": "y", "elsewhere/z.md": "z"})
    links = {
        "loop.md": "loop.md",
        "gone.md": "nothing",
        "good.md": "x.md",
        "self": ".",
        "a/up": "..",
        "other": "../elsewhere",
        ".hidden": "a",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    found = walk([root])
    assert {candidate.name: candidate.skip for candidate in found.candidates} == {
        "gone.md": "is a link to nothing",
        "good.md": "",
        "loop.md": "is a link to nothing",
        "other": f"{LINKED}, {tmp_path}/elsewhere",
        "self": f"{LINKED}, {root}",
        "x.md": "",
        "a/up": f"{LINKED}, {root}",
        "a/y.md": "",
    }
    assert set(found.unsearched) == {root / "self", root / "a/up", root / "other"}
    assert _skips(root / "other") == {"z.md": ""}


def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    write(tmp_path, {"x.md": "x"})
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "null.md").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.md"))
    assert _skips(tmp_path) == {
        "null.md": "is a device, which is never opened",
        "pipe.md": "is a named pipe, which is never opened",
        "socket.md": "is a socket, which is never opened",
        "x.md": "",
    }
    with pytest.raises(NothingToIndexError, match="no readable documents in"):
        walk([tmp_path / "pipe.md"])


def test_a_folder_inside_that_cannot_be_read_is_named_and_the_rest_is_walked() -> None:
    with open_folder() as folder:
        write(folder, {"a/x.md": "x", "b/y.md": "y", "c/z.md": "z"})
        (folder / "b").chmod(0)
        (folder / "c").chmod(0o444)  # its names can be read, its files cannot be looked up
        with unprivileged():
            found = walk([folder])
        assert {candidate.name: candidate.skip for candidate in found.candidates} == {
            "a/x.md": "",
            "b": "is a folder that cannot be read: Permission denied",
            "c/z.md": "cannot be looked up: Permission denied",
        }
        assert found.unsearched == (folder / "b",)
        assert [candidate.size_bytes for candidate in found.candidates if candidate.skip] == [None, None]


def _deep(root: Path, name: str, depth: int) -> None:
    """Folders inside each other, whatever the length of their path, and a document in the last."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with os.fdopen(os.open("deep.md", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as stream:
        stream.write("x")
    os.close(here)


@pytest.fixture
def pit() -> Iterator[Path]:
    """A folder that may grow deeper than Python's own clean-up can go."""
    root = Path(tempfile.mkdtemp())
    yield root
    subprocess.run(["rm", "-rf", str(root)], check=True)


def test_folders_may_be_nested_deeper_than_pythons_stack(pit: Path) -> None:
    _deep(pit, "d", 1500)  # 3,000 characters: inside the 4,096 of a path
    assert [candidate.name for candidate in walk([pit]).candidates] == ["d/" * 1500 + "deep.md"]


def test_a_path_longer_than_the_system_takes_is_named(pit: Path) -> None:
    write(pit, {"x.md": "x"})
    _deep(pit, "d" * 200, 30)  # 6,000 characters
    deep, sound = walk([pit]).candidates[::-1]
    assert sound.name == "x.md"
    assert deep.skip == "is a folder that cannot be read: File name too long"


def test_archives_and_unknown_kinds_are_named_with_their_reason(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "x", "b.ZIP": "x", "c.tar.gz": "x", "d.unheard-of": "x", "README": "x"})
    unknown = "not a kind that is read from folders; name the file itself to have it read by its content"
    assert _skips(tmp_path) == {
        "README": f"no suffix: {unknown}",
        "a.md": "",
        "b.ZIP": ".ZIP: an archive; unpack it and index the folder",
        "c.tar.gz": ".gz: an archive; unpack it and index the folder",
        "d.unheard-of": f".unheard-of: {unknown}",
    }


def test_a_file_behind_two_spellings_that_differ_in_case_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, {"Report.md": "x", "other.md": "x"})
    (tmp_path / "report.md").hardlink_to(tmp_path / "Report.md")  # what a file system without case shows
    (tmp_path / "another name.md").hardlink_to(tmp_path / "Report.md")
    assert _skips(tmp_path) == {
        "Report.md": "",
        "another name.md": "",
        "other.md": "",
        "report.md": f"is the same file as {tmp_path}/Report.md",
    }


def test_names_of_any_bytes_are_read_and_shown_escaped(tmp_path: Path) -> None:
    raw = [
        b"bad\xff.md",
        b"new\nline.md",
        b"\x1b[2Jclear.md",
        "turned \u202eround.md".encode(),
        rb"\x0a.md",
        b"a\\b.md",
    ]
    for name in raw:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("x", encoding="utf-8")
    found = walk([tmp_path])
    assert {candidate.name: candidate.skip for candidate in found.candidates} == {
        r"bad\xff.md": "",
        r"new\x0aline.md": "",
        r"\x1b[2Jclear.md": "",
        r"turned \u202eround.md": "",
        r"\x5cx0a.md": "",
        r"a\b.md": "",
    }
    assert {os.fsencode(unprintable(candidate.name)) for candidate in found.candidates} == set(raw)
    assert all(candidate.path.read_text(encoding="utf-8") == "x" for candidate in found.candidates)


def test_a_skipped_name_and_suffix_are_shown_escaped(tmp_path: Path) -> None:
    write(tmp_path, {"x.md": "x", "y.\x1b[2J": "x"})
    assert all("\x1b" not in name + skip for name, skip in _skips(tmp_path).items())


@given(st.text(st.characters()) | _ESCAPE_LIKE)
def test_a_printable_path_holds_nothing_that_acts_and_turns_back(path: str) -> None:
    shown = printable(path)
    shown.encode("utf-8")
    assert not {ord(letter) for letter in shown} & _UNSHOWN
    assert unprintable(shown) == path


_EMPTY = "\\\u034f\u115f\u1160\u3164\uffa0"  # a backslash, and what shows nothing though it is no control character


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"], exclude_characters=_EMPTY)))
def test_a_sound_path_is_shown_as_it_is(path: str) -> None:
    assert printable(path) == path


@given(st.lists(_ESCAPE_LIKE, min_size=2, max_size=2))
def test_the_parts_of_a_path_are_escaped_each_by_itself(parts: list[str]) -> None:
    assert printable("/".join(parts)) == "/".join(map(printable, parts))


@given(st.binary().filter(lambda name: b"\x00" not in name))
def test_every_name_on_disk_turns_back_into_its_bytes(name: bytes) -> None:
    assert os.fsencode(unprintable(printable(os.fsdecode(name)))) == name


@pytest.mark.parametrize("empty", ["\u200b", "\u00ad", "\u3164", "\U000e0041"])
def test_names_that_differ_by_what_does_not_show_are_told_apart(empty: str) -> None:
    name, code = f"pri{empty}ce.md", ord(empty)
    escape = f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"
    assert printable(name) == f"pri{escape}ce.md"
    assert unprintable(printable(name)) == name
    assert unprintable(printable(printable(name))) == printable(name)
