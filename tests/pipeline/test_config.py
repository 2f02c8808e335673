"""Settings: which layer wins, and what each mistake is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import FILE, Config, find_project_file, load_config
from pipeline.errors import ConfigError
from pipeline.folder_settings import read_folder_file, trust


def _load(
    folder: Path, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, user: str = ""
) -> Config:
    user_file = folder / "user.toml"
    user_file.write_text(user, encoding="utf-8")
    return load_config(folder, flags, environ or {}, user_file)


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    assert _load(tmp_path) == Config()


def test_each_layer_wins_over_the_one_before(tmp_path: Path) -> None:
    user = "[retrieval]\nchunks = 1\n"
    assert _load(tmp_path, user=user).retrieval.chunks == 1
    (tmp_path / FILE).write_text("[retrieval]\nchunks = 2\n", encoding="utf-8")
    trust(read_folder_file(tmp_path / FILE))
    assert _load(tmp_path, user=user).retrieval.chunks == 2
    environ = {"FATHOM_RETRIEVAL_CHUNKS": "3"}
    assert _load(tmp_path, environ=environ, user=user).retrieval.chunks == 3
    assert _load(tmp_path, {"retrieval.chunks": 4}, environ, user).retrieval.chunks == 4


def test_a_layer_changes_only_what_it_names(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[retrieval]\nchunks = 2\n", encoding="utf-8")
    config = _load(tmp_path, environ={"FATHOM_RETRIEVAL_DOCUMENTS": "5"}, user="[router]\nroute = 'native'\n")
    assert (config.retrieval.chunks, config.retrieval.documents, config.router.route) == (2, 5, "native")


def test_a_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[engine]\nmodel = 'm'\n", encoding="utf-8")
    trust(read_folder_file(tmp_path / FILE))
    assert _load(tmp_path, {"engine.model": None, "engine.url": None}).engine.model == "m"


def test_the_nearest_project_file_above_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_project_file(deep) is None
    (tmp_path / FILE).write_text("", encoding="utf-8")
    assert find_project_file(deep) == tmp_path / FILE
    (tmp_path / "a" / FILE).write_text("", encoding="utf-8")
    assert find_project_file(deep) == tmp_path / "a" / FILE


def test_keys_of_more_than_one_word_come_from_the_environment(tmp_path: Path) -> None:
    assert _load(tmp_path, environ={"FATHOM_ENGINE_KV_CACHE_GIB": "3"}).engine.kv_cache_gib == 3


def test_variables_of_other_rooms_and_programs_are_left_alone(tmp_path: Path) -> None:
    environ = {"FATHOM_CACHE": "/x", "FATHOM_ENGINE_API_KEY": "secret", "PATH": "/bin", "fathom_router_route": "no"}
    assert _load(tmp_path, environ=environ) == Config()


def test_settings_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        _load(tmp_path).retrieval.chunks = 9  # type-checkers see a plain attribute; pydantic refuses


FILE_MISTAKES = {
    "no TOML": ("[retrieval", "cannot be read: .*", "correct or remove it"),
    "no section": ("retrieval = 3", "'retrieval' is not a section", "index, retrieval, router, reading, engine"),
    "unknown section": ("[retreival]\nchunks = 3", "unknown setting 'retreival'", "index, retrieval, router"),
    "unknown key": ("[retrieval]\nchunk = 3", "unknown setting 'retrieval.chunk'", "mode, reranker, chunks, documents"),
    "wrong type": ("[retrieval]\nchunks = 'many'", r"retrieval.chunks = 'many': .*integer", "README"),
    "a fraction": ("[retrieval]\nchunks = 1.5", r"retrieval.chunks = 1.5: .*integer", "README"),
    "out of range": ("[retrieval]\nchunks = 0", r"retrieval.chunks = 0: .*greater than or equal to 1", "README"),
    "not a choice": ("[router]\nroute = 'best'", "router.route = 'best': .*'auto', 'chunked' or 'native'", "README"),
    "no number": ("[router]\ntime_limit_s = nan", "router.time_limit_s = nan: .*finite", "README"),
    "endless": ("[engine]\ntimeout_s = inf", "engine.timeout_s = inf: .*finite", "README"),
    "an empty name": ("[engine]\nmodel = ''", "engine.model = '': .*at least 1 character", "README"),
    "an empty embedding": ("[index]\nembedding = ''", "index.embedding = '': .*at least 1 character", "README"),
}


@pytest.mark.parametrize(("text", "message", "hint"), FILE_MISTAKES.values(), ids=FILE_MISTAKES.keys())
def test_a_mistake_in_a_file_names_the_file_and_the_setting(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = tmp_path / FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{path}:? {message}") as caught:
        _load(tmp_path)
    assert hint in caught.value.hint


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe[\x00")
    with pytest.raises(ConfigError, match=f"{FILE} cannot be read"):
        _load(tmp_path)


@pytest.mark.parametrize("name", ["FATHOM_CHUNKS", "FATHOM_", "FATHOM_RETRIEVAL", "FATHOM_RETRIEVAL_"])
def test_a_variable_without_section_and_key_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"the environment variable {name} is unknown") as caught:
        _load(tmp_path, environ={name: "1"})
    assert "FATHOM_SECTION_KEY" in caught.value.hint


def test_mistakes_in_environment_and_flags_name_their_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the environment: unknown setting 'retrieval\.chunk'"):
        _load(tmp_path, environ={"FATHOM_RETRIEVAL_CHUNK": "1"})
    with pytest.raises(ConfigError, match=r"the environment: retrieval\.chunks = 'x'"):
        _load(tmp_path, environ={"FATHOM_RETRIEVAL_CHUNKS": "x"})
    with pytest.raises(ConfigError, match=r"the command line: index\.max_file_mib = 0"):
        _load(tmp_path, {"index.max_file_mib": 0})


@pytest.mark.parametrize("url", ["http://localhost:8000", "https://h/v1", "http://[::1]:8000", "fake://"])
def test_addresses_are_taken_as_they_are(tmp_path: Path, url: str) -> None:
    assert _load(tmp_path, {"engine.url": url}).engine.url == url


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://h", "http://", "http://[::1", "http://h:port", "ht!tp://h"]
)
def test_what_is_no_address_is_refused_before_anything_starts(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"engine\.url"):
        _load(tmp_path, {"engine.url": url})
