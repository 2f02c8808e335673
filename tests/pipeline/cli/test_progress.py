"""Progress of indexing: what is said of files, pages, rate and time left, to a person and to a log."""

from collections.abc import Iterator

import pytest

from indexes.ingest.writer import IndexProgress
from pipeline.cli.progress import LINE_EVERY_S, index_progress, line, seconds_left, span
from tests.support.screens import screen


def _clock(*times: float) -> Iterator[float]:
    return iter(times)


def test_a_line_counts_files_pages_and_chunks_with_rate_and_time_left() -> None:
    progress = IndexProgress(files_total=40, files_done=10, pages_done=1200, chunks_found=500, chunks_done=500)
    # 500 chunks in 20 s are 25/s; a quarter of the files took 20 s, so the other three take 60 s.
    assert line(progress, 20.0) == "10 of 40 files, 1,200 pages, 500 of 500 chunks, 25 chunks/s, about 60 s left"


def test_time_left_counts_a_file_whose_chunks_are_only_half_embedded_as_half_done() -> None:
    # 4 files × ½ of the chunks = 2 of 8 done in 10 s: 6 are left, at 5 s each.
    assert seconds_left(IndexProgress(8, 4, 0, 100, 50), 10.0) == 30.0


def test_nothing_is_foretold_before_a_file_is_done() -> None:
    assert seconds_left(IndexProgress(8, 0, 0, 100, 50), 10.0) is None
    assert seconds_left(IndexProgress(8, 1, 0, 100, 0), 10.0) is None
    assert line(IndexProgress(8), 0.0) == "0 of 8 files, 0 of 0 chunks"


def test_work_on_the_whole_index_is_named_in_place_of_the_time_left() -> None:
    assert line(IndexProgress(2, 2, 0, 9, 9, stage="writing the index"), 3.0).endswith("3 chunks/s, writing the index")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_times_are_said_as_a_person_says_them(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_log_gets_a_plain_line_now_and_then(capfd: pytest.CaptureFixture[str]) -> None:
    clock = _clock(0.0, 1.0, LINE_EVERY_S, LINE_EVERY_S + 1, 2 * LINE_EVERY_S)
    with index_progress(lambda: next(clock)) as show:
        for done in range(1, 5):
            show(IndexProgress(8, done, 0, 9, 9))
    out, err = capfd.readouterr()
    assert out == ""
    assert [text.split(",")[0] for text in err.splitlines()] == ["… 2 of 8 files", "… 4 of 8 files"]


def test_a_person_sees_files_go_by_without_escapes_in_their_names() -> None:
    with screen() as seen, index_progress() as show:
        show(IndexProgress(2, 1, 7, 3, 1, "evil\x1b]0;owned\x07.md"))
    assert "evil]0;owned.md" in seen[0]
    assert "7 pages" in seen[0]
    assert "\x1b]" not in seen[0]
