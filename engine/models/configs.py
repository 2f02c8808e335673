"""JSON files that came with a model: read within bounds, and refused in one line where they are no plain data."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelDamagedError

MOST_BYTES = 16 * 2**20  # configs have kilobytes; those with thousands of added tokens a few megabytes
_LARGEST = 2**63  # no count or size of a model is beyond it
_AGAIN = "fetch the model again, or name a folder in Hugging Face's format"


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """The content of a JSON file.

    Raises ModelDamagedError where it is missing, longer than `most_bytes`, no regular file, nested too deeply, or no
    JSON.
    """
    try:
        if not path.is_file():
            raise OSError("there is no such file" if not path.exists() else "it is no regular file")
        with path.open("rb") as stream:
            content = stream.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise ValueError(f"it is longer than {most_bytes // 2**20} MiB")
        return json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise _unreadable(path, "it is nested too deeply") from error
    except (OSError, ValueError) as error:  # a long line of digits is a ValueError too
        raise _unreadable(path, str(error)) from error


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """`config.json` of a model folder, or a file of another name.

    Raises ModelDamagedError where it is missing, no JSON object, or holds numbers that no model has.
    """
    try:
        config = read_json(folder / name)
    except ModelDamagedError as error:
        raise ModelDamagedError(f"{folder} holds no model: {error}", error.hint) from error
    if not isinstance(config, dict):
        raise ModelDamagedError(f"{folder / name} is not a JSON object", "fetch the model again")
    for key, value in entries(config):
        if _impossible(key, value):
            shown = "an integer of too many digits" if isinstance(value, int) else f"{value}"
            raise ModelDamagedError(
                f"{folder / name} has {key} = {shown}, which is no number of a model",
                "correct it, or use another model",
            )
    return config


def entries(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a JSON value with the key that it, or the list it stands in, has; containers too."""
    waiting = [(key, value)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, Mapping):
            waiting.extend((str(name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((key, inner) for inner in value)


def _impossible(key: str, value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) >= _LARGEST
    # State-space models have a `time_step_limit` that ends at infinity.
    return isinstance(value, float) and not math.isfinite(value) and not key.endswith("_limit")


def _unreadable(path: Path, reason: str) -> ModelDamagedError:
    return ModelDamagedError(f"{path.name} cannot be read ({reason.splitlines()[0][:200]})", _AGAIN)
