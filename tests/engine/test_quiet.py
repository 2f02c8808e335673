"""Output of this process and of its children goes to the log, and afterwards to the terminal again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.quiet import captured


def test_descriptors_and_children_write_to_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "engine.log"
    os.write(1, b"before\n")
    with captured(log):
        os.write(1, b"out\n")
        os.write(2, b"err\n")
        subprocess.run([sys.executable, "-c", "import os; os.write(1, b'child\\n')"], check=True)
    os.write(1, b"after\n")
    assert log.read_text() == "out\nerr\nchild\n"
    assert capfd.readouterr() == ("before\nafter\n", "")


def test_buffered_prints_land_on_their_side(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    program = (
        "import sys; from pathlib import Path; from engine.quiet import captured\n"
        "print('before')\n"
        "with captured(Path(sys.argv[1])): print('within')\n"
        "print('after')\n"
    )
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(log)], env=buffered, capture_output=True, text=True, check=True
    )
    assert done.stdout == "before\nafter\n"
    assert log.read_text() == "within\n"


def test_an_error_inside_comes_out_and_the_terminal_is_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def dying() -> None:
        with captured(tmp_path / "engine.log"):
            os.write(2, b"its last words\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dying()
    os.write(2, b"here\n")
    assert capfd.readouterr().err == "here\n"
    assert (tmp_path / "engine.log").read_text() == "its last words\n"


def test_a_new_log_replaces_the_old_and_is_the_user_s_alone(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    for text in (b"first, and longer\n", b"second\n"):
        with captured(log):
            os.write(1, text)
    assert log.read_text() == "second\n"
    assert log.stat().st_mode & 0o077 == 0


def test_a_duplicate_made_before_reaches_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    terminal = os.dup(2)
    with captured(tmp_path / "engine.log"):
        os.write(terminal, b"loading\n")
    os.close(terminal)
    assert capfd.readouterr().err == "loading\n"


@pytest.mark.parametrize("name", ["engine.log", "."], ids=["a log", "a log that cannot be opened"])
def test_no_descriptor_is_left_open(tmp_path: Path, name: str) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    try:
        with captured(tmp_path / name):
            pass
    except IsADirectoryError:
        assert name == "."
    assert len(list(Path("/dev/fd").iterdir())) == before
