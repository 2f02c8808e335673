"""Ranking on three judged collections: nDCG@10, recall and MRR of fathom's ranking and of the simple ones beside it.

    python -m evals.tasks.retrieval DATA [--vectors FOLDER] [--leave-one-out] [--json FILE]

Every passage is a document of its own, called by its title. All collections are ranked with one setting. Differences
are those of the same questions, with a bootstrap interval. With --leave-one-out the setting is chosen from a small
grid by the other two collections, and scored on the one left out.
"""

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

from evals.context import run_context
from evals.datasets.collections import JUDGED, JudgedPassages
from evals.memory import MemoryIndex, Passage, cached_vectors
from evals.scorers import ranking as metrics
from indexes.encoders.embedding import BUNDLED, Encoder, make_encoder
from indexes.search.fusion import best_first
from indexes.search.ranking import SearchMode
from indexes.search.retrieval import Fused, RankSettings, retrieve
from indexes.segments.lexical import Scored
from indexes.text.tokens import embedding_text, terms

K = 10
DEPTH = 100
BASELINE = "min-max 0.3/0.7"
FATHOM = "fathom"

Ranker = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Score:
    """Means over the questions; `gain` is that of nDCG over BASELINE, question by question."""

    collection: str
    ranking: str
    ndcg: float
    recall: float
    mrr: float
    gain: metrics.Interval
    median_ms: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the setting that is best for the other collections scores here."""

    collection: str
    chosen: RankSettings
    ndcg: float


@dataclass(frozen=True, slots=True)
class Indexed:
    """A collection in memory: as fathom indexes it, and `plain`, by words alone and titles no heavier than text."""

    fathom: MemoryIndex
    plain: MemoryIndex


def index(collection: JudgedPassages, encoder: Encoder, folder: Path | None = None) -> Indexed:
    """A collection in memory, its vectors kept in a folder if one is given."""
    passages = [Passage(i, p.title, p.text, p.title) for i, p in enumerate(collection.passages)]
    vectors = cached_vectors(folder, collection.name, passages, encoder)
    known = {query.text: encoder.encode_query(query.text) for query in collection.queries}
    return Indexed(
        MemoryIndex(passages, vectors, known.__getitem__),
        MemoryIndex(passages, vectors, known.__getitem__, lambda context, text: terms(embedding_text(context, text))),
    )


def rankers(indexed: Indexed) -> Mapping[str, Ranker]:
    """The rankings that are compared, by name."""
    source, plain = indexed.fathom, indexed.plain

    def fathom(mode: SearchMode) -> Ranker:
        return lambda query: _ids(retrieve(query, source, mode, DEPTH))

    return {
        "BM25": lambda query: _ids(_lexical(plain, query, DEPTH)),
        "dense": lambda query: _ids(source.dense(source.encode_query(query), DEPTH)),
        BASELINE: lambda query: _ids(_min_max_fusion(plain, query)),
        f"{FATHOM}, lexical": fathom(SearchMode.LEXICAL),
        FATHOM: fathom(SearchMode.HYBRID),
    }


def score(collection: JudgedPassages, rankings: Mapping[str, Ranker]) -> list[Score]:
    """Every ranking over all questions. Raises KeyError where BASELINE is not among them."""
    found: dict[str, list[list[int]]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in rankings}
    for name, rank in rankings.items():
        found[name] = []
        for query in collection.queries:
            started = time.perf_counter()
            found[name].append(rank(query.text))
            seconds[name].append(time.perf_counter() - started)
    relevant = [query.relevant for query in collection.queries]
    floor = _ndcgs(found[BASELINE], relevant)
    scores = []
    for name, lists in found.items():
        ndcgs = _ndcgs(lists, relevant)
        recalls = [metrics.recall(ids, wanted, K) for ids, wanted in zip(lists, relevant, strict=True)]
        ranks = [metrics.reciprocal_rank(ids, wanted) for ids, wanted in zip(lists, relevant, strict=True)]
        gain = metrics.bootstrap([a - b for a, b in zip(ndcgs, floor, strict=True)])
        ndcg, recall, mrr = metrics.mean(ndcgs), metrics.mean(recalls), metrics.mean(ranks)
        median_ms = 1000 * statistics.median(seconds[name])
        scores.append(Score(collection.name, name, ndcg, recall, mrr, gain, median_ms))
    return scores


def leave_one_out(
    sources: Sequence[tuple[JudgedPassages, MemoryIndex]], settings: Sequence[RankSettings]
) -> list[LeftOut]:
    """For each collection, the setting with the highest mean nDCG on the others, and its nDCG here."""
    table = {
        collection.name: [
            metrics.mean(
                _ndcgs(
                    [_ids(retrieve(query.text, source, SearchMode.HYBRID, K, some)) for query in collection.queries],
                    [query.relevant for query in collection.queries],
                )
            )
            for some in settings
        ]
        for collection, source in sources
    }
    found = []
    for name, here in table.items():
        others = [values for other, values in table.items() if other != name]
        best = max(range(len(settings)), key=lambda i: sum(values[i] for values in others))
        found.append(LeftOut(name, settings[best], here[best]))
    return found


def grid() -> list[RankSettings]:
    """Nine settings about the default: the dense share, and the strength of all further evidence."""
    base = RankSettings()
    return [
        replace(
            base,
            dense_weight=weight,
            asked=factor * base.asked,
            named=factor * base.named,
            named_by_best=factor * base.named_by_best,
            like_best=factor * base.like_best,
        )
        for weight, factor in product((0.6, 0.7, 0.8), (0.5, 1.0, 1.5))
    ]


def _lexical(source: MemoryIndex, query: str, k: int) -> list[Scored]:
    return source.lexical({term: float(count) for term, count in Counter(terms(query)).items()}, k)


def _min_max_fusion(source: MemoryIndex, query: str) -> list[Scored]:
    """0.3 · BM25 + 0.7 · dense, both min-max-normalised over the whole collection: the ranking to beat."""
    everything = len(source)
    lexical = {item.chunk_id: item.score for item in _lexical(source, query, everything)}
    dense = {item.chunk_id: item.score for item in source.dense(source.encode_query(query), everything)}
    low, high, most = min(dense.values()), max(dense.values()), max(lexical.values(), default=0.0) or 1.0
    span = high - low or 1.0
    mixed = {i: 0.3 * lexical.get(i, 0.0) / most + 0.7 * (cosine - low) / span for i, cosine in dense.items()}
    return best_first(mixed)[:DEPTH]


def _ndcgs(lists: Sequence[Sequence[int]], relevant: Sequence[frozenset[int]]) -> list[float]:
    return [metrics.ndcg(ids, wanted, K) for ids, wanted in zip(lists, relevant, strict=True)]


def _ids(found: Sequence[Scored] | Sequence[Fused]) -> list[int]:
    return [item.chunk_id for item in found]


def main() -> None:
    """Scores the three collections and prints a table."""
    parser = argparse.ArgumentParser(description="Score the ranking on judged collections.")
    parser.add_argument("data", type=Path, help="the folder that holds retrieval_qrels/")
    parser.add_argument("--vectors", type=Path, help="keep the passages' vectors in this folder")
    parser.add_argument("--leave-one-out", action="store_true", help="also choose settings by the other collections")
    parser.add_argument("--json", type=Path, help="write the scores to a file")
    arguments = parser.parse_args()
    scores: list[Score] = []
    sources: list[tuple[JudgedPassages, MemoryIndex]] = []
    encoder = make_encoder(BUNDLED)
    assert encoder is not None, "the bundled model's name makes an encoder"
    for read in JUDGED.values():
        collection = read(arguments.data)
        indexed = index(collection, encoder, arguments.vectors)
        sources.append((collection, indexed.fathom))
        print(f"{collection.name}: {len(collection.passages):,} passages, {len(collection.queries)} questions")
        for item in score(collection, rankers(indexed)):
            scores.append(item)
            print(
                f"  {item.ranking:16} nDCG@{K} {item.ndcg:.3f}  recall@{K} {item.recall:.3f}  MRR {item.mrr:.3f}  over"
                f" {BASELINE}: {item.gain.mean:+.3f} [{item.gain.low:+.3f}, {item.gain.high:+.3f}] n={item.gain.n}"
                f"  median {item.median_ms:.1f} ms without encoding"
            )
    result: dict[str, object] = {"context": asdict(run_context()), "scores": [asdict(item) for item in scores]}
    if arguments.leave_one_out:
        left_out = leave_one_out(sources, grid())
        for out in left_out:
            print(f"{out.collection}: nDCG@{K} {out.ndcg:.3f} with the best of the other collections: {out.chosen}")
        result["leave_one_out"] = [asdict(out) for out in left_out]
    print(result["context"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
