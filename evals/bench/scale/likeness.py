"""How like real text and real embeddings the generated ones are: neighbours' cosines and vocabulary, side by side.

    python -m evals.bench.scale.likeness DATA [--json FILE]

DATA holds the folders `pg_essays` and `retrieval_qrels`. Cosines are to the 1st, 10th and 100th nearest chunk, of
chunks among themselves and of questions, over as many generated chunks as there are real ones, because neighbours
come nearer as a collection grows. `spread` is the participation ratio of the covariance's eigenvalues: how many
directions vectors use, which decides how hard an approximate search is.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from evals.bench.scale.vectors import chunk_vectors, query_vectors
from evals.context import run_context
from evals.datasets.collections import hotpotqa
from evals.datasets.generated import BLOCK_DOCUMENTS, DOCUMENT_CHUNKS, blocks, documents, queries
from indexes.documents import LoadedDocument
from indexes.encoders.embedding import Vectors, make_encoder
from indexes.text.chunking import chunk
from indexes.text.tokens import terms

RANKS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Likeness:
    """Vectors of some texts described: medians over them; `cosines` by rank of the neighbour."""

    name: str
    texts: int
    among: int
    cosines: dict[int, float]
    any_two: float
    spread: float | None
    terms: int
    different_terms: int


def nearest(vectors: Vectors, among: Vectors, ranks: Sequence[int] = RANKS, itself: bool = False) -> dict[int, float]:
    """Median cosine of vectors [n, d] to their 1st, 10th … nearest of others [m, d].

    `itself`: the vectors are those they are compared with, and each one's cosine to itself does not count.
    """
    cosines = vectors @ among.T
    if itself:
        np.fill_diagonal(cosines, -np.inf)
    cosines = -np.sort(-cosines, axis=1)
    there = cosines.shape[1] - itself
    return {rank: round(float(np.median(cosines[:, rank - 1])), 3) for rank in ranks if rank <= there}


def spread(vectors: Vectors) -> float:
    """(Σλ)² / Σλ² over the eigenvalues λ of the covariance: d for equal variance everywhere, 1 for a line."""
    values = np.linalg.eigvalsh(np.cov(vectors, rowvar=False))
    return float(values.sum() ** 2 / (values**2).sum())


def described(name: str, texts: Sequence[str], vectors: Vectors, among: Vectors | None = None) -> Likeness:
    """What is measured of texts and their vectors; `among` are the vectors that are searched, if others."""
    others = vectors if among is None else among
    found = [term for text in texts for term in terms(text)]
    return Likeness(
        name,
        len(texts),
        len(others),
        nearest(vectors, others, itself=among is None),
        round(float(np.median(vectors[: len(vectors) // 2] @ others[len(others) // 2 :].T)), 3),
        round(spread(vectors), 1) if among is None else None,
        len(found),
        len(set(found)),
    )


def real(data: Path) -> list[Likeness]:
    """Essays cut into chunks, and the passages and questions of HotpotQA, embedded by the bundled model."""
    encoder = make_encoder("all-MiniLM-L6-v2")
    assert encoder is not None
    essays: list[str] = []
    for path in sorted((data / "pg_essays").glob("*.txt")):
        text = path.read_text(encoding="utf-8", errors="replace")
        essays.extend(text[span.start : span.end] for span in chunk(LoadedDocument("text", path.stem, text)))
    judged = hotpotqa(data)
    passages = [f"{passage.title}\n{passage.text}" for passage in judged.passages]
    asked = [query.text for query in judged.queries]
    passage_vectors = encoder.encode(passages)
    return [
        described("essays, MiniLM", essays, encoder.encode(essays)),
        described("HotpotQA passages, MiniLM", passages, passage_vectors),
        described("HotpotQA questions, MiniLM", asked, encoder.encode(asked), passage_vectors),
    ]


def generated(chunks: int, questions: int = 100) -> list[Likeness]:
    """As many generated chunks, and questions about them."""
    count = -(-chunks // DOCUMENT_CHUNKS)
    texts: list[str] = []
    vectors: list[Vectors] = []
    for some in blocks(count):
        kept = min(BLOCK_DOCUMENTS, count - some.first_document)
        texts.extend(text for document in list(documents(some))[:kept] for text in document.paragraphs)
        vectors.append(chunk_vectors(some)[: kept * DOCUMENT_CHUNKS])
    stacked = np.concatenate(vectors)
    asked = queries(questions, count)
    return [
        described("generated chunks", texts, stacked),
        described("generated questions", [query.text for query in asked], query_vectors(asked), stacked),
    ]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Compare generated text and vectors with real ones.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    arguments = parser.parse_args()
    rows = [*real(arguments.data), *generated(1_000)]
    print(f"{'':28} {'texts':>6} {'among':>6} {'terms':>8} {'different':>9} {'cos 1':>6} {'10':>6} {'100':>6}", end="")
    print(f" {'any':>6} {'spread':>6}")
    for row in rows:
        near = " ".join(f"{row.cosines.get(rank, float('nan')):6.3f}" for rank in RANKS)
        wide = "" if row.spread is None else f"{row.spread:6.1f}"
        print(f"{row.name:28} {row.texts:6} {row.among:6} {row.terms:8} {row.different_terms:9} {near}", end="")
        print(f" {row.any_two:6.3f} {wide:>6}")
    context = asdict(run_context(("sentence-transformers", "torch", "numpy")))
    print(context)
    if arguments.json:
        report = {"context": context, "likeness": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
