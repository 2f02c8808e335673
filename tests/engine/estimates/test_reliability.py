"""A model's profile: what is written is read, in its own state only, and a broken file is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ModelDamagedError
from engine.estimates.reliability import FILE, calibrated, read_profile, reliable_length, write_profile
from engine.rope.scaling import RopeScaling

YARN = RopeScaling("yarn", 4.0, 8192)
ENTRY = {
    "scaling": None, "factor": 1.0, "original_tokens": 8192, "kv_dtype": "float32", "tokens": 6000,
    "measured": "needles",
}  # fmt: skip


def test_a_model_without_a_profile_has_none(tmp_path: Path) -> None:
    assert read_profile(tmp_path) == ()
    assert reliable_length(tmp_path, None, 8192, "float32") is None


def test_a_length_holds_for_its_scaling_and_cache_alone(tmp_path: Path) -> None:
    written = calibrated(YARN, 8192, "bfloat16", 24_000, "needles")
    path = write_profile(tmp_path, [written])
    assert path == tmp_path / FILE
    assert reliable_length(tmp_path, YARN, 8192, "bfloat16") == written
    for scaling, native, dtype in (
        (None, 8192, "bfloat16"),
        (RopeScaling("yarn", 2.0, 8192), 8192, "bfloat16"),
        (RopeScaling("linear", 4.0, 8192), 8192, "bfloat16"),
        (YARN, 8192, "fp8"),
        (YARN, 8192, None),
    ):
        assert reliable_length(tmp_path, scaling, native, dtype) is None


def test_a_new_measurement_takes_the_place_of_the_old_one_and_leaves_the_others(tmp_path: Path) -> None:
    write_profile(tmp_path, [calibrated(YARN, 8192, "bf16", 1, "a"), calibrated(None, 8192, "bf16", 2, "b")])
    write_profile(tmp_path, [calibrated(YARN, 8192, "bf16", 3, "c")])
    assert [(entry.scaling, entry.tokens) for entry in read_profile(tmp_path)] == [("yarn", 3), (None, 2)]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it cannot be read"),
        ("[]", "it has not the schema version 1"),
        ('{"schema_version": 2, "reliable": []}', "it has not the schema version 1"),
        ('{"schema_version": 1}', "it has no list `reliable`"),
        ('{"schema_version": 1, "reliable": [3]}', "3 is no measurement"),
        *(
            (json.dumps({"schema_version": 1, "reliable": [{**ENTRY, name: value}]}), f"{name} = ")
            for name, value in [
                ("scaling", 3), ("factor", "4"), ("factor", True), ("original_tokens", 1.5), ("kv_dtype", None),
                ("tokens", "many"), ("tokens", 0), ("measured", None),
            ]
        ),
        (json.dumps({"schema_version": 1, "reliable": [{"tokens": 3}]}), "scaling = nothing"),
    ],
)  # fmt: skip
def test_a_profile_that_keeps_no_schema_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(ModelDamagedError, match=said) as caught:
        read_profile(tmp_path)
    assert FILE in str(caught.value)
    assert "remove it" in caught.value.hint
    with pytest.raises(ModelDamagedError):  # and nothing is lost
        write_profile(tmp_path, [calibrated(YARN, 8192, "bf16", 3, "c")])
    assert (tmp_path / FILE).read_text(encoding="utf-8") == content


def test_a_whole_entry_is_read(tmp_path: Path) -> None:
    content: dict[str, Any] = {"schema_version": 1, "reliable": [{**ENTRY, "later": "ignored"}]}
    (tmp_path / FILE).write_text(json.dumps(content), encoding="utf-8")
    assert reliable_length(tmp_path, None, 8192, "float32") == calibrated(None, 8192, "float32", 6000, "needles")
