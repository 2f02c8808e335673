"""How far a model was measured to read reliably: a JSON file beside its weights, by scaling and cache dtype.

    {"schema_version": 1,
     "reliable": [{"scaling": "yarn", "factor": 4.0, "original_tokens": 8192, "kv_dtype": "bfloat16", "tokens": 24576,
                   "measured": "needles: 43 of 45 at 24,576 tokens, …"}]}

`scaling` is null for a model as it was trained, with `factor` 1 and `original_tokens` its declared length. A dtype of
fathom's own pages ends in "-fathom".

Only the profile of a model in fathom's cache or the hub's is believed: one in a folder that was received could raise
the lengths that are read whole, and nobody would notice.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelDamagedError
from ..models.configs import read_json
from ..rope.scaling import RopeScaling
from ..surroundings import write_private

FILE = "fathom-profile.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class ReliableLength:
    """A model reads up to `tokens` reliably under a scaling and with a cache; `measured` says how that was found."""

    scaling: str | None
    factor: float
    original_tokens: int
    kv_dtype: str
    tokens: int
    measured: str


def reliable_length(
    folder: Path, scaling: RopeScaling | None, native_tokens: int, kv_dtype: str | None
) -> ReliableLength | None:
    """What was measured for exactly this scaling and cache; None where nothing was.

    Raises ModelDamagedError for a profile that cannot be read or does not keep the schema.
    """
    key = _key(scaling, native_tokens)
    found = [entry for entry in read_profile(folder) if (entry.scaling, entry.factor, entry.original_tokens) == key]
    return next((entry for entry in found if entry.kv_dtype == kv_dtype), None)


def calibrated(
    scaling: RopeScaling | None, native_tokens: int, kv_dtype: str, tokens: int, measured: str
) -> ReliableLength:
    """The record of a measurement."""
    kind, factor, original = _key(scaling, native_tokens)
    return ReliableLength(kind, factor, original, kv_dtype, tokens, measured)


def read_profile(folder: Path) -> tuple[ReliableLength, ...]:
    """All measured lengths of a model; none where there is no profile. Raises ModelDamagedError as above."""
    path = folder / FILE
    if not path.exists():
        return ()
    try:
        content = read_json(path)
    except ModelDamagedError as error:
        raise _damaged(path, f"it cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise _damaged(path, f"it has not the schema version {SCHEMA_VERSION}")
    entries = content.get("reliable")
    if not isinstance(entries, list):
        raise _damaged(path, "it has no list `reliable`")
    return tuple(_entry(path, entry) for entry in entries)


def write_profile(folder: Path, entries: Sequence[ReliableLength]) -> Path:
    """Adds measurements to a model's profile, each in place of an older one of the same scaling and cache.

    The file is replaced whole. Raises ModelDamagedError for a profile that cannot be read, OSError for a folder that
    cannot be written.
    """
    kept = {_place(entry): entry for entry in (*read_profile(folder), *entries)}
    path = folder / FILE
    content = {"schema_version": SCHEMA_VERSION, "reliable": [asdict(entry) for entry in kept.values()]}
    write_private(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def _key(scaling: RopeScaling | None, native_tokens: int) -> tuple[str | None, float, int]:
    return (scaling.kind, scaling.factor, scaling.original_tokens) if scaling else (None, 1.0, native_tokens)


def _place(entry: ReliableLength) -> tuple[str | None, float, int, str]:
    return entry.scaling, entry.factor, entry.original_tokens, entry.kv_dtype


def _entry(path: Path, entry: Any) -> ReliableLength:
    if not isinstance(entry, dict):
        raise _damaged(path, f"{entry!r} is no measurement")
    kinds: dict[str, tuple[type, ...]] = {
        "scaling": (str, type(None)), "factor": (int, float), "original_tokens": (int,), "kv_dtype": (str,),
        "tokens": (int,), "measured": (str,),
    }  # fmt: skip
    for name, types in kinds.items():
        value = entry.get(name, ...)
        if isinstance(value, bool) or not isinstance(value, types):
            raise _damaged(path, f"a measurement has {name} = {'nothing' if value is ... else repr(value)}")
    if entry["tokens"] < 1:
        raise _damaged(path, f"a measurement has tokens = {entry['tokens']}")
    return ReliableLength(**{name: entry[name] for name in kinds})


def _damaged(path: Path, what: str) -> ModelDamagedError:
    return ModelDamagedError(f"{path} is no profile: {what}", "mend the file, or remove it to read by default limits")
