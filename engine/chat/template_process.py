"""Renders a model's chat template in a process of its own, by jinja2 alone and as transformers renders it.

Run by its path: `python -P template_process.py`. A message is eight bytes of its length, big-endian, and JSON. The
first has `template`, `memory_bytes` and `cpu_seconds`, and is answered by an empty object; each further one is the
template's variables, answered by `text` or `error`.
"""

import json
import math
import sys
from datetime import datetime
from typing import Any

HEAD_BYTES = 8


def environment() -> Any:
    """Settings, extensions, filters and globals of transformers 5 (`chat_template_utils._compile_jinja_template`)."""
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        """`{% generation %}` marks what the assistant wrote, for training; here its content is only rendered."""

        tags: set[str] = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_content"), [], [], body).set_lineno(line)

        def _content(self, caller: Any) -> Any:
            return caller()

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    def tojson(
        value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form: str) -> str:
        return datetime.now().strftime(form)

    found = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    found.filters["tojson"] = tojson
    found.globals["raise_exception"] = raise_exception
    found.globals["strftime_now"] = strftime_now
    return found


def main() -> None:
    """Says that it is there, and answers until the parent closes its end."""
    settings = _receive()
    if settings is None:
        return
    jinja = environment()  # before the limits: what it imports is not the template's
    _limit(settings["memory_bytes"])
    _send(b"{}")
    template = None
    while (variables := _receive()) is not None:
        _limit_time(settings["cpu_seconds"])
        try:
            template = template or jinja.from_string(settings["template"])
            answer = json.dumps({"text": template.render(**variables)}).encode()
        except Exception as error:  # a template may raise anything
            answer = json.dumps({"error": _reason(error)}).encode()
        _send(answer)


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it needs more memory than it may have"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"{type(error).__name__}: {error}"[:300]


def _receive() -> dict[str, Any] | None:
    head = sys.stdin.buffer.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    content: dict[str, Any] = json.loads(sys.stdin.buffer.read(int.from_bytes(head, "big")))
    return content


def _send(content: bytes) -> None:
    sys.stdout.buffer.write(len(content).to_bytes(HEAD_BYTES, "big") + content)
    sys.stdout.buffer.flush()


def _limit(memory_bytes: int) -> None:
    """Memory, and no file of any length: a template has nothing to write."""
    try:
        import resource
    except ImportError:  # the parent's clock still holds
        return
    for kind, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(kind, (value, value))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _limit_time(seconds: float) -> None:
    """Ends a template's endless loop also where the parent has died and nobody is left to end it."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds) + 1, hard))


if __name__ == "__main__":
    main()
