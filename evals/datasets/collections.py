"""Readers of the public data sets that retrieval is measured on: passages, questions and what is relevant to them.

Each takes the folder that holds the data sets. What a data set needs of care is said at its reader.
"""

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

QRELS = "retrieval_qrels"


@dataclass(frozen=True, slots=True)
class LabelledPassage:
    """A passage and its title, which may be empty."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A question and the positions of the passages that are relevant to it."""

    id: str
    text: str
    relevant: frozenset[int]


@dataclass(frozen=True, slots=True)
class JudgedPassages:
    """A collection of passages with judged questions; passages are known by their position."""

    name: str
    passages: tuple[LabelledPassage, ...]
    queries: tuple[JudgedQuery, ...]


@dataclass(frozen=True, slots=True)
class SpanQuestion:
    """A question over one text and the spans `[start, end)`, in characters, that answer it."""

    text: str
    corpus: str
    spans: tuple[tuple[int, int], ...]


def cranfield(data: Path) -> JudgedPassages:
    """1,400 abstracts, 225 queries. The judgements number queries by position, from 1, and not by their <num>.

    The abstracts begin with their title, which is taken off the text. Two are empty. Grade 0 is not relevant.
    """
    folder = data / QRELS / "cranfield"
    documents = (folder / "cran.all.1400.xml").read_text(encoding="utf-8")
    passages: list[LabelledPassage] = []
    position: dict[str, int] = {}
    for document in ElementTree.fromstring(f"<all>{documents}</all>"):  # the file lacks an outermost element
        position[_line(document, "docno")] = len(passages)
        title, text = _line(document, "title"), _line(document, "text")
        passages.append(LabelledPassage(title, text.removeprefix(title).strip()))
    relevant: dict[int, set[int]] = {}
    for row in (folder / "cranqrel.trec.txt").read_text(encoding="utf-8").splitlines():
        query, _, document_number, grade = row.split()
        if int(grade) > 0:
            relevant.setdefault(int(query), set()).add(position[document_number])
    texts = [_line(topic, "title") for topic in ElementTree.parse(folder / "cran.qry.xml").getroot()]
    queries = [JudgedQuery(str(i), text, frozenset(relevant.get(i, ()))) for i, text in enumerate(texts, 1)]
    return JudgedPassages("cranfield", tuple(passages), tuple(queries))


def hotpotqa(data: Path) -> JudgedPassages:
    """994 passages, 100 questions, two supporting passages each, known by their titles."""
    folder = data / QRELS / "multihop"
    corpus: Mapping[str, list[str]] = json.loads((folder / "hotpotqa_train_corpus.json").read_text(encoding="utf-8"))
    passages = tuple(LabelledPassage(title, "".join(sentences)) for title, sentences in corpus.items())
    position = {passage.title: i for i, passage in enumerate(passages)}
    queries = [
        JudgedQuery(row["_id"], row["question"], frozenset(position[title] for title, _ in row["supporting_facts"]))
        for row in json.loads((folder / "hotpotqa_train.json").read_text(encoding="utf-8"))
    ]
    return JudgedPassages("hotpotqa", passages, tuple(queries))


def musique(data: Path) -> JudgedPassages:
    """1,890 passages, 100 questions, two to four supporting passages each. Titles repeat, so the text counts too."""
    folder = data / QRELS / "multihop"
    corpus = json.loads((folder / "musique_train_corpus.json").read_text(encoding="utf-8"))
    passages = tuple(LabelledPassage(row["title"], row["text"]) for row in corpus)
    position = {(passage.title, passage.text): i for i, passage in enumerate(passages)}
    queries = []
    for row in json.loads((folder / "musique_train.json").read_text(encoding="utf-8")):
        supporting = [item for item in row["paragraphs"] if item["is_supporting"]]
        relevant = frozenset(position[item["title"], item["paragraph_text"]] for item in supporting)
        queries.append(JudgedQuery(row["id"], row["question"], relevant))
    return JudgedPassages("musique", passages, tuple(queries))


JUDGED: Mapping[str, Callable[[Path], JudgedPassages]] = {
    "cranfield": cranfield,
    "hotpotqa": hotpotqa,
    "musique": musique,
}


def chunking_eval(data: Path) -> tuple[Mapping[str, str], tuple[SpanQuestion, ...]]:
    """Five texts by name, and 472 questions with the spans of their texts that answer them."""
    folder = data / QRELS / "chunking_eval"
    # newline="": offsets count the characters of the file as it is
    texts = {}
    for path in sorted(folder.glob("*.md")):
        with path.open(encoding="utf-8", newline="") as stream:
            texts[path.stem] = stream.read()
    with (folder / "questions_df.csv").open(encoding="utf-8", newline="") as stream:
        questions = [
            SpanQuestion(
                row["question"],
                row["corpus_id"],
                tuple((span["start_index"], span["end_index"]) for span in json.loads(row["references"])),
            )
            for row in csv.DictReader(stream)
        ]
    return texts, tuple(questions)


def _line(element: ElementTree.Element, tag: str) -> str:
    """An element's text on one line."""
    return " ".join((element.findtext(tag) or "").split())
