"""Refuses an encoder's folder that is more than data, before any library reads it: code, pickles, links, other models.

The room `engine` has the same for language models; here come the modules of sentence-transformers, which name classes.
"""

import json
import math
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import EncoderError

# Keys by which a config makes a library import code, or load another model than the one in the folder.
CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_generate", "custom_pipelines"})
REFERENCE_KEYS = frozenset({"base_model_name_or_path", "tokenizer_name_or_path", "speculators_config"})
# Of these the value decides: a repository's name makes transformers fetch a kernel, which is code.
KERNEL_KEYS = frozenset({"attn_implementation", "_attn_implementation", "experts_implementation"})
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5", ".ot", ".joblib", ".npy", ".npz")
WEIGHTS = ".safetensors"
_READ_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")  # where these are, no library looks further
# Keys whose value is the name of a class, and what such names begin with.
_CLASS_KEYS = frozenset({"type", "types", "tokenizer_class", "activation_fn", "activation_function"})
_CLASS_KEYS |= {"sbert_ce_default_activation_function"}
_CLASSES = ("sentence_transformers.", "torch.nn.")
_NOT_CONFIGS = ("tokenizer.json", "vocab.json", "added_tokens.json")
_INDEX = ".safetensors.index.json"
_MOST_BYTES = 16 * 2**20
_MOST_FILES = 10_000
_AGAIN = "fetch the model again, or name another one"


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises EncoderError where it is too long, nested too deeply, or no JSON."""
    try:
        if not path.is_file():
            raise OSError("it is no regular file")
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it is longer than {_MOST_BYTES // 2**20} MiB")
        return json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise EncoderError(f"{path} is no JSON: it is nested too deeply", _AGAIN) from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is no JSON: {str(error).splitlines()[0][:200]}", _AGAIN) from error


def check_folder(name: str, folder: Path, kind: str = "embedding model") -> None:
    """Raises EncoderError where the folder of the model `name`, or one of its modules' folders, is more than data."""
    try:
        homes = _homes(folder)
        for inside in module_folders(folder):
            files = _files(inside)
            for path in files:
                _check_kind(path, homes)
            for path in files:
                _check_content(path)
            _check_weights(files)
    except EncoderError as error:
        raise EncoderError(f"the {kind} {name!r} is not loaded: {error}", error.hint) from error


def module_folders(folder: Path) -> list[Path]:
    """The folder and those below it that `modules.json` names. Raises EncoderError for one that cannot be read."""
    path = folder / "modules.json"
    modules = read_json(path) if path.exists() else []
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise EncoderError(f"{path} is not a list of modules", _AGAIN)
    names = [module.get("path") for module in modules]
    if outside := [name for name in names if not _is_below(name)]:
        raise EncoderError(f"{path.name} has a module in {outside[0]!r}, which is not in the model's folder", _AGAIN)
    below = {folder / name for name in names}
    # A router keeps modules of its own in folders below its own.
    nested = {inner.parent for path in below - {folder} for inner in path.glob("*/*") if inner.is_file()}
    return sorted({folder, *below, *nested})


def _is_below(name: Any) -> bool:
    return isinstance(name, str) and not Path(name).is_absolute() and ".." not in Path(name).parts


def _files(folder: Path) -> list[Path]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        found.append(path)
        if len(found) > _MOST_FILES:
            raise EncoderError(f"{folder} has more than {_MOST_FILES:,} files", "name the model's own folder")
    return sorted(path for path in found if path.is_symlink() or not path.is_dir())


def _homes(folder: Path) -> Sequence[Path]:
    """Where links of a model folder may lead: into it, or from a snapshot of the hub's cache to its blobs."""
    real = folder.resolve()
    return (real, real.parent.parent / "blobs") if real.parent.name == "snapshots" else (real,)


def _check_kind(path: Path, homes: Sequence[Path]) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise EncoderError(f"{path.name} cannot be read ({error.strerror})", _AGAIN) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise EncoderError(f"{path.name} is no regular file", "remove it, or use another model")
    if path.is_symlink() and not any(path.resolve().is_relative_to(home) for home in homes):
        raise EncoderError(f"{path.name} is a link to {path.resolve()}", "put the file itself into the folder")


def _check_content(path: Path) -> None:
    if path.name == "adapter_config.json":
        raise EncoderError(
            f"{path.name} makes it an adapter of another model", "merge the adapter into its base model first"
        )
    if path.suffix != ".json" or path.name in _NOT_CONFIGS:
        return
    content = read_json(path)
    if path.name.endswith(_INDEX):
        _check_index(path, content)
        return
    for key, value in _entries(content):
        _check_entry(path, key, value)


def _check_entry(path: Path, key: str, value: Any) -> None:
    remove = f"remove {key} from {path}, if the model does not need it"
    if key in CODE_KEYS and value not in (None, False, {}, []):
        raise EncoderError(f"{path.name} names code of its own ({key})", f"use a model that needs none, or {remove}")
    if key in REFERENCE_KEYS and value:
        raise EncoderError(f"{path.name} refers to another model ({key})", remove)
    if key in KERNEL_KEYS and isinstance(value, str) and "/" in value:
        raise EncoderError(f"{path.name} names a kernel to be fetched ({key})", remove)
    if key in _CLASS_KEYS and isinstance(value, str) and "." in value and not value.startswith(_CLASSES):
        raise EncoderError(
            f"{path.name} names the class {value[:100]!r}, which is not of sentence-transformers",
            "use a model whose modules are sentence-transformers' own",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise EncoderError(f"{path.name} has {key} = {value}", "correct it, or use another model")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every value in a JSON value with the key that it, or the list or the map of classes it stands in, has."""
    waiting = [("", value)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, Mapping):
            waiting.extend((key if key == "types" else str(name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((key, inner) for inner in value)


def _check_index(path: Path, content: Any) -> None:
    parts = content.get("weight_map") if isinstance(content, dict) else None
    for part in parts.values() if isinstance(parts, dict) else [None]:
        if not isinstance(part, str) or Path(part).name != part or not part.endswith(WEIGHTS):
            raise EncoderError(f"{path.name} names {str(part)[:100]!r} as a part of the weights", _AGAIN)


def _check_weights(files: Sequence[Path]) -> None:
    pickled = [path.name for path in files if path.suffix in PICKLED]
    if pickled and not any(path.name in _READ_WEIGHTS for path in files):
        raise EncoderError(
            f"its weights are pickled ({', '.join(pickled[:3])}), and unpickling may run code",
            "use a copy in safetensors; for weights that you trust, sentence-transformers' save_pretrained writes one",
        )
