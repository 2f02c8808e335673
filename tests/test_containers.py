"""The container set-up: docker-compose.yml's form, and that it, the Dockerfile, pyproject.toml and the code agree.

Docker is not needed. Where `docker compose` is installed, it judges the profiles instead of the schema here.
"""

import copy
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from engine.attention.fit import misfits
from engine.attention.plugin import BACKEND, SUPPORTED_VLLM
from engine.kv.geometry import kv_bytes_per_token
from engine.rope.context import plan_context
from engine.rope.settings import vllm_overrides
from indexes.encoders.embedding import NONE
from pipeline.config import Config, load_config
from pipeline.errors import ConfigError
from tests.support.compose_schema import PROFILES, SCHEMA, parse
from tests.support.dockerfiles import ROOT, copies, ignored, instructions, stages

COMPOSE = ROOT / "docker-compose.yml"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
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


@pytest.fixture
def compose() -> dict[str, Any]:
    return parse(COMPOSE.read_text(encoding="utf-8"))


@pytest.fixture
def engine_arguments(compose: dict[str, Any]) -> list[str]:
    arguments: list[str] = compose["services"]["engine"]["command"]
    return arguments


def _after(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def _check_by_schema(profile: str) -> None:
    compose = parse(COMPOSE.read_text(encoding="utf-8"))
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
        ("services.engine", "build", "builds"),
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
        parse("name: fathom\nname: fathom\n")


def test_build_targets_are_stages_and_build_arguments_are_known(compose: dict[str, Any]) -> None:
    builds = [service["build"] for service in compose["services"].values() if "build" in service]
    assert {build["target"] for build in builds} == {*TARGETS, "engine"}
    for build in builds:
        assert (ROOT / build["context"] / "Dockerfile").is_file()
        stage = build["target"] if build["target"] == "engine" else f"{build['target']}-build"
        known = {rest.partition("=")[0] for kind, rest in instructions(stage) if kind == "ARG"}
        assert build.get("args", {}).keys() <= known


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_is_fathom_and_does_not_run_as_root(target: str) -> None:
    assert target in stages()
    last = dict(instructions(target))
    assert json.loads(last["ENTRYPOINT"]) == ["fathom"]
    assert last["USER"] not in ("root", "0")


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    for origin, source in copies():
        if origin is None:
            assert (ROOT / source).exists(), f"COPY {source}: no such file"
            assert not ignored(source), f"COPY {source}: kept out by .dockerignore"
        else:
            assert origin in stages(), f"COPY --from={origin}: no such stage"
    assert ignored(".env")
    assert ignored(".fathom/collection.sqlite")
    assert ignored("engine/__pycache__")


def test_everything_that_the_package_is_built_from_is_copied() -> None:
    project = PYPROJECT["project"]
    rooms = {pattern.removesuffix("*") for pattern in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    needed = {"pyproject.toml", project["readme"], *project["license-files"], *rooms}
    assert needed <= {source for origin, source in copies() if origin is None}


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


def test_the_engine_is_the_vllm_that_the_gpu_extra_names() -> None:
    pins = [r for r in PYPROJECT["project"]["optional-dependencies"]["gpu"] if r.startswith("vllm==")]
    version = pins[0].removeprefix("vllm==")
    assert stages()["engine"].base == f"vllm/vllm-openai:v{version}"
    assert version.startswith(f"{SUPPORTED_VLLM}.")


def test_the_engine_has_the_attention_that_its_command_asks_for(engine_arguments: list[str]) -> None:
    assert _after(engine_arguments, "--attention-backend") == BACKEND
    assert misfits(QWEN3_8B) == []
    copied = [source for kind, source in stages()["engine"].instructions if kind == "COPY"]
    assert copied == ["--from=source / /src"]


def test_the_yarn_settings_are_those_that_fathom_would_choose(engine_arguments: list[str]) -> None:
    tokens = int(_after(engine_arguments, "--max-model-len"))
    assert tokens == 131_072  # 4 · 32,768
    plan = plan_context(QWEN3_8B, tokens)
    assert json.loads(_after(engine_arguments, "--hf-overrides")) == vllm_overrides(QWEN3_8B, plan)


def test_the_cache_sizes_that_the_comments_name_are_right() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    per_token = kv_bytes_per_token(QWEN3_8B, "fp8", centred_page=128)
    assert per_token == 74_304  # 36 layers · 8 heads · (2 · 128 + 2)
    assert f"{per_token:,} bytes a token, {per_token * 131_072 / 1e9:.1f} GB for 131,072" in text


_PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
names = "model_tag max_model_len kv_cache_dtype hf_overrides default_chat_template_kwargs enable_prompt_tokens_details"
found = {name: getattr(arguments, name) for name in names.split()}
backend = arguments.attention_backend
print(json.dumps({**found, "attention_backend": getattr(backend, "name", backend)}))
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
        "attention_backend": "CUSTOM",
        "hf_overrides": json.loads(_after(engine_arguments, "--hf-overrides")),
        "default_chat_template_kwargs": {"enable_thinking": False},
        "enable_prompt_tokens_details": True,
    }
