"""Settings: defaults, then the user's file, the folder's `fathom.toml`, FATHOM_* variables, and flags; last wins."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from engine.fake import URL as FAKE
from engine.http.address import parse_address, redacted
from indexes.loaders.limits import LoadLimits

from .errors import ConfigError
from .folder_settings import (
    FILE,
    FolderFile,
    admitted,
    find_project_file,
    parse,
    read_bytes,
    read_folder_file,
    trusted_above,
)

__all__ = ["FILE", "Config", "Loaded", "find_project_file", "load", "load_config"]

_PREFIX = "FATHOM_"
_MOST_SHOWN = 200  # characters of a wrong value
# Variables of other rooms that share the prefix.
_FOREIGN = frozenset({"FATHOM_CACHE", "FATHOM_ENCODER", "FATHOM_ENGINE_API_KEY", "FATHOM_HOME"})


_Layer: TypeAlias = tuple[str, Mapping[str, Any]]  # where values came from, and the values by section


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


_LIMITS = LoadLimits()


class IndexSettings(_Section):
    """How documents are read. `embedding` is a model's name, or "none"; None keeps what the collection has.

    `max_seconds` None means 120, and 3,600 with OCR. `processes` read files side by side; 0: one a core, at most 4.
    """

    embedding: str | None = Field(default=None, min_length=1)
    max_file_mib: int = Field(default=_LIMITS.max_file_mib, ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
    max_memory_mib: int = Field(default=_LIMITS.max_memory_mib, ge=64)
    max_characters: int = Field(default=_LIMITS.max_characters, ge=1)
    max_pages: int = Field(default=_LIMITS.max_pages, ge=1)
    processes: int = Field(default=0, ge=0, le=64)
    ocr: bool = False
    chunk_characters: int = Field(default=900, ge=100, le=20_000)


class RetrievalSettings(_Section):
    """What is fetched for a question. `documents` is how many may be read whole under the native route.

    `reranker` is a cross-encoder, a folder or a hub id, that orders the best passages anew; None: none does.
    """

    mode: Literal["hybrid", "lexical", "dense"] | None = None
    reranker: str | None = Field(default=None, min_length=1)
    chunks: int = Field(default=24, ge=1, le=1000)
    documents: int = Field(default=3, ge=1, le=100)


class RouterSettings(_Section):
    """How to choose. `time_limit_s` bounds the predicted seconds to the first token, `quota_gib` the KV cache of one
    request; 0 switches either off. `reliable_tokens` takes the place of what was measured or is assumed of a model.
    `escalate`: where passages did not hold the answer under "auto", the documents are read whole once.
    """

    route: Literal["auto", "chunked", "native"] = "auto"
    time_limit_s: float = Field(default=30.0, ge=0)
    escalate: bool = True
    quota_gib: float = Field(default=0.0, ge=0)
    reliable_tokens: int | None = Field(default=None, ge=1)


class ReadingSettings(_Section):
    """What goes before the model. `chunk_tokens` None means 15% of the model's native length, at most 4,096,
    and 2,048 for a model under 4 billion parameters.

    `order` is that of whole documents: "document" keeps the collection's, so that questions about the same documents
    share their prompt's beginning; "best_last" puts the best next to the question, "best_at_ends" the best at the
    beginning and the end.
    """

    order: Literal["document", "best_first", "best_last", "best_at_ends"] = "document"
    chunk_tokens: int | None = Field(default=None, ge=64)
    answer_tokens: int = Field(default=160, ge=8, le=8192)


class EngineSettings(_Section):
    """Which engine. A `url` takes the place of the embedded one; `kv_cache_tokens` is what a server's KV cache holds,
    for one that does not tell."""

    model: str | None = Field(default=None, min_length=1)
    url: str | None = Field(default=None, repr=False)  # which may hold a password
    kv_cache_gib: int = Field(default=2, ge=1)
    kv_cache_tokens: int | None = Field(default=None, ge=1)
    kv_cache: str = Field(default="auto", min_length=1)
    gpu_memory_utilization: float = Field(default=0.85, gt=0, le=1)
    threads: int = Field(default=0, ge=0)
    temperature: float = Field(default=0.0, ge=0, le=2)
    timeout_s: float = Field(default=600.0, gt=0)

    _sends_key: bool = PrivateAttr(default=True)

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(FAKE):
            parse_address(url)
        return url

    @property
    def sends_key(self) -> bool:
        """Whether the user named the server in a place of their own, so that it may have their API key."""
        return self._sends_key

    def without_key(self) -> Self:
        """The same settings, whose server does not get the API key."""
        changed = self.model_copy()
        changed._sends_key = False
        return changed


class Config(_Section):
    """All settings of a run."""

    index: IndexSettings = IndexSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    router: RouterSettings = RouterSettings()
    reading: ReadingSettings = ReadingSettings()
    engine: EngineSettings = EngineSettings()


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings of a run, the folder's own file if there is one, and which settings of it were left out.

    `above` is a trusted file of a folder above that counts beneath one that is not trusted.
    """

    config: Config
    file: FolderFile | None = None
    left_out: tuple[str, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict, repr=False)
    above: FolderFile | None = None


