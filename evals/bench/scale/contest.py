"""The lexical contenders side by side: each builds, loads and answers in a process of its own, questions in turns.

python -m evals.bench.scale.contest NAME FOLDER    serves a contender: a line in asks for a round
"""

import json
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from evals.bench.lexical import CONTENDERS, RANK_BM25_CHUNKS, TermChunks, agreement, described, exact, written_bytes
from evals.bench.scale.build import FOLDER
from evals.bench.scale.search import questions
from evals.bench.scale.steps import peak_mib, run_step
from indexes.storage.store import Store
from indexes.text.tokens import index_terms, query_terms

_DEPTH = 100  # results that are asked for, as the collection asks its lexical index
_WARM_UP = 20
_QUESTIONS, _FOUND = "questions.json", "found.json"
_SLOW = "rank-bm25"  # one round is enough


def write_terms(folder: Path, into: Path) -> dict[str, Any]:
    """Writes the terms of a collection's chunks, and the different terms of its questions."""
    numbers: dict[str, int] = {}
    ids, ends = array("i"), array("q")
    store = Store.open(folder / FOLDER)
    for _, context, text in store.chunk_texts(1, store.last_chunk()):
        ids.extend([numbers.setdefault(term, len(numbers)) for term in index_terms(context, text)])
        ends.append(len(ids))
    store.close()
    TermChunks(np.frombuffer(ids, np.int32), np.frombuffer(ends, np.int64), list(numbers)).write(into)
    asked = [list(dict.fromkeys(query_terms(text))) for text in questions(folder).texts]
    (into / _QUESTIONS).write_text(json.dumps(asked), encoding="utf-8")
    return {"chunks": len(ends), "terms": len(ids), "different_terms": len(numbers)}


def compare(folder: Path, into: Path, rounds: int) -> dict[str, Any]:
    """Figures of every contender by name over a collection's chunks; `into` is an empty folder for their files."""
    about = run_step("terms", folder=folder, into=into)
    names = [name for name in CONTENDERS if name != _SLOW or about["chunks"] <= RANK_BM25_CHUNKS]
    figures: dict[str, dict[str, Any]] = {}
    servers: dict[str, _Server] = {}
    try:
        for name in names:
            place = _place(name, into)
            place.mkdir()
            if name != _SLOW:  # it has no files: it is built where it is asked
                figures[name] = run_step("contender", name=name, folder=into)
        for name in names:
            servers[name] = _Server(name, into)
        times: dict[str, list[float]] = {name: [] for name in names}
        found: dict[str, list[list[int]]] = {}
        for number in range(rounds):
            for name, server in servers.items():
                if number == 0 or name != _SLOW:
                    ms, found[name] = server.round()
                    times[name].extend(ms)
        for name, server in servers.items():
            loaded = server.end()
            figures[name] = {**figures.get(name, {}), **loaded, **described(times[name])}
    finally:
        for server in servers.values():
            server.kill()
    (into / _FOUND).write_text(json.dumps(found), encoding="utf-8")
    shares = run_step("agree", folder=into)
    for name in names:
        figures[name]["agreement_at_10"] = shares[name]
    return {**about, "contenders": figures}


def build_contender(name: str, into: Path) -> dict[str, Any]:
    """Builds a contender's files from the terms in a folder."""
    chunks, contender, place = TermChunks.read(into), CONTENDERS[name](), _place(name, into)
    before = peak_mib()
    started = time.perf_counter()
    contender.build(chunks, place)
    seconds = time.perf_counter() - started
    return {"build_s": round(seconds, 3), "bytes": written_bytes(place), "before_mib": before}


def agreements(into: Path) -> dict[str, Any]:
    """Mean share of the exact best 10 that each contender found, over questions with any result."""
    found: dict[str, list[list[int]]] = json.loads((into / _FOUND).read_text(encoding="utf-8"))
    shares: dict[str, list[float]] = {name: [] for name in found}
    for number, scores in enumerate(exact(TermChunks.read(into), _questions(into))):
        for name, answers in found.items():
            shares[name].append(agreement(answers[number], scores))
    return {name: round(float(np.nanmean(values)), 4) for name, values in shares.items()}


class _Server:
    """A contender in a process that has loaded its index and answers rounds of all questions."""

    def __init__(self, name: str, into: Path) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evals.bench.scale.contest", name, str(into)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        self._loaded = self._said()

    def round(self) -> tuple[list[float], list[list[int]]]:
        """Times in ms and results of all questions."""
        self._ask("round")
        said = self._said()
        return said["ms"], said["found"]

    def end(self) -> dict[str, Any]:
        """What loading took, and the memory; the process ends."""
        self._ask("end")
        return {**self._loaded, **self._said()}

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self._name} ended with {self._process.wait()}; its memory?")
        said: dict[str, Any] = json.loads(line)
        return said


def _serve(name: str, into: Path) -> None:
    asked = _questions(into)
    contender = CONTENDERS[name]()
    started = time.perf_counter()
    contender.load(_place(name, into))
    loaded = time.perf_counter() - started
    for terms in asked[:_WARM_UP]:
        contender.search(terms, _DEPTH)
    print(json.dumps({"load_s": round(loaded, 4)}), flush=True)
    while sys.stdin.readline().strip() == "round":
        ms, found = [], []
        for terms in asked:
            started = time.perf_counter()
            found.append(contender.search(terms, _DEPTH))
            ms.append((time.perf_counter() - started) * 1000)
        print(json.dumps({"ms": ms, "found": found}), flush=True)
    print(json.dumps({"query_peak_mib": peak_mib()}), flush=True)


def _place(name: str, into: Path) -> Path:
    return into / name.replace(", ", "-")


def _questions(into: Path) -> list[list[str]]:
    asked: list[list[str]] = json.loads((into / _QUESTIONS).read_text(encoding="utf-8"))
    return asked


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
