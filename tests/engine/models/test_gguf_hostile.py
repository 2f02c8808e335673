"""GGUF files that claim what they do not hold, and ones with traps beside them: one line, limits, nothing run."""

import json
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ModelFetchError
from engine.models.gguf import convert
from engine.models.resolution import pull
from tests.support.model_files import tiny_gguf

_STRING, _ARRAY, _UINT64 = 8, 9, 10
MAGIC = b"GGUF" + struct.pack("<I", 3)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))


def _text(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def _claims(tensors: int, entries: int, body: bytes = b"") -> bytes:
    return MAGIC + struct.pack("<QQ", tensors, entries) + body


def test_a_gguf_that_claims_more_than_it_holds_is_refused_in_one_line(tmp_path: Path) -> None:
    source = tmp_path / "bad.gguf"
    source.write_bytes(_claims(2**60, 2**60))
    with pytest.raises(ModelFetchError, match=r"^bad\.gguf could not be converted: ") as caught:
        pull(str(source))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


@pytest.mark.parametrize(
    "entry",
    [
        _text(b"general.architecture") + struct.pack("<I", _STRING) + _text(b"llama", 2**62),
        _text(b"a") + struct.pack("<IIQ", _ARRAY, _UINT64, 2**60),
        _text(b"a") + struct.pack("<IIQ", _ARRAY, _STRING, 2**60),
    ],
    ids=["a string", "an array of numbers", "an array of strings"],
)
def test_lengths_beyond_the_file_end_its_reading_at_once(tmp_path: Path, entry: bytes) -> None:
    (tmp_path / "bad.gguf").write_bytes(_claims(0, 1, entry))
    with pytest.raises((ValueError, IndexError, OverflowError, OSError, struct.error)):
        convert(tmp_path / "bad.gguf", tmp_path)


def test_what_stands_beside_a_gguf_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received = tmp_path / "received"
    received.mkdir()
    tiny_gguf(received / "-x; y.gguf")
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')\nclass T: pass\n"
    for name in ("evil", "torch", "gguf", "transformers", "sitecustomize"):
        (received / f"{name}.py").write_text(trap)
    code = {"auto_map": {"AutoConfig": "evil.T", "AutoTokenizer": ["evil.T", "evil.T"]}, "tokenizer_class": "T"}
    for name in ("config.json", "tokenizer_config.json"):
        (received / name).write_text(json.dumps(code))
    monkeypatch.chdir(received)
    found = pull("./-x; y.gguf")
    assert found.config["model_type"] == "llama"
    assert "auto_map" not in found.config
    assert not (tmp_path / "sprung").exists()
    assert {path.stat().st_mode & 0o777 for path in found.folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("limits", "work", "code"),
    [
        ("memory_bytes=2**30", "bytes(2**31)", 7),
        ("cpu_seconds=0.0", "[None for number in iter(int, 1)]", -signal.SIGXCPU),
        ("file_bytes=10", "open(sys.argv[1], 'wb', 0).write(bytes(20)); os._exit(os.stat(sys.argv[1]).st_size)", 10),
    ],
)
def test_a_confined_process_ends_at_its_limits(tmp_path: Path, limits: str, work: str, code: int) -> None:
    program = (
        "import os, sys\nfrom engine.surroundings import confine\n"
        f"confine({limits})\ntry:\n {work}\nexcept MemoryError:\n os._exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")], capture_output=True, check=False)
    assert done.returncode == code, done.stderr
