"""The `fathom` command: what each command prints, for a person and as JSON, and which files it names."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.abc import MetaPathFinder
from pathlib import Path

import jsonschema
import pytest

from pipeline.__main__ import main
from pipeline.cli import version
from pipeline.errors import ExitCode
from pipeline.qa.schema import answer_schema
from tests.support.commands import FAKE, FATHOM, indexed, ok, process, run
from tests.support.files import OLE, pdf, write
from tests.support.models import cross_encoder
from tests.support.questions import QUESTION


def test_an_answer_goes_to_stdout_with_its_citation_and_stages_to_stderr(room: Path) -> None:
    result = run("ask", QUESTION, *FAKE)
    assert result.exit_code == ExitCode.ANSWERED
    assert "13.7 million euros in 2025. [1]" in result.stdout
    assert "[1] marrowbay.md" in result.stdout
    assert all(line.startswith("… ") for line in result.stderr.splitlines())


def test_explain_tells_the_route_on_stderr_and_a_dry_run_on_stdout(room: Path) -> None:
    explained = run("ask", QUESTION, "--explain", *FAKE)
    assert "route: native, because" in explained.stderr
    assert "route:" not in explained.stdout
    dry = run("ask", QUESTION, "--dry-run", *FAKE)
    assert (dry.exit_code, dry.stdout.startswith("route: native, because")) == (ExitCode.ANSWERED, True)


@pytest.mark.parametrize("route", ["chunked", "native"])
def test_a_route_that_is_asked_for_is_taken(room: Path, route: str) -> None:
    answer = json.loads(ok("ask", QUESTION, "--route", route, "--json", *FAKE))
    assert (answer["route"]["route"], answer["route"]["requested"]) == (route, route)


def test_without_an_answer_the_exit_code_is_three(room: Path) -> None:
    nothing = run("ask", "zebra", *FAKE)
    assert (nothing.exit_code, nothing.stdout) == (
        ExitCode.NO_ANSWER,
        "The documents do not answer this question.\n",
    )
    nothing = run("search", "zebra")
    assert (nothing.exit_code, nothing.stdout) == (ExitCode.NO_ANSWER, "Nothing found.\n")


def test_a_question_comes_from_stdin(room: Path) -> None:
    result = run("ask", "-", *FAKE, stdin=QUESTION + "\n")
    assert (result.exit_code, "13.7" in result.stdout) == (ExitCode.ANSWERED, True)
    result = run("search", "-", stdin="revenue é\n")
    assert result.exit_code == ExitCode.ANSWERED


def test_the_collection_is_found_from_a_folder_below(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (room / "docs" / "deep").mkdir()
    monkeypatch.chdir(room / "docs" / "deep")
    assert "marrowbay.md" in ok("search", "Marrowbay", "-k", "1")


def test_indexing_again_reads_only_what_changed(room: Path) -> None:
    assert ok("index", "docs").startswith("3 unchanged; 3 chunks in ")
    write(room / "docs", {"new.md": "# New\n\nA note.\n", "weather.txt": "It rains in Lisbon.\n"})
    assert ok("index", "docs").startswith("1 new, 1 changed, 2 unchanged; 4 chunks in ")
    (room / "docs" / "new.md").unlink()
    assert ok("index", "docs").startswith("3 unchanged, 1 removed; 3 chunks in ")


def test_status_doctor_and_version_say_what_is_here(room: Path) -> None:
    assert "3 documents, 3 chunks" in ok("status")
    assert ok("status", "--failed") == ""
    assert "ok       engine: fake on fake" in ok("doctor", *FAKE)
    assert ok("version").startswith("fathom ")


def test_a_doctor_that_finds_a_problem_fails_and_names_the_next_step(room: Path) -> None:
    result = run("doctor", "--model", "nonesuch")
    assert result.exit_code == ExitCode.ERROR
    assert "problem  model: there is no model 'nonesuch'\n         → name a folder" in result.stdout


def test_a_model_folder_needs_no_fetching(room: Path) -> None:
    write(room / "m", {"config.json": '{"max_position_embeddings": 10}'})
    assert str(room / "m") in ok("models", "pull", str(room / "m"), "--no-measure")


def test_a_command_of_another_package_comes_in_by_its_entry_point(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "plug.py": "def add(app):\n    app.command('plugged')(lambda: print('it runs'))\n",
            "plug-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n",
            "plug-1.0.dist-info/entry_points.txt": "[fathom.commands]\nplug = plug:add\n",
        },
    )
    done = process("plugged", env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, b"it runs\n")


# --json


JSON_COMMANDS: dict[str, tuple[str, ...]] = {
    "index": ("index", "docs"),
    "status": ("status",),
    "status --failed": ("status", "--failed"),
    "search": ("search", "revenue"),
    "ask": ("ask", QUESTION, *FAKE),
    "ask --explain": ("ask", QUESTION, "--explain", *FAKE),
    "doctor": ("doctor", *FAKE),
    "models pull": ("models", "pull", "./docs", "--no-measure"),
}


@pytest.mark.parametrize("arguments", JSON_COMMANDS.values(), ids=JSON_COMMANDS.keys())
def test_json_is_one_object_on_stdout(room: Path, arguments: tuple[str, ...]) -> None:
    write(room / "docs", {"config.json": '{"max_position_embeddings": 10}'})
    result = run(*arguments, "--json")
    assert result.exit_code == ExitCode.ANSWERED
    assert isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize(
    ("status", "code", "arguments"),
    [("answered", 0, (QUESTION,)), ("not_found", 3, ("zebra",)), ("dry_run", 0, (QUESTION, "--dry-run"))],
)
def test_json_of_an_answer_keeps_the_schema(room: Path, status: str, code: int, arguments: tuple[str, ...]) -> None:
    result = run("ask", *arguments, "--json", *FAKE)
    answer = json.loads(result.stdout)
    jsonschema.Draft202012Validator(answer_schema()).validate(answer)
    assert (answer["status"], result.exit_code) == (status, code)


# Files that cannot be read


def _bad_files(folder: Path) -> None:
    whole = pdf([[("Secret", 12.0)]])
    write(
        folder,
        {
            "empty.txt": b"",
            "locked.pdf": pdf([[("Secret", 12.0)]], password="pw"),
            "locked.docx": OLE,
            "cut.pdf": whole[: len(whole) // 3],
            "binary.txt": b"text\x00\x01\x02" * 50,
            "picture.png": b"\x89PNG",
        },
    )
    (folder / "annex.txt").symlink_to("/proc/self/mem")
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(300 * 2**20)  # a hole, which takes no room on the disk


FAILED = {"empty.txt", "locked.pdf", "locked.docx", "cut.pdf", "huge.txt"}


def test_bad_files_are_named_and_the_others_are_indexed(room: Path) -> None:
    _bad_files(room / "docs")
    write(room / "docs", {"late.md": "# Late\n\nStill read.\n"})
    before = indexed(room)
    result = run("index", "docs")
    assert result.exit_code == ExitCode.BATCH_FAILURES
    assert result.stdout.startswith("1 new, 3 unchanged, 5 failed, 3 skipped; 4 chunks in ")
    lines = result.stdout.splitlines()[1:]
    assert {line.split()[1] for line in lines if line.startswith("  failed: ")} == FAILED
    assert {line.split()[1] for line in lines if line.startswith("  skipped: ")} == {
        "annex.txt",
        "binary.txt",
        "picture.png",
    }
    assert all(len(line.split()) > 3 for line in lines)
    assert set(before) < set(indexed(room))
    assert {line.split()[1] for line in ok("status", "--failed").splitlines()} == FAILED


def test_bad_files_are_named_in_json(room: Path) -> None:
    _bad_files(room / "docs")
    result = run("index", "docs", "--json")
    assert result.exit_code == ExitCode.BATCH_FAILURES
    assert json.loads(result.stdout)["failed"].keys() == FAILED
    listed = json.loads(ok("status", "--failed", "--json"))["file_list"]
    assert {file["name"] for file in listed} == FAILED


def test_a_document_that_can_no_longer_be_read_keeps_its_text(room: Path) -> None:
    before = indexed(room)
    (room / "docs" / "marrowbay.md").write_bytes(b"")
    result = run("index", "docs")
    assert (result.exit_code, "failed: marrowbay.md is empty" in result.stdout) == (ExitCode.BATCH_FAILURES, True)
    assert indexed(room) == before


@pytest.mark.parametrize(
    ("content", "says"), [(b"\x7fELF\x00\x01" * 20, "binary"), (b"PK\x03\x04", "truncated"), (b"", "is empty")]
)
def test_a_file_that_was_named_and_cannot_be_read_fails_with_its_reason(room: Path, content: bytes, says: str) -> None:
    write(room, {"named.bin": content})
    result = run("index", "named.bin")
    assert result.exit_code == ExitCode.BATCH_FAILURES
    assert "named.bin" in result.stdout
    assert says in result.stdout


def test_a_text_of_another_suffix_is_read_where_it_is_named(room: Path) -> None:
    write(room, {"notes.xyz": "The okapi eats leaves.\n"})
    assert ok("index", "notes.xyz").startswith("1 new")
    assert "notes.xyz" in ok("search", "okapi")


def test_failed_files_are_left_alone_until_they_are_asked_for(room: Path) -> None:
    path = write(room / "docs", {"locked.docx": OLE}) / "locked.docx"
    run("index", "docs")
    stat = path.stat()
    path.write_bytes(b"The okapi eats leaves.".ljust(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as on a disk that could not be read and now can
    result = run("index", "docs")
    assert (result.exit_code, "3 unchanged, 1 failed" in result.stdout) == (ExitCode.BATCH_FAILURES, True)
    assert "--retry-failed" in result.stdout
    assert ok("index", "--retry-failed").startswith("1 new;")
    assert "locked.docx" in ok("search", "okapi")
    assert ok("index", "--retry-failed").startswith("no files")


def test_a_document_is_removed_by_path_or_name_and_comes_back(room: Path) -> None:
    assert ok("remove", "docs/marrowbay.md") == "removed marrowbay.md\n"
    assert "marrowbay.md" not in ok("status", "--files")
    assert "marrowbay.md" not in {name for name, _ in indexed(room)}
    assert ok("index", "docs").startswith("1 new, 2 unchanged")
    assert json.loads(ok("remove", "marrowbay.md", "--json")) == {"removed": ["marrowbay.md"]}
    ok("remove", "docs")
    assert indexed(room) == []


def test_a_cross_encoder_ranks_anew_where_one_is_named(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(cross_encoder(room / "judge"))
    plain = json.loads(ok("search", "revenue of Marrowbay", "--json"))["hits"]
    assert {hit["reranker_score"] for hit in plain} == {None}
    hits = json.loads(ok("search", "revenue of Marrowbay", "--json", "--reranker", model))["hits"]
    assert [hit["reranker_score"] for hit in hits] == sorted((hit["reranker_score"] for hit in hits), reverse=True)
    assert {hit["chunk"]["id"] for hit in hits} == {hit["chunk"]["id"] for hit in plain}
    assert "; reranker " in ok("search", "revenue", "--reranker", model)
    monkeypatch.setenv("FATHOM_RETRIEVAL_RERANKER", model)
    assert "; reranker " in ok("search", "revenue")
    ok("ask", QUESTION, *FAKE)
    monkeypatch.setenv("FATHOM_RETRIEVAL_RERANKER", str(room))
    result = run("ask", QUESTION, *FAKE)
    assert (result.exit_code, "cannot be loaded" in result.stderr) == (ExitCode.ERROR, True)


def test_an_interrupted_run_says_so_and_the_same_command_goes_on(room: Path, tmp_path: Path) -> None:
    files = {f"{i}.md": f"# Part {i}\n\nText of part {i}.\n" for i in range(2000)}
    many = write(tmp_path / "many", files)
    child = subprocess.Popen([*FATHOM, "index", str(many)], cwd=room, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    before = len(indexed(room))
    while child.poll() is None and len(indexed(room)) == before:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert (child.returncode, b"interrupted; what was done is kept" in err) == (ExitCode.INTERRUPTED, True), err
    assert before < len(indexed(room)) < before + len(files)
    ok("index", str(many))
    assert len(indexed(room)) == before + len(files)


def test_a_command_interrupted_outside_of_its_work_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_json: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(version, "reported", interrupt)
    result = run("version")
    assert (result.exit_code, result.output) == (ExitCode.INTERRUPTED, "")


def test_a_command_interrupted_as_it_loads_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting(MetaPathFinder):
        def find_spec(self, fullname: str, path: object, target: object = None) -> None:
            if fullname == "pipeline.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "pipeline.cli.app")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, capsys.readouterr().err) == (ExitCode.INTERRUPTED, "fathom: interrupted\n")


def test_the_version_is_an_object_with_json() -> None:
    number = json.loads(ok("version", "--json"))["version"]
    assert ok("version") == f"fathom {number}\n"
