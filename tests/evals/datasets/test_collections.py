"""Readers of judged collections: their traps on made files, and the real counts where the data is here."""

import json
from pathlib import Path

import pytest

from evals.datasets.collections import JUDGED, JudgedQuery, LabelledPassage, chunking_eval, cranfield, hotpotqa, musique

DATA = Path(__file__).parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def test_cranfield_joins_judgements_by_the_position_of_queries_and_drops_grade_zero(tmp_path: Path) -> None:
    folder = tmp_path / "retrieval_qrels" / "cranfield"
    _write(
        folder / "cran.all.1400.xml",
        "<doc><docno>1</docno><title>a\nwing .</title><text>a\nwing .\n  lift &amp; drag .</text></doc>\n"
        "<doc><docno>2</docno><title></title><text></text></doc>\n",
    )
    _write(
        folder / "cran.qry.xml",
        "<xml><top><num> 4</num><title>\nwhat is\nlift .\n</title></top>"
        "<top><num> 9</num><title>heat</title></top></xml>",
    )
    _write(folder / "cranqrel.trec.txt", "1 0 1 1\n1 0 2 0\n2 0 2 3\n")
    found = cranfield(tmp_path)
    assert found.passages == (LabelledPassage("a wing .", "lift & drag ."), LabelledPassage("", ""))
    assert found.queries == (
        JudgedQuery("1", "what is lift .", frozenset({0})),
        JudgedQuery("2", "heat", frozenset({1})),
    )


def test_hotpotqa_knows_passages_by_title(tmp_path: Path) -> None:
    folder = tmp_path / "retrieval_qrels" / "multihop"
    _write(folder / "hotpotqa_train_corpus.json", json.dumps({"A": ["One. ", "Two."], "B": ["Three."]}))
    rows = [{"_id": "x", "question": "Q?", "supporting_facts": [["B", 0], ["B", 3]]}]
    _write(folder / "hotpotqa_train.json", json.dumps(rows))
    found = hotpotqa(tmp_path)
    assert found.passages == (LabelledPassage("A", "One. Two."), LabelledPassage("B", "Three."))
    assert found.queries == (JudgedQuery("x", "Q?", frozenset({1})),)


def test_musique_tells_passages_of_one_title_apart_by_their_text(tmp_path: Path) -> None:
    folder = tmp_path / "retrieval_qrels" / "multihop"
    corpus = [{"title": "A", "text": "one"}, {"title": "A", "text": "two"}]
    _write(folder / "musique_train_corpus.json", json.dumps(corpus))
    paragraphs = [
        {"title": "A", "paragraph_text": "one", "is_supporting": False},
        {"title": "A", "paragraph_text": "two", "is_supporting": True},
    ]
    _write(folder / "musique_train.json", json.dumps([{"id": "y", "question": "Q?", "paragraphs": paragraphs}]))
    assert musique(tmp_path).queries == (JudgedQuery("y", "Q?", frozenset({1})),)


def test_offsets_of_chunking_eval_count_the_file_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "retrieval_qrels" / "chunking_eval"
    _write(folder / "notes.md", "one\r\ntwo\n")
    spans = json.dumps([{"content": "two", "start_index": 5, "end_index": 8}]).replace('"', '""')
    _write(folder / "questions_df.csv", f'question,references,corpus_id\nWhich?,"{spans}",notes\n')
    texts, questions = chunking_eval(tmp_path)
    ((start, end),) = questions[0].spans
    assert texts["notes"][start:end] == "two"
    assert (questions[0].text, questions[0].corpus) == ("Which?", "notes")


@needs_data
@pytest.mark.parametrize(
    ("name", "passages", "queries", "relevant"),
    [("cranfield", 1400, 225, 1612), ("hotpotqa", 994, 100, 200), ("musique", 1890, 100, 237)],
)
def test_the_real_collections_have_their_counts(name: str, passages: int, queries: int, relevant: int) -> None:
    found = JUDGED[name](DATA)
    assert (len(found.passages), len(found.queries)) == (passages, queries)
    assert sum(len(query.relevant) for query in found.queries) == relevant


@needs_data
def test_every_gold_span_of_chunking_eval_lies_in_its_text() -> None:
    texts, questions = chunking_eval(DATA)
    assert (len(texts), len(questions), sum(len(question.spans) for question in questions)) == (5, 472, 790)
    assert all(0 <= a < b <= len(texts[question.corpus]) for question in questions for a, b in question.spans)
