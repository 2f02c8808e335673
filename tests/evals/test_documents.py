"""Recall of files and pages on a made collection."""

import math
from pathlib import Path

from evals.datasets.filings import FilingQuestion
from evals.tasks.documents import page_ranking, score
from indexes.collection import Collection
from indexes.documents import Chunk, Document, Hit
from indexes.search.ranking import SearchMode
from tests.support.files import write

FILES: dict[str, str | bytes] = {
    "cells.md": "Hexalith sells battery cells for 68 euros.\n",
    "fire.md": "A cabinet burned in Taunton.\n",
}


def _question(text: str, *files: str) -> FilingQuestion:
    return FilingQuestion(text, text, frozenset(files), frozenset(), ("Hexalith",))


def test_files_are_scored_by_name_and_pages_are_missing_without_labels(tmp_path: Path) -> None:
    collection = Collection.open_or_create(tmp_path / ".fathom", "none")
    collection.add([write(tmp_path / "docs", FILES)])
    questions = [_question("battery cells", "cells.md"), _question("burned cabinet", "fire.md", "cells.md")]
    found = score(collection, "made", questions, SearchMode.LEXICAL, named=True)
    collection.close()
    # the first question finds its file; the second one of two
    assert [found.files[k].mean for k in (1, 3, 5)] == [0.75, 0.75, 0.75]
    assert found.files[1].n == 2
    assert found.pages is None


def test_without_names_the_question_is_asked_without_them(tmp_path: Path) -> None:
    collection = Collection.open_or_create(tmp_path / ".fathom", "none")
    collection.add([write(tmp_path / "docs", FILES)])
    questions = [_question("Hexalith in Taunton", "cells.md")]
    with_names = score(collection, "made", questions, SearchMode.LEXICAL, named=True)
    without = score(collection, "made", questions, SearchMode.LEXICAL, named=False)
    collection.close()
    assert with_names.files[3].mean == 1
    assert without.files[3].mean == 0
    assert not math.isnan(without.files[1].mean)


def test_pages_follow_the_chunks_and_count_once() -> None:
    place = Document(1, "/a.pdf", "docs/a.pdf", "T", "pdf", "", 10, 9)

    def hit(first: int | None, last: int | None) -> Hit:
        return Hit(Chunk(1, 1, 0, 0, 1, "x", "", "T", first, last), place, 1.0)

    assert page_ranking([hit(4, 5), hit(None, None), hit(5, 5), hit(2, 2)]) == [
        ("a.pdf", 4),
        ("a.pdf", 5),
        ("a.pdf", 2),
    ]
