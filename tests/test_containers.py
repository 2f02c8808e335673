"""The container set-up: docker-compose.yml's form, and that it, the Dockerfile, pyproject.toml and the code agree.

Docker is not needed. Where `docker compose` is installed, it judges the profiles instead of the schema here. One
file, though long, because nearly every test reads two of the files together.
"""

import copy
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from engine.kv import kv_bytes_per_token
from engine.rope import plan_context, vllm_overrides
from indexes.embedding import NONE
from pipeline.config import Config, load_config
from pipeline.errors import ConfigError

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROFILES = ("cpu", "gpu")
TARGETS = ("cpu", "client")

# Qwen3-8B, from its config.json; but there max_position_embeddings is 40,960, which adds room for an answer to the
# 32,768 tokens of training that Qwen's own YaRN settings name.
QWEN3_8B = {
    "max_position_embeddings": 32_768,
    "rope_theta": 1_000_000,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}

# What of the Compose specification docker-compose.yml uses, and nothing else, so that a misspelt key fails.
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}
NAME = "^[a-z][a-z0-9-]*$"
DURATION = {"type": "string", "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "minLength": 2}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _mapping(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "patternProperties": {key: value}, "additionalProperties": False}


SETTINGS = _mapping("^[A-Z][A-Z0-9_]*$", {"type": ["string", "null"]})
DEVICE = _object(
    ("driver", "count", "capabilities"),
    driver={"const": "nvidia"},
    count={"anyOf": [{"type": "integer", "minimum": 1}, {"const": "all"}]},
    capabilities={"type": "array", "items": {"const": "gpu"}, "minItems": 1},
)
CONDITION = {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
SERVICE = {
    **_object(
        ("profiles",),
        profiles={"type": "array", "items": {"enum": list(PROFILES)}, "minItems": 1},
        image={"type": "string", "pattern": "^[a-z0-9._/-]+:[A-Za-z0-9._-]+$"},
        build=_object(("context", "target"), context=TEXT, target=TEXT, args=SETTINGS),
        entrypoint=TEXTS,
        command=TEXTS,
        environment=SETTINGS,
        working_dir={"type": "string", "pattern": "^/"},
        volumes={"type": "array", "items": {"type": "string", "pattern": "^[^:]+:/[^:]*(:ro)?$"}},
        init={"type": "boolean"},
        ipc={"const": "host"},
        expose={"type": "array", "items": {"type": "string", "pattern": "^[0-9]+$"}},
        deploy=_object(
            resources=_object(reservations=_object(devices={"type": "array", "items": DEVICE, "minItems": 1}))
        ),
        healthcheck=_object(
            ("test",),
            test={"type": "array", "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}], "items": TEXT, "minItems": 2},
            interval=DURATION,
            timeout=DURATION,
            start_period=DURATION,
            retries={"type": "integer", "minimum": 1},
        ),
        depends_on=_mapping(NAME, _object(("condition",), condition=CONDITION)),
    ),
    "oneOf": [{"required": ["image"]}, {"required": ["build"]}],
}
SCHEMA = _object(
    ("name", "services"),
    name={"type": "string", "pattern": NAME},
    services={**_mapping(NAME, SERVICE), "minProperties": 1},
    volumes=_mapping(NAME, {"type": "null"}),
)


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, as Compose does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.YAMLError(f"a key is given twice {node.start_mark}")
        return super().construct_mapping(node, deep)


def _filled(value: Any) -> Any:
    """A YAML value with ${NAME:-default} as Compose fills it in where no variable is set."""
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if not isinstance(value, str):
        return value
    filled = re.sub(r"\$\{[A-Z0-9_]+:-([^${}]*)\}", r"\1", value)
    assert "$" not in filled, f"{value!r} has a variable without a default"
    return filled


def _parse(text: str) -> dict[str, Any]:
    loaded = _filled(yaml.load(text, _Loader))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def compose() -> dict[str, Any]:
    return _parse(COMPOSE.read_text(encoding="utf-8"))


@pytest.fixture
def engine_arguments(compose: dict[str, Any]) -> list[str]:
    arguments: list[str] = compose["services"]["engine"]["command"]
    return arguments


def _after(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


@dataclass
class Stage:
    """One FROM of the Dockerfile and its instructions: keyword and the rest of the line."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def _stages() -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    lines = "\n".join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            stages[name] = Stage(base)
        elif keyword:
            stages[list(stages)[-1]].instructions.append((keyword, rest.strip()))
    return stages


def _instructions(target: str) -> Iterator[tuple[str, str]]:
    """The instructions of a stage after those of the stages that it begins with."""
    stage = _stages()[target]
    if stage.base in _stages():
        yield from _instructions(stage.base)
    yield from stage.instructions


def _copies() -> Iterator[tuple[str | None, str]]:
    """Every source of every COPY, and the stage that it is copied from; None is the repository."""
    for stage in _stages().values():
        for keyword, rest in stage.instructions:
            if keyword == "COPY":
                options = [word for word in rest.split() if word.startswith("--")]
                origin = next((o.removeprefix("--from=") for o in options if o.startswith("--from=")), None)
                sources = [word for word in rest.split() if not word.startswith("--")][:-1]
                yield from ((origin, source) for source in sources)


def _ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path from the builder: the last line that matches it or a folder above decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#"):
            above = [part for part in (path, *map(str, Path(path).parents)) if part != "."]
            names = Path(path).parts if pattern.startswith("**/") else above
            if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
                ignored = not line.startswith("!")
    return ignored


def _check_by_schema(profile: str) -> None:
    compose = _parse(COMPOSE.read_text(encoding="utf-8"))
    compose["services"] = {name: s for name, s in compose["services"].items() if profile in s["profiles"]}
    jsonschema.validate(compose, SCHEMA)


def _check_by_docker_compose(profile: str) -> None:
    command = ["docker", "compose", "--file", str(COMPOSE), "--profile", profile, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def _has_docker_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


CHECK = (
    pytest.param(_check_by_docker_compose, id="docker-compose")
    if _has_docker_compose()
    else pytest.param(_check_by_schema, id="schema")
)


@pytest.mark.parametrize("check", [CHECK])
@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_is_accepted(profile: str, check: Callable[[str], None]) -> None:
    check(profile)


def test_the_whole_file_keeps_the_schema(compose: dict[str, Any]) -> None:
    jsonschema.validate(compose, SCHEMA)


@pytest.mark.parametrize(
    ("place", "right", "wrong"),
    [
        ("", "volumes", "volume"),
        ("services.engine", "healthcheck", "health_check"),
        ("services.engine", "image", "images"),
        ("services.engine.healthcheck", "start_period", "startperiod"),
        ("services.engine.deploy.resources", "reservations", "reservation"),
        ("services.engine.deploy.resources.reservations.devices.0", "capabilities", "capability"),
        ("services.fathom", "profiles", "profile"),
        ("services.fathom.build", "target", "stage"),
        ("services.fathom.depends_on.engine", "condition", "conditions"),
        ("services.fathom", "environment", "enviroment"),
    ],
)
def test_the_schema_refuses_a_misspelt_key(compose: dict[str, Any], place: str, right: str, wrong: str) -> None:
    broken = copy.deepcopy(compose)
    part: Any = broken
    for step in filter(None, place.split(".")):
        part = part[int(step) if isinstance(part, list) else step]
    part[wrong] = part.pop(right)
    with pytest.raises(jsonschema.ValidationError, match=wrong):
        jsonschema.validate(broken, SCHEMA)


@pytest.mark.parametrize(
    ("place", "value"),
    [("profiles", ["gpus"]), ("ipc", "hosts"), ("volumes", ["cache"]), ("command", "--flag value"), ("expose", [8000])],
)
def test_the_schema_refuses_a_wrong_value(compose: dict[str, Any], place: str, value: Any) -> None:
    compose["services"]["engine"][place] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose, SCHEMA)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="twice"):
        _parse("name: fathom\nname: fathom\n")


def test_build_targets_are_stages_and_build_arguments_are_known(compose: dict[str, Any]) -> None:
    builds = [service["build"] for service in compose["services"].values() if "build" in service]
    assert {build["target"] for build in builds} == set(TARGETS)
    for build in builds:
        assert (ROOT / build["context"] / "Dockerfile").is_file()
        known = {rest.partition("=")[0] for kind, rest in _instructions(f"{build['target']}-build") if kind == "ARG"}
        assert build["args"].keys() <= known


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_is_fathom_and_does_not_run_as_root(target: str) -> None:
    assert target in _stages()
    last = dict(_instructions(target))
    assert json.loads(last["ENTRYPOINT"]) == ["fathom"]
    assert last["USER"] not in ("root", "0")


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    for origin, source in _copies():
        if origin is None:
            assert (ROOT / source).exists(), f"COPY {source}: no such file"
            assert not _ignored(source), f"COPY {source}: kept out by .dockerignore"
        else:
            assert origin in _stages(), f"COPY --from={origin}: no such stage"
    assert _ignored(".env")
    assert _ignored(".fathom/collection.sqlite")
    assert _ignored("engine/__pycache__")


def test_everything_that_the_package_is_built_from_is_copied() -> None:
    project = PYPROJECT["project"]
    rooms = {package.partition(".")[0] for package in PYPROJECT["tool"]["setuptools"]["packages"]}
    needed = {"pyproject.toml", project["readme"], *project["license-files"], *rooms}
    assert needed <= {source for origin, source in _copies() if origin is None}


def test_every_volume_that_is_used_is_declared_and_the_other_way_round(compose: dict[str, Any]) -> None:
    used = set()
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if not source.startswith((".", "/")):
                used.add(source)
            else:
                assert volume.endswith(":ro"), f"{volume}: a folder of the host is only read"
                assert (ROOT / source).is_dir()
    assert used == compose["volumes"].keys()


def test_a_service_waits_only_for_one_that_its_profile_starts(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert set(service["profiles"]) <= set(services[name]["profiles"])
            assert how["condition"] != "service_healthy" or "healthcheck" in services[name]


def _value(variable: str) -> str:
    """A value that the setting of a variable takes: its default, or a number where there is none."""
    section, _, key = variable.removeprefix("FATHOM_").lower().partition("_")
    default = getattr(getattr(Config(), section, None), key, None)
    return "100" if default is None else str(default)


@pytest.mark.parametrize("file", ["docker-compose.yml", "Dockerfile"])
def test_every_setting_that_is_named_is_known(file: str, tmp_path: Path) -> None:
    text = (ROOT / file).read_text(encoding="utf-8").replace("FATHOM_SECTION_KEY", "")
    named = set(re.findall(r"\bFATHOM_[A-Z_]+\b", text))
    assert named
    for variable in named - {"FATHOM_ENGINE_URL"}:  # is checked with its value below
        load_config(tmp_path, environ={variable: _value(variable)})


def test_an_unknown_setting_would_be_noticed(tmp_path: Path) -> None:
    for variable in ("FATHOM_ENGIN_URL", "FATHOM_ENGINE_URLS", "FATHOM_MODEL"):
        with pytest.raises(ConfigError):
            load_config(tmp_path, environ={variable: _value(variable)})


@pytest.mark.parametrize("service", ["fathom", "fathom-cpu"])
def test_the_settings_of_a_service_are_accepted_as_they_stand(
    compose: dict[str, Any], service: str, tmp_path: Path
) -> None:
    environment = compose["services"][service]["environment"]
    load_config(tmp_path, environ={name: value for name, value in environment.items() if value is not None})


def test_the_command_line_asks_the_engine_where_it_listens(compose: dict[str, Any]) -> None:
    url = urlsplit(compose["services"]["fathom"]["environment"]["FATHOM_ENGINE_URL"])
    engine = compose["services"][url.hostname]
    assert engine["expose"] == [str(url.port)]
    assert f":{url.port}/health" in engine["healthcheck"]["test"][-1]


def test_the_client_searches_by_words_unless_it_is_built_with_dense(compose: dict[str, Any]) -> None:
    client = compose["services"]["fathom"]
    assert client["build"]["args"]["EXTRAS"] == ""
    assert client["environment"]["FATHOM_INDEX_EMBEDDING"] == NONE
    assert "CLIENT_EXTRAS=[dense] and FATHOM_INDEX_EMBEDDING=all-MiniLM-L6-v2" in COMPOSE.read_text(encoding="utf-8")
    assert "dense" in PYPROJECT["project"]["optional-dependencies"]


def test_the_engine_is_the_vllm_that_the_gpu_extra_names(compose: dict[str, Any]) -> None:
    pins = [r for r in PYPROJECT["project"]["optional-dependencies"]["gpu"] if r.startswith("vllm==")]
    version = pins[0].removeprefix("vllm==")
    assert compose["services"]["engine"]["image"] == f"vllm/vllm-openai:v{version}"


def test_the_yarn_settings_are_those_that_fathom_would_choose(engine_arguments: list[str]) -> None:
    tokens = int(_after(engine_arguments, "--max-model-len"))
    assert tokens == 131_072  # 4 · 32,768
    plan = plan_context(QWEN3_8B, tokens)
    assert json.loads(_after(engine_arguments, "--hf-overrides")) == vllm_overrides(QWEN3_8B, plan)


def test_the_cache_sizes_that_the_comments_name_are_right() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    per_token = kv_bytes_per_token(QWEN3_8B, "fp8")
    assert per_token == 73_728  # 2 · 36 layers · 8 heads · 128
    assert f"{per_token:,} bytes a token, {per_token * 131_072 / 1e9:.1f} GB for 131,072" in text


_PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
names = "model_tag max_model_len kv_cache_dtype hf_overrides default_chat_template_kwargs enable_prompt_tokens_details"
print(json.dumps({name: getattr(arguments, name) for name in names.split()}))
"""


@pytest.mark.engine
def test_vllm_itself_understands_the_command(engine_arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PARSE, *engine_arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "model_tag": "Qwen/Qwen3-8B",
        "max_model_len": 131_072,
        "kv_cache_dtype": "fp8",
        "hf_overrides": json.loads(_after(engine_arguments, "--hf-overrides")),
        "default_chat_template_kwargs": {"enable_thinking": False},
        "enable_prompt_tokens_details": True,
    }
