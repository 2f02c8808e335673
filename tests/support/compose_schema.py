"""The form of docker-compose.yml: as much of the Compose specification as it uses, and its parser."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

PROFILES = ("cpu", "gpu")

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


def parse(text: str) -> dict[str, Any]:
    loaded = _filled(yaml.load(text, _Loader))
    assert isinstance(loaded, dict)
    return loaded
