"""PDFs of filings: speed and memory of the loader beside PDFium's own text, and evidence found in the text.

    python -m evals.bench.pdfs DATA [--rounds 3] [--json FILE]

DATA holds `financebench/` and `kgrag_sec10q/`. Reading is measured on the PDFs of both, each reader in a process of its
own, in turns. Evidence is looked for on its page: the words as a multiset, the lines of the evidence word by word, and
the rows of its tables, label and values, in one line of the text. What is not found is listed with the reason.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.bench.pdf_evidence import Evidence, Found, look_for, read_evidence
from evals.context import run_context

PACKAGES = ("pypdfium2", "numpy")
READERS = ("pypdfium2", "fathom")


@dataclass(frozen=True, slots=True)
class Reading:
    """One process that read all files: wall time and its own time on the processor.

    `rest_mib` is its memory before the first file.
    """

    pages: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    rest_mib: float

    @property
    def pages_per_second(self) -> float:
        """Pages a second."""
        return self.pages / self.seconds


def pdf_files(data: Path) -> list[Path]:
    """The PDFs of both collections. Raises FileNotFoundError where there are none."""
    files = sorted(data.glob("financebench/pdfs/*.pdf")) + sorted(data.glob("kgrag_sec10q/docs/*.pdf"))
    if not files:
        raise FileNotFoundError(f"{data} holds no financebench/pdfs/*.pdf and no kgrag_sec10q/docs/*.pdf")
    return files


def plain_pages(path: Path) -> list[str]:
    """The text of each page as PDFium gives it: the limit of what a loader built on it can reach."""
    import pypdfium2

    texts = []
    source = pypdfium2.PdfDocument(path)
    for page in source:
        text_page = page.get_textpage()
        texts.append(text_page.get_text_range())
        text_page.close()
        page.close()
    source.close()
    return texts


def loaded_pages(path: Path) -> list[str]:
    """The text of each page as the loader gives it."""
    from indexes.loaders.limits import LoadLimits
    from indexes.loaders.pdf.document import load_pdf

    document = load_pdf(path, LoadLimits())
    return [document.text[page.start : page.end] for page in document.pages]


_PAGES: dict[str, Callable[[Path], list[str]]] = {"pypdfium2": plain_pages, "fathom": loaded_pages}


def read_all(reader: str, files: Sequence[Path]) -> Reading:
    """Reads the files in this process."""
    read = _PAGES[reader]
    rest_mib = _peak_mib()
    started, cpu = time.perf_counter(), time.process_time()
    pages = sum(len(read(path)) for path in files)
    return Reading(pages, time.perf_counter() - started, time.process_time() - cpu, _peak_mib(), rest_mib)


def _peak_mib() -> float:
    """Peak resident memory of this process. Linux's `ru_maxrss` would begin with that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        if peaks := [line.split()[1] for line in lines if line.startswith("VmHWM:")]:
            return int(peaks[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def read_apart(reader: str, data: Path) -> Reading:
    """Reads the PDFs in a new process. Raises RuntimeError where it fails."""
    command = [sys.executable, "-m", "evals.bench.pdfs", str(data), "--reader", reader]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return Reading(**json.loads(done.stdout))


def measure(data: Path, rounds: int) -> dict[str, list[Reading]]:
    """Readings by reader, the readers taking turns."""
    readings: dict[str, list[Reading]] = {reader: [] for reader in READERS}
    for _ in range(rounds):
        for reader in READERS:
            readings[reader].append(read_apart(reader, data))
    return readings


def search(evidence: Sequence[Evidence], folder: Path, reader: str) -> list[Found]:
    """What of the evidence is found on its page, in the order of the evidence."""
    pages: dict[str, list[str]] = {}
    found = []
    for item in evidence:
        if item.document not in pages:
            pages[item.document] = _PAGES[reader](folder / f"{item.document}.pdf")
        found.append(look_for(item, pages[item.document]))
    return found


def shares(found: Sequence[Found]) -> dict[str, str]:
    """Shares with their counts."""
    tables = [item for item in found if item.rows]
    rows, kept = sum(item.rows for item in tables), sum(item.rows_in_line for item in tables)
    lines, in_order = sum(item.lines for item in found), sum(item.lines_in_order for item in found)

    def share(part: int, whole: int) -> str:
        return f"{part / whole:.3f} ({part}/{whole})" if whole else "none"

    return {
        "strings with 90% of their words on the page": share(sum(item.words for item in found), len(found)),
        "strings with all lines word by word": share(
            sum(item.lines == item.lines_in_order for item in found), len(found)
        ),
        "lines word by word": share(in_order, lines),
        f"table rows in one line, of {len(tables)} tables": share(kept, rows),
    }


def _print_readings(readings: dict[str, list[Reading]]) -> None:
    """Rates and memory, and the ratio of times; on a busy machine the processor's time tells more."""
    for reader, runs in readings.items():
        rates = [run.pages_per_second for run in runs]
        print(
            f"{reader:10} {statistics.median(rates):7.1f} pages/s"
            f" ({min(rates):.1f} to {max(rates):.1f}, n={len(runs)}), {runs[0].pages} pages,"
            f" peak {max(run.peak_mib for run in runs):.0f} MiB"
            f" ({max(run.rest_mib for run in runs):.0f} at rest)"
        )
    pairs = list(zip(readings["pypdfium2"], readings["fathom"], strict=True))
    times = {
        "wall": [ours.seconds / plain.seconds for plain, ours in pairs],
        "processor": [ours.cpu_seconds / plain.cpu_seconds for plain, ours in pairs],
    }
    for name, ratios in times.items():
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"fathom over pypdfium2, {name} time: median {statistics.median(ratios):.2f} of {shown}")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Read the PDFs of filings.")
    parser.add_argument("data", type=Path, help="folder with financebench/ and kgrag_sec10q/")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    parser.add_argument("--reader", choices=READERS, help="read with this one in this process, print JSON")
    arguments = parser.parse_args()
    if arguments.reader:
        print(json.dumps(asdict(read_all(arguments.reader, pdf_files(arguments.data)))))
        return
    folder = arguments.data / "financebench"
    evidence = read_evidence(folder)
    found = {reader: search(evidence, folder / "pdfs", reader) for reader in READERS}
    for reader, items in found.items():
        print(f"{reader}: {len(items)} evidence strings")
        for name, value in shares(items).items():
            print(f"  {name:46} {value}")
    for item in found["fathom"]:
        if item.reason:
            print(f"  not found: {item.document} page {item.page}: {item.reason}")
    readings = measure(arguments.data, arguments.rounds)
    _print_readings(readings)
    context = asdict(run_context(PACKAGES))
    print(context)
    if arguments.json:
        figures = {
            "context": context,
            "evidence": {reader: shares(items) for reader, items in found.items()},
            "found": [asdict(item) for item in found["fathom"]],
            "readings": {reader: [asdict(run) for run in runs] for reader, runs in readings.items()},
        }
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
