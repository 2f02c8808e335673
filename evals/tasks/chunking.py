"""Chunking: how much of the answers' text lies in the first chunks found, beside chunks of one fixed length.

    python -m evals.tasks.chunking DATA [--vectors FOLDER] [--json FILE]

The five texts of chunking_eval form one collection; each question has spans of characters that answer it. A question's
recall is the share of their characters that the first K chunks hold. Fixed chunks have the mean length of ours, are
cut wherever that falls, and are found by the same ranking.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.context import run_context
from evals.datasets.collections import SpanQuestion, chunking_eval
from evals.memory import MemoryIndex, Passage, cached_vectors
from evals.scorers import ranking as metrics
from indexes.documents import LoadedDocument
from indexes.encoders.embedding import BUNDLED, Encoder, make_encoder
from indexes.loaders.parts import markdown_headings, markdown_tables
from indexes.search.ranking import SearchMode
from indexes.search.retrieval import retrieve
from indexes.text.chunking import chunk

K = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of one of the texts: the characters `[start, end)` of the text of that name."""

    corpus: str
    start: int
    end: int
    context: str


@dataclass(frozen=True, slots=True)
class Score:
    """Mean recall of the gold characters in the first K chunks; `gain` is that over fixed chunks, by question."""

    chunking: str
    chunks: int
    mean_characters: float
    recall: float
    gain: metrics.Interval
    by_corpus: dict[str, float]


def ours(name: str, text: str) -> list[Piece]:
    """A Markdown text cut by `indexes.text.chunking`."""
    document = LoadedDocument(
        "markdown", name, text, headings=tuple(markdown_headings(text)), tables=tuple(markdown_tables(text))
    )
    return [Piece(name, span.start, span.end, span.context) for span in chunk(document)]


def fixed(name: str, text: str, length: int) -> list[Piece]:
    """A text cut every `length` characters, the last piece shorter."""
    return [Piece(name, start, min(start + length, len(text)), name) for start in range(0, len(text), length)]


def found_spans(question: SpanQuestion, pieces: Sequence[Piece], source: MemoryIndex) -> list[tuple[int, int]]:
    """The spans of the first K chunks, those of other texts left out."""
    best = retrieve(question.text, source, SearchMode.HYBRID, K)
    chosen = [pieces[item.chunk_id] for item in best]
    return [(piece.start, piece.end) for piece in chosen if piece.corpus == question.corpus]


def recalls(questions: Sequence[SpanQuestion], pieces: Sequence[Piece], source: MemoryIndex) -> list[float]:
    """Each question's recall."""
    return [metrics.covered(question.spans, found_spans(question, pieces, source)) for question in questions]


def index(
    pieces: Sequence[Piece], texts: dict[str, str], encoder: Encoder, folder: Path | None, label: str
) -> MemoryIndex:
    """The pieces in memory; a text is a document called by its name."""
    documents = {name: number for number, name in enumerate(texts)}
    passages = [
        Passage(documents[piece.corpus], piece.context, texts[piece.corpus][piece.start : piece.end], piece.corpus)
        for i, piece in enumerate(pieces)
    ]
    return MemoryIndex(passages, cached_vectors(folder, label, passages, encoder), encoder.encode_query)


def main() -> None:
    """Scores both ways of cutting and prints a table."""
    parser = argparse.ArgumentParser(description="Score chunking by the characters of gold spans that are found.")
    parser.add_argument("data", type=Path, help="the folder that holds retrieval_qrels/")
    parser.add_argument("--vectors", type=Path, help="keep the chunks' vectors in this folder")
    parser.add_argument("--json", type=Path, help="write the scores to a file")
    arguments = parser.parse_args()
    texts, questions = chunking_eval(arguments.data)
    encoder = make_encoder(BUNDLED)
    assert encoder is not None, "the bundled model's name makes an encoder"
    cut = {"fathom": [piece for name, text in texts.items() for piece in ours(name, text)]}
    length = round(sum(map(len, texts.values())) / len(cut["fathom"]))
    cut["fixed"] = [piece for name, text in texts.items() for piece in fixed(name, text, length)]
    values = {
        label: recalls(questions, pieces, index(pieces, dict(texts), encoder, arguments.vectors, label))
        for label, pieces in cut.items()
    }
    scores = []
    for label, pieces in cut.items():
        gain = metrics.bootstrap([a - b for a, b in zip(values[label], values["fixed"], strict=True)])
        mean_characters = sum(piece.end - piece.start for piece in pieces) / len(pieces)
        by_corpus = {
            name: metrics.mean([v for v, q in zip(values[label], questions, strict=True) if q.corpus == name])
            for name in texts
        }
        scores.append(Score(label, len(pieces), mean_characters, metrics.mean(values[label]), gain, by_corpus))
    for item in scores:
        print(
            f"{item.chunking:7} {item.chunks:,} chunks of {item.mean_characters:.0f} characters: recall in the first"
            f" {K} {item.recall:.3f}, over fixed {item.gain.mean:+.3f} [{item.gain.low:+.3f}, {item.gain.high:+.3f}]"
            f" n={item.gain.n};  " + ", ".join(f"{name} {value:.3f}" for name, value in item.by_corpus.items())
        )
    result = {"context": asdict(run_context()), "scores": [asdict(item) for item in scores]}
    print(result["context"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
