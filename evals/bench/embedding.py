"""Speed, start and quality of the backends that compute vectors, beside sentence-transformers as it comes.

    python -m evals.bench.embedding DATA [--passages 400] [--rounds 3] [--backends openvino-int8,auto]
        [--only speed,start,quality] [--json FILE]

DATA holds `retrieval_qrels/` and `pg_essays/`. Speed: the backends embed the same real passages in turns; each round
gives a ratio to `naive`, and the median of the ratios is what counts. Seconds of all cores (`cpu`) are given beside
wall time, for a machine that others use too. Start: a new process until its first query is a vector, with the model
converted before. Quality: nDCG@10 of dense search alone, every passage and question embedded by each backend.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from evals.context import run_context
from evals.datasets.collections import JUDGED, JudgedPassages
from evals.scorers.ranking import Interval, bootstrap, ndcg
from indexes.encoders.embedding import BUNDLED, SentenceEncoder, Vectors
from indexes.encoders.files import locate
from indexes.encoders.processor import cpu_flags, threads
from indexes.encoders.sentence import Choice

NAIVE = "naive"
K = 10
CHUNK_CHARACTERS = 900
PACKAGES = ("openvino", "torch", "sentence-transformers", "tokenizers", "numpy")
PARTS = ("speed", "start", "quality")
_NAIVE_BATCH = 32
_TOLD_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Speed:
    """One backend over one round: passages a second of wall time, and seconds of all cores for 1,000 passages."""

    per_second: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Quality:
    """nDCG@10 over the questions of a collection, the mean difference to `naive`, and how alike the vectors are."""

    ndcg: float
    difference: Interval
    cosine_mean: float
    cosine_least: float


def naive_embed() -> Embed:
    """What a first program would do: the texts as they come, in batches of 32, in float32."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate(BUNDLED).folder), device="cpu").float()

    def embed(texts: Sequence[str]) -> Vectors:
        vectors: Vectors = model.encode(list(texts), batch_size=_NAIVE_BATCH, show_progress_bar=False)
        return vectors

    return embed


def backends(choices: Sequence[Choice]) -> tuple[dict[str, Embed], dict[str, str]]:
    """What embeds, and what each says of itself, by name."""
    encoders = {choice.value: SentenceEncoder(BUNDLED, choice) for choice in choices}
    described = {name: encoder.description for name, encoder in encoders.items()}
    return {NAIVE: naive_embed(), **{name: encoder.encode for name, encoder in encoders.items()}}, described


