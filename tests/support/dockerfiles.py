"""The Dockerfile as stages of instructions, and what .dockerignore keeps from the builder."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@dataclass
class Stage:
    """One FROM of the Dockerfile and its instructions: keyword and the rest of the line."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    lines = "\n".join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(base)
        elif keyword:
            found[list(found)[-1]].instructions.append((keyword, rest.strip()))
    return found


def instructions(target: str) -> Iterator[tuple[str, str]]:
    """The instructions of a stage after those of the stages that it begins with."""
    stage = stages()[target]
    if stage.base in stages():
        yield from instructions(stage.base)
    yield from stage.instructions


def copies() -> Iterator[tuple[str | None, str]]:
    """Every source of every COPY, and the stage that it is copied from; None is the repository."""
    for stage in stages().values():
        for keyword, rest in stage.instructions:
            if keyword == "COPY":
                options = [word for word in rest.split() if word.startswith("--")]
                origin = next((o.removeprefix("--from=") for o in options if o.startswith("--from=")), None)
                sources = [word for word in rest.split() if not word.startswith("--")][:-1]
                yield from ((origin, source) for source in sources)


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path from the builder: the last line that matches it or a folder above decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#"):
            above = [part for part in (path, *map(str, Path(path).parents)) if part != "."]
            names = Path(path).parts if pattern.startswith("**/") else above
            if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
                out = not line.startswith("!")
    return out
