"""What the console script settles before anything else: the path of imports, folders, and no tracing."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, os, sys
from pipeline.surroundings import settle
before = list(sys.path)
settle()
print(json.dumps({"path": sys.path, "before": before, "variables": dict(os.environ)}))
"""


def _settled(folder: Path, **variables: str) -> dict[str, object]:
    surroundings = {**os.environ, **variables}
    surroundings.pop("PYTHONSAFEPATH", None)  # a test before may have settled this process
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, env=surroundings, capture_output=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_working_folder_leaves_the_path_of_imports_unless_the_user_named_it(tmp_path: Path) -> None:
    root, here = str(Path(__file__).parents[2]), str(tmp_path)
    for given, kept in ((root, []), (f"{os.pathsep}{root}", []), (f"{root}{os.pathsep}{here}", ["", here])):
        found = _settled(tmp_path, PYTHONPATH=given)
        path = found["path"]
        assert isinstance(path, list)
        assert [entry for entry in path if entry in ("", here)] == kept, given
        assert "" in found["before"]  # type: ignore[operator]


def test_variables_that_children_and_libraries_read_are_settled(tmp_path: Path) -> None:
    found = _settled(tmp_path, FATHOM_CACHE="near", PYTHONPATH=str(Path(__file__).parents[2]), LANGSMITH_TRACING="true")
    variables = found["variables"]
    assert isinstance(variables, dict)
    assert variables["PYTHONSAFEPATH"] == "1"
    assert variables["FATHOM_CACHE"] == str(tmp_path / "near")
    assert variables["LANGSMITH_TRACING"] == variables["LANGCHAIN_TRACING_V2"] == "false"


def test_tracing_is_off_for_the_library_that_would_send_it(tmp_path: Path) -> None:
    program = (
        "from pipeline.surroundings import settle\nsettle()\n"
        "from langsmith.utils import tracing_is_enabled\nprint(tracing_is_enabled())"
    )
    surroundings = {**os.environ, "LANGSMITH_TRACING": "true", "LANGCHAIN_TRACING_V2": "true"}
    assert subprocess.check_output([sys.executable, "-c", program], env=surroundings) == b"False\n"