def passages(data: Path, count: int) -> list[str]:
    """Passages of the collections and pieces of essays, `count` in all, evenly taken from each and mixed."""
    sources = [passage_texts(read(data)) for read in JUDGED.values()]
    sources.append([piece for path in sorted((data / "pg_essays").glob("*.txt")) for piece in pieces(path.read_text())])
    share = -(-count // len(sources))
    taken = [text for source in sources for text in source[:: max(1, len(source) // share)][:share]]
    order = np.random.default_rng(0).permutation(len(taken))
    return [taken[i] for i in order][:count]


def passage_texts(collection: JudgedPassages) -> list[str]:
    """Title and text of each passage, as they are embedded."""
    return [f"{passage.title}\n{passage.text}".strip() for passage in collection.passages]


def pieces(text: str) -> list[str]:
    """A text in pieces of about CHUNK_CHARACTERS, cut at spaces."""
    found, start = [], 0
    while start < len(text):
        end = text.rfind(" ", start + 1, start + CHUNK_CHARACTERS)
        end = end if end > 0 and start + CHUNK_CHARACTERS < len(text) else start + CHUNK_CHARACTERS
        found.append(text[start:end].strip())
        start = end
    return [piece for piece in found if piece]


def measure_speed(embedders: Mapping[str, Embed], texts: Sequence[str], rounds: int) -> dict[str, list[Speed]]:
    """One value a round. Each embeds a few texts first, so that no round pays for what is prepared once."""
    for embed in embedders.values():
        embed(texts[:32])
    found: dict[str, list[Speed]] = {name: [] for name in embedders}
    for _ in range(rounds):
        for name, embed in embedders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            embed(texts)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found[name].append(Speed(len(texts) / wall, cpu / len(texts) * 1000))
    return found


def ratios(speeds: Mapping[str, Sequence[Speed]], name: str) -> tuple[float, float]:
    """How many times as fast as `naive`: medians over the rounds of wall time and of seconds of all cores."""
    pairs = list(zip(speeds[name], speeds[NAIVE], strict=True))
    return (
        statistics.median(ours.per_second / naive.per_second for ours, naive in pairs),
        statistics.median(naive.cpu_seconds / ours.cpu_seconds for ours, naive in pairs),
    )


def measure_start(runs: int) -> dict[str, list[float]]:
    """Seconds of new processes from the import to the first query's vector, by choice."""
    found: dict[str, list[float]] = {}
    code = (
        "import time\nstarted = time.perf_counter()\nfrom indexes.encoders.embedding import make_encoder\n"
        f"make_encoder({BUNDLED!r}).encode_query('who sells cells')\nprint(time.perf_counter() - started)"
    )
    for choice in (Choice.AUTO, Choice.TORCH) * runs:
        done = subprocess.run(
            [sys.executable, "-c", f"import os\nos.environ['FATHOM_ENCODER'] = {choice.value!r}\n{code}"],
            capture_output=True,
            text=True,
            check=True,
        )
        found.setdefault(choice.value, []).append(float(done.stdout.split()[-1]))
    return found


def measure_quality(embedders: Mapping[str, Embed], collection: JudgedPassages) -> dict[str, Quality]:
    """Every backend embeds every passage and question of a collection."""
    texts = [*passage_texts(collection), *(query.text for query in collection.queries)]
    vectors = {name: embed(texts) for name, embed in embedders.items()}
    scores = {name: question_scores(found, collection) for name, found in vectors.items()}
    result = {}
    for name, values in scores.items():
        cosines = np.sum(vectors[name] * vectors[NAIVE], axis=1)
        difference = bootstrap([ours - naive for ours, naive in zip(values, scores[NAIVE], strict=True)])
        mean = bootstrap(values).mean
        result[name] = Quality(mean, difference, float(cosines.mean()), float(cosines.min()))
    return result


def question_scores(vectors: Vectors, collection: JudgedPassages) -> list[float]:
    """nDCG@10 of each question; the first rows are the passages, the others the questions. Ties keep corpus order."""
    documents, questions = np.split(vectors, [len(collection.passages)])
    ranked = np.argsort(-(questions @ documents.T), axis=1, kind="stable")[:, :K]
    return [ndcg(row.tolist(), query.relevant, K) for row, query in zip(ranked, collection.queries, strict=True)]


def main() -> None:
    """Measures, prints."""
    parser = argparse.ArgumentParser(description="Compare the backends that compute vectors.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--passages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--backends", default="openvino-float32,openvino-int8,auto", help="as FATHOM_ENCODER names them"
    )
    parser.add_argument("--only", default=",".join(PARTS), help="some of speed,start,quality")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    embedders, described = backends([Choice(name) for name in arguments.backends.split(",")])
    report: dict[str, object] = {
        "context": asdict(run_context(PACKAGES)),
        "flags": [flag for flag in _TOLD_FLAGS if flag in cpu_flags()],
        "threads": threads(),
        "backends": described,
    }
    print(json.dumps(report, indent=1))
    if "speed" in parts:
        texts = passages(arguments.data, arguments.passages)
        speeds = measure_speed(embedders, texts, arguments.rounds)
        report["speed"] = {name: [asdict(speed) for speed in values] for name, values in speeds.items()}
        print(f"\n{len(texts)} passages, {sum(map(len, texts)) / len(texts):.0f} characters on average")
        for name, values in speeds.items():
            rate = statistics.median(speed.per_second for speed in values)
            cpu = statistics.median(speed.cpu_seconds for speed in values)
            wall_ratio, cpu_ratio = ratios(speeds, name)
            print(
                f"{name:18} {rate:7.1f}/s ×{wall_ratio:.2f}   {cpu:6.1f} cpu s/1000 ×{cpu_ratio:.2f}   n={len(values)}"
            )
    if "start" in parts:
        starts = measure_start(arguments.rounds)
        report["start"] = starts
        for name, seconds in starts.items():
            print(f"start {name:12} {statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})")
    if "quality" in parts:
        qualities = {name: measure_quality(embedders, read(arguments.data)) for name, read in JUDGED.items()}
        report["quality"] = {
            name: {backend: asdict(quality) for backend, quality in found.items()} for name, found in qualities.items()
        }
        for name, found in qualities.items():
            for backend, quality in found.items():
                low, high = quality.difference.low, quality.difference.high
                print(
                    f"{name:10} {backend:18} nDCG@10 {quality.ndcg:.4f} {quality.difference.mean:+.4f}"
                    f" [{low:+.4f}, {high:+.4f}] n={quality.difference.n}"
                    f"  cosine {quality.cosine_mean:.4f}, least {quality.cosine_least:.4f}"
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
