"""The pool of loader processes: order, laziness, limits, and what a process that misbehaves may not do."""

import signal
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from indexes.loaders import load
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import AHEAD_FILES, LoaderPool
from indexes.sandbox.worker import FILES_PER_PROCESS, GROWN_MIB
from tests.support.files import write
from tests.support.misbehaving import COMMAND, TIGHT, about, written


@pytest.fixture
def pool() -> Iterator[LoaderPool]:
    with LoaderPool(TIGHT, processes=1, command=COMMAND) as pool:
        yield pool


def test_a_pool_loads_what_the_loaders_load(tmp_path: Path) -> None:
    write(
        tmp_path, {"a.md": "# Ants\n\nAn ant walks.\n", "b.csv": "name,legs\nant,6\n", "c.txt": "Ants and bees.\n" * 9}
    )
    paths = [tmp_path / name for name in ("c.txt", "a.md", "b.csv")]
    with LoaderPool(LoadLimits()) as pool:
        outcomes = list(pool.load(paths))
    assert [outcome.path for outcome in outcomes] == paths
    assert [outcome.document for outcome in outcomes] == [load(path, LoadLimits()) for path in paths]
    assert {(outcome.reason, outcome.unsupported) for outcome in outcomes} == {("", False)}
    assert all(outcome.seconds > 0 for outcome in outcomes)


@pytest.mark.parametrize("processes", [1, 3])
def test_outcomes_keep_the_order_of_the_jobs(tmp_path: Path, processes: int) -> None:
    waits = [0.4, 0, 0.2, 0, 0, 0.1, 0, 0]
    paths = written(tmp_path, *(f"sleep {wait}" for wait in waits))
    with LoaderPool(TIGHT, processes, COMMAND) as pool:
        outcomes = list(pool.load(paths))
    assert [outcome.path for outcome in outcomes] == paths
    assert [outcome.document.text if outcome.document else "" for outcome in outcomes] == [
        f"sleep {wait}" for wait in waits
    ]


def test_nothing_is_taken_before_it_is_asked_for_and_little_ahead(tmp_path: Path) -> None:
    paths = written(tmp_path, *["x"] * 60)
    taken: list[Path] = []

    def jobs() -> Iterator[Path]:
        for path in paths:
            taken.append(path)
            yield path

    with LoaderPool(TIGHT, 2, COMMAND) as pool:
        outcomes = pool.load(jobs())
        assert taken == []
        for done, outcome in enumerate(outcomes, 1):
            assert outcome.document
            assert len(taken) <= done + 2 * AHEAD_FILES
    assert taken == paths


def test_much_text_that_waits_stops_the_work_ahead(tmp_path: Path) -> None:
    limits = LoadLimits(max_characters=50_000_000)
    paths = written(tmp_path, "sleep 1", *["long 2500000"] * 9)  # 12.5 million characters each
    taken = 0

    def jobs() -> Iterator[Path]:
        nonlocal taken
        for path in paths:
            taken += 1
            yield path

    with LoaderPool(limits, 2, COMMAND) as pool:
        assert next(iter(pool.load(jobs()))).document
    assert taken <= 4  # the first, two that wait with 25 million characters, and one begun before they were there


def test_jobs_may_depend_on_earlier_outcomes(tmp_path: Path) -> None:
    paths = written(tmp_path, *["x"] * 30)
    done: set[Path] = set()
    with LoaderPool(TIGHT, 1, COMMAND) as pool:
        for outcome in pool.load(path for path in paths if len(done) < 3):
            done.add(outcome.path)
    assert 3 <= len(done) <= 3 + AHEAD_FILES


def test_a_pool_may_be_left_early_and_used_again(tmp_path: Path, pool: LoaderPool) -> None:
    paths = written(tmp_path, "first", "sleep 600", "second")
    assert next(iter(pool.load(paths))).path == paths[0]
    assert [outcome.path for outcome in pool.load(paths[2:])] == paths[2:]
    assert list(pool.load([])) == []


def test_a_process_reads_many_files_and_is_replaced_in_time(tmp_path: Path, pool: LoaderPool) -> None:
    paths = written(tmp_path, "about") * (FILES_PER_PROCESS + 1)
    pids = [about(outcome)["pid"] for outcome in pool.load(paths)]
    assert len(set(pids[:-1])) == 1
    assert pids[-1] != pids[0]


