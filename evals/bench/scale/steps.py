"""The steps of the scale benchmark, each a process of its own so that its memory is its own.

    python -m evals.bench.scale.steps STEP JSON    arguments in, figures out as the last line

Steps work in one folder: the collection in `.fathom`, questions in `questions.json` and `questions.npy`.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def run_step(step: str, /, **arguments: Any) -> Figures:
    """The figures of a step in a new process, its peak memory among them.

    Raises RuntimeError where it fails, with the end of what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "evals.bench.scale.steps", step, json.dumps(arguments, default=str)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    if done.returncode:
        said = done.stderr.strip()[-1_500:] or "nothing on stderr; killed for its memory?"
        raise RuntimeError(f"step {step} {arguments}: exit code {done.returncode}\n{said}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def peak_mib() -> float:
    """Highest resident memory of this process and of its largest child, mapped files included.

    VmHWM where there is /proc: the kernel's ru_maxrss of a new process begins at that of its parent.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round((own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024, 1)


def build(folder: str, chunks: int, questions: int, seed: int) -> Figures:
    """A collection of generated documents, and questions about it."""
    from evals.bench.scale.build import build_collection, write_questions

    write_questions(Path(folder), chunks, questions, seed)
    before = peak_mib()
    return {**build_collection(Path(folder), 0, chunks, seed), "generator_mib": before}


def add(folder: str, chunks: int, more: int, seed: int) -> Figures:
    """More documents in a collection that holds `chunks` chunks."""
    from evals.bench.scale.build import build_collection

    return build_collection(Path(folder), chunks, chunks + more, seed)


def open_indexes(folder: str, evict: bool) -> Figures:
    """Opens a collection and its indexes, after taking its files out of the page cache if that is asked for."""
    from evals.bench.scale.search import questions

    if evict:
        for path in Path(folder, ".fathom").rglob("*"):
            if path.is_file():
                _evict(path)
    asked = questions(Path(folder))
    clock = time.perf_counter
    started = clock()
    import faiss  # noqa: F401, its import is part of what is timed

    from indexes.collection import Collection
    from indexes.search.ranking import SearchMode
    from indexes.search.view import open_view
    from indexes.storage.store import Store

    imported = clock()
    store = Store.open(Path(folder, ".fathom"))
    with store.snapshot():
        open_view(store, last_try=False)
    opened = clock()
    store.close()
    collection = Collection.open(Path(folder, ".fathom"), lambda _: asked)
    between = clock()
    collection.search(asked.texts[0], mode=SearchMode.HYBRID)
    return {
        "import_s": round(imported - started, 4),
        "open_s": round(opened - imported, 4),
        "first_query_s": round(clock() - between, 4),
    }


def search(folder: str, modes: list[str], rounds: int) -> Figures:
    """Times of questions by mode."""
    from evals.bench.scale.search import search_times

    return search_times(Path(folder), modes, rounds)


def recall(folder: str) -> Figures:
    """How much of the exact nearest chunks the dense index finds."""
    from evals.bench.scale.search import dense_recall

    return dense_recall(Path(folder))


def terms(folder: str, into: str) -> Figures:
    """The terms of all chunks, and of the questions, for the lexical contenders."""
    from evals.bench.scale.contest import write_terms

    return write_terms(Path(folder), Path(into))


def contender(name: str, folder: str) -> Figures:
    """Builds the index of a lexical contender."""
    from evals.bench.scale.contest import build_contender

    return build_contender(name, Path(folder))


def agree(folder: str) -> Figures:
    """How far the contenders' results are those of exact scores."""
    from evals.bench.scale.contest import agreements

    return agreements(Path(folder))


STEPS: Mapping[str, Callable[..., Figures]] = {
    step.__name__: step for step in (build, add, open_indexes, search, recall, terms, contender, agree)
}


def _evict(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def main() -> None:
    """Runs the step that the command line names."""
    name, arguments = sys.argv[1:]
    figures = STEPS[name](**json.loads(arguments))
    print(json.dumps({**figures, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
