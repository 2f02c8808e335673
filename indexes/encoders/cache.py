"""The folder of converted models: whole folders with checksums, written aside and renamed, and known file hashes."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..files.home import private_folder, write_private

MANIFEST = "fathom-manifest.json"
_PART = re.compile(r".+\.(\d+)\.part")
_FORMAT = 1


def cache_folder() -> Path:
    """Where encoders keep what they convert: `encoders/` in $FATHOM_CACHE or in the user's cache folder."""
    if given := os.environ.get("FATHOM_CACHE"):
        return Path(given).expanduser().absolute() / "encoders"
    from platformdirs import user_cache_path

    return user_cache_path("fathom") / "encoders"


def read(folder: Path) -> dict[str, Any] | None:
    """What `write` was told of a folder; None where it is missing, damaged or of another format.

    A file is taken for whole by its size and modification time, and by its sha256 where the time differs.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != _FORMAT or not all(
            _whole(folder / name, entry) for name, entry in manifest["files"].items()
        ):
            return None
        facts = manifest["facts"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return facts if isinstance(facts, dict) else None


def write(folder: Path, fill: Callable[[Path], Mapping[str, Any]]) -> None:
    """Makes a folder: `fill` writes its files into an empty one and returns what `read` shall give.

    A killed process leaves no folder that looks whole. Raises OSError, and what `fill` raises.
    """
    private_folder(folder.parent)
    _sweep(folder.parent)
    aside = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    try:
        facts = fill(aside)
        for path in aside.iterdir():
            path.chmod(0o600)
        files = {path.name: _entry(path) for path in sorted(aside.iterdir())}
        manifest = {"format": _FORMAT, "facts": facts, "files": files}
        write_private(aside / MANIFEST, json.dumps(manifest, indent=1).encode())
        if folder.exists():
            if read(folder) is not None:
                return  # another process was faster, and may be reading what it made
            shutil.rmtree(folder)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Of the file's content; remembered by path, size and modification time where the cache can be written."""
    stat = path.stat()
    known = _known_hashes()
    key = str(path.resolve())
    match known.get(key):
        case [stat.st_size, stat.st_mtime_ns, str(found)]:
            return found
    found = _sha256(path)
    with suppress(OSError):  # a cache that cannot be written costs the time of hashing again
        _remember({**known, key: [stat.st_size, stat.st_mtime_ns, found]})
    return found


def _known_hashes() -> dict[str, Any]:
    try:
        known = json.loads((cache_folder() / "hashes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(known: Mapping[str, Any]) -> None:
    write_private(cache_folder() / "hashes.json", json.dumps(known, indent=1).encode())


def _sweep(folder: Path) -> None:
    """Removes what killed processes of this machine left half-written."""
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


def _whole(path: Path, entry: Mapping[str, Any]) -> bool:
    stat = path.stat()
    if stat.st_size != entry["size"]:
        return False
    return bool(stat.st_mtime_ns == entry["mtime_ns"] or _sha256(path) == entry["sha256"])


def _entry(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"sha256": _sha256(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
