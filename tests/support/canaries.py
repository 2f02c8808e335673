"""A working folder full of traps: a module for every name that a process may import, and settings of libraries."""

import pkgutil
import re
import sys
from pathlib import Path

ENTRY_POINTS = """
[fathom.commands]
trap = trap_plugin
[vllm.general_plugins]
trap = trap_plugin
"""
SETTINGS = (".numba_config.yaml", "setup.cfg", "pyproject.toml", ".env", "pip.conf", "matplotlibrc", "conftest.py")
# Read by name where this folder is the working one.
ALLOWED = ("documents", "fathom.toml", ".fathom", "config.json", "model.safetensors", "tiny.gguf")


# Files of a collection are opened by their names below its folder, which look as if they were in the working folder.
_INDEX_FILE = re.compile(
    r"\.gitignore|origin|write\.lock|segments|collection\.sqlite(-\w+)?|\d+-\d+-[0-9a-f]{8}|\w+\.npy|[\w-]+\.faiss|codes\.json"
    r"|(origin|\.origin)[\w.]*|fathom-loader-\w+|file"
)


def module_names() -> set[str]:
    """Top-level modules of the standard library and of all that is installed."""
    installed = {module.name for module in pkgutil.iter_modules()}
    return {*sys.stdlib_module_names, *installed, "sitecustomize", "usercustomize", "trap_plugin"}


def lay(folder: Path, sprung: Path) -> None:
    """Writes the traps; each that is imported adds its name to `sprung`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in module_names():
        line = f"with open({str(sprung)!r}, 'a') as file: file.write({name + chr(10)!r})\n"
        (folder / f"{name}.py").write_text(line, encoding="utf-8")
    for name in ("pipeline", "engine", "indexes", "evals"):  # packages go before modules
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text((folder / f"{name}.py").read_text(encoding="utf-8"))
    info = folder / "trap-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trap\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    for name in SETTINGS:
        (folder / name).write_text("[" if name.endswith((".cfg", ".toml")) else "")


def write_watcher(folder: Path, watched: Path, seen: Path) -> Path:
    """A program that runs `fathom` and adds to `seen` each path below `watched` that the process opens, and each
    use of the network."""
    program = folder / "watched.py"
    program.write_text(
        "import os, sys\n"
        f"WATCHED, SEEN = {str(watched)!r}, {str(seen)!r}\n"
        "def note(what):\n"
        "    with os.fdopen(os.open(SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 'a') as file:\n"
        "        file.write(what + '\\n')\n"
        "def hook(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname'):\n"
        "        note(f'network: {event} {arguments[1:]}')\n"
        "    if event in ('open', 'os.scandir', 'os.listdir') and isinstance(arguments[0], (str, bytes)):\n"
        "        path = os.path.abspath(os.fsdecode(arguments[0]) or '.')\n"
        "        if path.startswith(WATCHED + os.sep):\n"
        "            note(path[len(WATCHED) + 1:])\n"
        "sys.addaudithook(hook)\n"
        "from pipeline.__main__ import main\n"
        "sys.argv[0] = 'fathom'\n"
        "main()\n"
    )
    return program


def unexpected(seen: Path) -> list[str]:
    """What was opened below the folder and is neither a document nor a file that the commands were given."""
    if not seen.exists():
        return []
    names = {line for line in seen.read_text(encoding="utf-8").splitlines() if line}
    return sorted(name for name in names if not name.startswith(ALLOWED) and not _INDEX_FILE.fullmatch(name))
