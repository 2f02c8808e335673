"""The wheel holds all that the program needs: unpacked elsewhere, its commands run from it and from nothing else."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.files import write

ROOT = Path(__file__).parents[1]
_RUN = "import sys, pipeline; print(pipeline.__file__, file=sys.stderr); from pipeline.__main__ import main; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own. The packages that it needs are those of this environment."""
    made, unpacked = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    source = made / "source"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(source)], check=True)
    subprocess.run([*command, "--no-build-isolation", "--wheel-dir", str(made), str(source)], check=True)
    (wheel,) = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return unpacked


def _fathom(installed: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _RUN, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(installed) in done.stderr.splitlines()[0], done.stderr
    return done


def test_the_wheel_holds_code_and_data_and_nothing_of_the_tests(installed: Path) -> None:
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    rooms = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert rooms == {"indexes", "engine", "pipeline", "evals"}
    listing = ["git", "ls-tree", "-r", "--name-only", "HEAD", *sorted(rooms)]
    committed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert set(committed) <= names


def test_help_doctor_and_a_search_run_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    write(tmp_path / "docs", {"cap.md": "# Cap\n\nThe liability cap is 1 million euros."})
    assert "Commands:" in _fathom(installed, tmp_path, "--help").stdout
    made = _fathom(installed, tmp_path, "index", "docs", "--embedding", "none", "--json")
    assert made.returncode == ExitCode.ANSWERED, made.stderr
    findings = json.loads(_fathom(installed, tmp_path, "doctor", "--json", "--engine", "fake://").stdout)["findings"]
    assert [finding["health"] for finding in findings if finding["name"] == "collection"] == ["ok"]
    found = json.loads(_fathom(installed, tmp_path, "search", "liability cap", "--json").stdout)
    assert [hit["document"]["name"] for hit in found["hits"]] == ["cap.md"]
    answered = _fathom(installed, tmp_path, "ask", "What is the cap?", "--engine", "fake://", "--json")
    assert json.loads(answered.stdout)["schema_version"] == 1
