"""The campaign of hostile folders: what it looks at is found where it happens, and a few variants of each kind."""

from collections.abc import Iterator

import pytest

from evals.bench.hostile.__main__ import chosen
from evals.bench.hostile.arena import Arena
from evals.bench.hostile.case import Case, play
from evals.bench.hostile.folders import document
from evals.bench.hostile.variants import variants

HONEST = (
    "control: an honest room",
    "control: an honest server",
    "control: white on black.pdf",
    "control: unhidden.docx",
)
KINDS = ("folder", "database", "model", "server", "document")


def _harm(case: Case) -> str:
    return "\n".join(play(case).harm)


def test_there_are_two_hundred_variants_and_more_and_no_two_have_one_name() -> None:
    names = [(case.kind, case.name) for case in variants()]
    assert len(names) >= 200
    assert len(set(names)) == len(names)
    assert {kind for kind, _ in names} == set(KINDS)


def test_a_draw_is_repeated_by_its_seed() -> None:
    assert chosen(variants(), "folder", None, 5, 1) == chosen(variants(), "folder", None, 5, 1)
    assert {case.kind for case in chosen(variants(), "server", None, 5, 1)} == {"server"}
    assert all("control" in case.name for case in chosen(variants(), None, "control", None, 0))


def _reads_the_key(arena: Arena) -> None:
    (arena.room / "stolen.txt").write_text((arena.home / ".ssh" / "id_rsa").read_text())


@pytest.mark.parametrize(
    ("case", "harm"),
    [
        (Case("folder", "a leak", _reads_the_key, ()), "leaked: a secret is in room/stolen.txt"),
        (
            Case("folder", "a word", lambda _: None, (("version",),), never=("fathom",)),
            "said 'fathom': fathom version",
        ),
        (Case("folder", "a missing word", lambda _: None, (("version",),), must=("ants",)), "did not say 'ants'"),
        (
            Case("folder", "an exit code", lambda _: None, (("search", "ants"),), codes=frozenset({0})),
            "exit code 1, expected [0]",
        ),
    ],
)
def test_harm_is_found(case: Case, harm: str) -> None:
    assert harm in _harm(case)


def test_a_file_of_the_home_that_changes_is_found() -> None:
    def delete(arena: Arena) -> Iterator[str]:
        (arena.home / "papers" / "will.txt").unlink()
        yield from ()

    verdict = play(Case("folder", "a deletion", lambda _: None, (), look=delete))
    assert verdict.harm == ("changed: papers/will.txt in the user's home",)


def test_a_called_port_is_found() -> None:
    index = ("index", ".", "--embedding", "none")
    found = _harm(Case("server", "a call", document, (index, ("ask", "liability", "--engine", "{url}"))))
    assert "called: the port of the folder" in found
    assert "called: 127.0.0.1:" in found
    assert "leaked: a secret is in the port" in found  # the key goes to the engine that the user names


@pytest.mark.parametrize("case", [case for case in variants() if case.name in HONEST], ids=lambda case: case.name)
def test_what_is_honest_works(case: Case) -> None:
    assert play(case).harm == ()


@pytest.mark.parametrize("kind", KINDS)
def test_some_variants_of_each_kind_do_no_harm(kind: str) -> None:
    for case in chosen(variants(), kind, None, 1, 7):
        assert play(case).harm == (), case.name
