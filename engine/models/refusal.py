"""Refuses a model folder that is more than data, before any library reads it: code, pickles, links, other models."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ModelRefusedError
from .configs import entries, read_json

# Keys by which a config makes a library import code, or load another model than the one in the folder.
CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_generate", "custom_pipelines"})
REFERENCE_KEYS = frozenset({"base_model_name_or_path", "tokenizer_name_or_path", "speculators_config"})
# Of these the value decides: a repository's name makes transformers fetch a kernel, which is code.
KERNEL_KEYS = frozenset({"attn_implementation", "_attn_implementation", "experts_implementation"})
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5", ".ot", ".joblib", ".npy", ".npz")
WEIGHTS = ".safetensors"
_ADAPTER = "adapter_config.json"
# Read by the tokenizer's own parser, or as a list of file names; too long to be walked through here.
_NOT_CONFIGS = ("tokenizer.json", "vocab.json", "added_tokens.json")
_INDEX = ".safetensors.index.json"
_FOLDERS = ("chat_templates", "additional_chat_templates")
_MOST_FILES = 10_000


def check_folder(name: str, folder: Path, weights: bool = True) -> None:
    """Raises ModelRefusedError where the folder of the model `name` is more than data, ModelDamagedError where one of
    its configs cannot be read. With `weights`, those must be safetensors.

    Looks at the folder itself and at those of its templates, and reads only the configs.
    """
    files = _files(name, folder)
    for path in files:
        _check_kind(name, folder, path)
    for path in files:
        if path.name == _ADAPTER:
            raise _refused(
                name, f"{path.name} makes it an adapter of another model", "merge the adapter into its base model first"
            )
        if path.name.endswith(_INDEX):
            _check_index(name, path)
        elif path.suffix == ".json" and path.name not in _NOT_CONFIGS:
            _check_config(name, path)
    if weights:
        _check_weights(name, files)


def _files(name: str, folder: Path) -> list[Path]:
    """What stands in the folder and in those of its templates, sorted."""
    found = []
    for inside in (folder, *(folder / part for part in _FOLDERS)):
        if inside.is_dir():
            for path in inside.iterdir():
                found.append(path)
                if len(found) > _MOST_FILES:
                    raise _refused(name, f"{folder} has more than {_MOST_FILES:,} files", "name the model's own folder")
    return sorted(path for path in found if path.is_symlink() or not path.is_dir())


def _check_kind(name: str, folder: Path, path: Path) -> None:
    """A regular file in the folder itself, or a link to one there or in the same hub repository's store."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _refused(name, f"{path.name} cannot be read ({error.strerror})", "fetch the model again") from error
    if stat.S_ISDIR(mode):
        return
    if not stat.S_ISREG(mode):
        raise _refused(name, f"{path.name} is no regular file", "remove it, or use another model")
    if path.is_symlink():
        target = path.resolve()
        if not any(target.is_relative_to(home) for home in _homes(folder)):
            raise _refused(name, f"{path.name} is a link to {target}", "put the file itself into the folder")


def _homes(folder: Path) -> Iterator[Path]:
    """Where links of a model folder may lead: into it, or from a snapshot of the hub's cache to its blobs."""
    real = folder.resolve()
    yield real
    if real.parent.name == "snapshots":
        yield real.parent.parent / "blobs"


def _check_config(name: str, path: Path) -> None:
    for key, value in entries(read_json(path)):
        if key in CODE_KEYS and value not in (None, False, {}, []):
            raise _refused(
                name,
                f"{path.name} names code of its own ({key})",
                f"use a model that needs none; if this one does not, remove {key} from {path}",
            )
        if key in REFERENCE_KEYS and value:
            raise _refused(name, f"{path.name} refers to another model ({key})", f"remove {key} from {path}")
        if key in KERNEL_KEYS and _names_repository(value):
            raise _refused(name, f"{path.name} names a kernel to be fetched ({key})", f"remove {key} from {path}")


def _names_repository(value: Any) -> bool:
    return isinstance(value, str) and "/" in value


def _check_index(name: str, path: Path) -> None:
    """The parts of the weights are safetensors in the same folder."""
    content = read_json(path)
    parts = content.get("weight_map") if isinstance(content, dict) else None
    names = set(parts.values()) if isinstance(parts, dict) and all(isinstance(v, str) for v in parts.values()) else None
    if names is None:
        raise _refused(name, f"{path.name} has no weight_map of file names", "fetch the model again")
    for part in sorted(names):
        if Path(part).name != part or not part.endswith(WEIGHTS):
            raise _refused(name, f"{path.name} names {part[:100]!r} as a part of the weights", "fetch the model again")


def _check_weights(name: str, files: list[Path]) -> None:
    if any(path.suffix == WEIGHTS for path in files):
        return
    if pickled := [path.name for path in files if path.suffix in PICKLED]:
        raise _refused(
            name,
            f"its weights are pickled ({', '.join(pickled[:3])}), and unpickling may run code",
            "use a copy in safetensors; for weights that you trust, transformers' save_pretrained writes one",
        )


def _refused(name: str, what: str, hint: str) -> ModelRefusedError:
    return ModelRefusedError(f"the model {name} is not loaded: {what}", hint)