def load_config(
    start: Path,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    user_file: Path | None = None,
) -> Config:
    """The settings for a run that begins in a folder, as `load` gives them."""
    return load(start, flags, environ, user_file).config


def load(
    start: Path,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    user_file: Path | None = None,
) -> Loaded:
    """The settings for a run that begins in a folder, and what became of the folder's own.

    `flags` maps "section.key" to a value; None means that the flag was not given. Of a `fathom.toml` that its user did
    not trust only what `folder_settings` admits is taken, on top of the nearest trusted one above. Raises ConfigError
    for unknown keys, wrong types and unreadable files, naming where the value came from.
    """
    path = user_file or _user_file()
    user: _Layer = (str(path), parse(path, read_bytes(path)) if path.is_file() else {})
    environment: _Layer = ("the environment", _from_environment(os.environ if environ is None else environ))
    given: _Layer = ("the command line", _nested({k: v for k, v in (flags or {}).items() if v is not None}))
    found = find_project_file(start)
    if found is None:
        return Loaded(_merged([user, environment, given]))
    file = read_folder_file(found)
    _merged([(str(found), file.sections)])  # its mistakes are told, whatever of it counts
    trusted = file if file.trusted else trusted_above(found)
    beneath = [user] if trusted is None else [user, (str(trusted.path), trusted.sections)]
    kept = flat(file.sections)
    left_out: tuple[str, ...] = ()
    if not file.trusted:
        own = _merged([*beneath, environment, given])
        kept, left_out = admitted(kept, flat(own.model_dump()), _stands_for)
    config = _merged([*beneath, (str(found), _nested(kept)), environment, given])
    named_elsewhere = any("url" in layer[1].get("engine", {}) for layer in (environment, given))
    if trusted and "url" in trusted.sections.get("engine", {}) and not named_elsewhere:
        config = config.model_copy(update={"engine": config.engine.without_key()})
    return Loaded(config, file, left_out, kept, None if file.trusted else trusted)


def check_sections(path: Path, sections: Mapping[str, Any]) -> None:
    """Raises ConfigError for a mistake in a settings file."""
    _merged([(str(path), sections)])


def flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of settings by "section.key"."""
    return {f"{name}.{key}": value for name, values in sections.items() for key, value in dict(values).items()}


def _stands_for(name: str) -> float | None:
    """What None means for a limit; None where that depends on the model."""
    return _LIMITS.max_seconds if name == "index.max_seconds" else None


def _merged(layers: Sequence[_Layer]) -> Config:
    """The layers one over the other. Raises ConfigError that names the layer of the first mistake."""
    merged: dict[str, dict[str, Any]] = {}
    config = Config()
    for source, layer in layers:
        for section, values in layer.items():
            if not isinstance(values, Mapping):
                raise ConfigError(f"{source}: {section!r} is not a section", f"sections are {_names(Config)}")
            merged.setdefault(section, {}).update(values)
        try:
            config = Config.model_validate(merged)
        except ValidationError as error:
            raise _explained(source, error) from error
    return config


def _user_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("fathom") / "config.toml"


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """FATHOM_SECTION_KEY=value; values are text and become numbers by validation."""
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(_PREFIX) or name in _FOREIGN:
            continue
        section, _, key = name.removeprefix(_PREFIX).lower().partition("_")
        if section not in Config.model_fields or not key:
            raise ConfigError(
                f"the environment variable {name} is unknown",
                f"settings are {_PREFIX}SECTION_KEY with a section of {_names(Config)}",
            )
        found[f"{section}.{key}"] = value
    return _nested(found)


def _nested(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    return nested


def _explained(source: str, error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        owner: Any = Config.model_fields[str(first["loc"][0])].annotation if len(first["loc"]) > 1 else Config
        return ConfigError(f"{source}: unknown setting {where!r}", f"known here: {_names(owner)}")
    value = redacted(str(first["input"])) if where == "engine.url" else first["input"]
    return ConfigError(f"{source}: {where} = {short(value, _MOST_SHOWN)}: {message}", "see the README, Settings")


def short(value: Any, most: int) -> str:
    """A value as it is written, cut where it has over `most` characters."""
    try:
        shown = repr(value)
    except ValueError:  # a whole number of more digits than Python turns into text
        return "a number with thousands of digits"
    return shown if len(shown) <= most else shown[:most] + "…"


def _names(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)