def test_a_process_that_has_grown_is_replaced(tmp_path: Path) -> None:
    paths = written(tmp_path, "about", f"keep {(GROWN_MIB + 1) << 20}", "about")
    with LoaderPool(LoadLimits(), 1, COMMAND) as pool:
        first, grown, second = pool.load(paths)
    assert grown.document
    assert about(first)["pid"] != about(second)["pid"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("sleep 600", "took longer than 2 s (--max-seconds)"),
        ("spin", "took longer than 2 s (--max-seconds)"),
        ("ignore-signals", "took longer than 2 s (--max-seconds)"),
        ("dribble", "took longer than 2 s (--max-seconds)"),
        (f"allocate {2**30}", "needed more than 256 MiB (--max-memory-mib)"),
        (f"wrap-allocate {2**30}", "needed more than 256 MiB (--max-memory-mib)"),
        ("recurse", "cannot be read: RecursionError: maximum"),
        ("crash", "its reader crashed (signal SIGSEGV)"),
        (f"signal {signal.SIGABRT:d}", "its reader crashed (signal SIGABRT)"),
        (f"signal {signal.SIGXCPU:d}", "took longer than 2 s (--max-seconds)"),
        (f"signal {signal.SIGRTMIN + 3:d}", f"its reader crashed (signal {signal.SIGRTMIN + 3:d})"),
        (
            f"signal {signal.SIGKILL:d}",
            "its reader was killed (signal SIGKILL), as a system does that runs out of memory",
        ),
        ("exit 7", "its reader ended without an answer (exit code 7)"),
        ("quit", "cannot be read: SystemExit: 3"),
        ("fail is damaged", "is damaged"),
        ("fail \x1b[2Jis\ndamaged", "\\x1b[2Jis\\x0adamaged"),
        ("answer " + b"GET / HTTP/1.1\r\n\r\n".hex(), "its reader sent a frame of 1,195,725,856 + 790,644,820 bytes"),
        ("answer " + "ff" * 50, "its reader sent a frame of 4,294,967,295 + 4,294,967,295 bytes"),
        ("answer " + (b"\0\0\0\2\0\0\0\0" + b"[]").hex(), "its reader sent a frame that is no JSON object"),
        ("answer " + (b"\0\0\0\2\0\0\0\0" + b"{}").hex(), "its reader sent a string that is none or holds NUL"),
        ("long 1500000", "its reader sent a document of 7,500,000 characters"),
        ("long 5000000", "its reader sent a frame of "),
        ("headings 40000", "cannot be kept: its headings and tables take 39 MiB, over 32 MiB"),  # 40,000 × 1,012 bytes
        ("beyond", "its reader sent a number that is none or out of range"),
        ("surrogate", "cannot be kept: "),
    ],
)
def test_a_file_that_misbehaves_is_a_reason_and_takes_no_other_with_it(
    tmp_path: Path, pool: LoaderPool, content: str, reason: str
) -> None:
    paths = written(tmp_path, "good", content, "good")
    before, bad, after = pool.load(paths)
    assert before.document == after.document
    assert before.document
    assert (bad.document, bad.unsupported) == (None, False)
    assert bad.reason.startswith(reason)


def test_a_kind_that_is_not_read_is_told_apart(tmp_path: Path, pool: LoaderPool) -> None:
    (outcome,) = pool.load(written(tmp_path, "refuse is an archive"))
    assert (outcome.document, outcome.reason, outcome.unsupported) == (None, "is an archive", True)


def test_a_file_that_meets_a_process_ruined_by_another_is_tried_again(tmp_path: Path, pool: LoaderPool) -> None:
    paths = written(tmp_path, "poison", "good", "crash", "good")
    outcomes = list(pool.load(paths))
    assert [outcome.reason for outcome in outcomes] == ["", "", "its reader crashed (signal SIGSEGV)", ""]


def test_a_mail_brings_its_attachments_through_a_process(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ada@example.org", "bo@example.org", "Ants"
    mail.set_content("See the attachment.")
    mail.add_attachment("An ant walks.", filename="ants.txt")
    (tmp_path / "mail.eml").write_bytes(bytes(mail))
    with LoaderPool(LoadLimits()) as pool:
        (outcome,) = pool.load([tmp_path / "mail.eml"])
    assert outcome.document, outcome.reason
    assert "An ant walks." in outcome.document.text


def test_memory_counts_above_what_a_process_holds_at_rest(tmp_path: Path, pool: LoaderPool) -> None:
    paths = written(tmp_path, *[f"keep {200 << 20}"] * 2, f"allocate {200 << 20}")
    assert [outcome.reason for outcome in pool.load(paths)] == ["", "", ""]  # 600 MiB in all, 200 for each


def test_an_answer_that_waits_for_a_busy_caller_is_not_late(tmp_path: Path) -> None:
    paths = written(tmp_path, "good", "long 900000", "good")  # more than a pipe holds
    with LoaderPool(TIGHT, 2, COMMAND) as pool:
        outcomes = pool.load(paths)
        assert next(outcomes).document
        time.sleep(1.2 * TIGHT.max_seconds)
        assert [outcome.reason for outcome in outcomes] == ["", ""]


def test_what_a_library_prints_is_not_taken_for_an_answer(tmp_path: Path, pool: LoaderPool) -> None:
    (outcome,) = pool.load(written(tmp_path, "print 1000000"))
    assert outcome.document, outcome.reason


def test_what_is_written_while_a_document_is_read_is_bounded_and_goes_with_the_process(tmp_path: Path) -> None:
    small, large = written(tmp_path, f"write {2**20}", f"write {2**20 + 1}")
    with LoaderPool(LoadLimits(max_file_mib=1), 1, COMMAND) as pool:
        (kept,) = pool.load([small])
        assert kept.document
        assert Path(kept.document.text).stat().st_size == 2**20
        (refused,) = pool.load([large])
    assert refused.reason == "cannot be read: OSError: [Errno 27] File too large"
    assert not Path(kept.document.text).parent.exists()
