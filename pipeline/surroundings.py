"""Keeps the working folder out of the process and its children: it holds documents, and none of it is a program.

Imported before everything else, so it needs nothing but what the interpreter has loaded already.
"""

import os
import sys

# Folders that libraries look up later, when the process may stand elsewhere.
_FOLDERS = ("FATHOM_CACHE", "FATHOM_HOME", "HF_HOME", "HF_HUB_CACHE", "VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "TMPDIR")
# langsmith, which langgraph brings along, would send questions and passages to a server.
_SENDING = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")


def settle() -> None:
    """For this process and all that it starts: imports by the path that the user named, folders that do not move, and
    no tracing."""
    _drop_working_folder()
    os.environ["PYTHONSAFEPATH"] = "1"
    for name in _FOLDERS:
        if given := os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(given))  # noqa: PTH100, PTH111 - pathlib is not loaded
    os.environ.update(dict.fromkeys(_SENDING, "false"))


def _drop_working_folder() -> None:
    """Takes the working folder off the path of imports: `python -m` and an empty part of PYTHONPATH put it there."""
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = [os.path.abspath(part) for part in parts if part]  # noqa: PTH100 - as above
    if named:
        os.environ["PYTHONPATH"] = os.pathsep.join(named)
    else:
        os.environ.pop("PYTHONPATH", None)
    try:
        here = os.getcwd()  # noqa: PTH109 - as above
    except OSError:  # it was removed
        return
    mine = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - as above
    if here in named or here == mine:  # run from where it was unpacked, without being installed
        return
    if not sys.flags.safe_path and sys.path[:1] in ([""], [here]):
        del sys.path[0]
    if len(parts) > 1 and "" in parts and here in sys.path:
        sys.path.remove(here)
