"""Running a request to its end."""

from collections.abc import Iterator, Sequence

import pytest

from engine.base import Completion, Delta, EngineInfo, Message, Sampling, Timings, Usage, complete
from engine.errors import EngineReplyError

_DONE = Completion("a b", "stop", Usage(3, 2), Timings(0.0, 0.0))


class Scripted:
    """An Engine that says the deltas that it was given."""

    def __init__(self, *deltas: Delta) -> None:
        self._deltas = deltas
        self.said = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "test", "none", 100)

    def count_tokens(self, text: str) -> int:
        return len(text)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return sum(self.count_tokens(m.content) for m in messages)

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        for delta in self._deltas:
            self.said += 1
            yield delta

    def free_kv_tokens(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def test_complete_returns_the_last_delta_s_completion_and_tells_every_piece() -> None:
    heard: list[str] = []
    found = complete(Scripted(Delta("a"), Delta(" b"), Delta("", _DONE)), [], Sampling(), heard.append)
    assert found is _DONE
    assert heard == ["a", " b"]


def test_text_beside_the_completion_is_heard_too() -> None:
    heard: list[str] = []
    complete(Scripted(Delta("a"), Delta(" b", _DONE)), [], Sampling(), heard.append)
    assert heard == ["a", " b"]


def test_complete_needs_no_listener() -> None:
    assert complete(Scripted(Delta("a b", _DONE)), [], Sampling()) is _DONE


def test_nothing_is_read_after_the_completion() -> None:
    engine = Scripted(Delta("", _DONE), Delta("more"))
    complete(engine, [], Sampling())
    assert engine.said == 1


@pytest.mark.parametrize("deltas", [(), (Delta("a"), Delta(" b"))])
def test_a_stream_without_a_completion_is_an_error(deltas: tuple[Delta, ...]) -> None:
    with pytest.raises(EngineReplyError, match="ended its answer without a last word"):
        complete(Scripted(*deltas), [], Sampling())
