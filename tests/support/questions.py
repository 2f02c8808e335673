"""A small collection and a way to ask it, for the tests of whole questions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.base import Message
from engine.fake import FakeEngine
from indexes.collection import Collection
from pipeline.config import Config
from pipeline.engines import RunningSource
from pipeline.qa.state import Listener, Surroundings
from tests.support.files import write

FILES: Mapping[str, str | bytes] = {
    "marrowbay.md": "# Marrowbay\n\nMarrowbay revenue was 13.7 million euros in 2025.\n\nHexalith sells cells.\n",
    "brightseam.md": "# Brightseam\n\nBrightseam revenue was 4.1 million euros in 2025.\n\nA dispute was settled.\n",
    "weather.txt": "The weather in Lisbon is pleasant.\n",
}
QUESTION = "What was the revenue of Marrowbay in 2025?"


def replying(text: str) -> Callable[[object], str]:
    """A model that says the same to everything."""
    return lambda _: text


@contextmanager
def surroundings(
    folder: Path,
    engine: FakeEngine | None = None,
    config: Config | None = None,
    files: Mapping[str, str | bytes] = FILES,
    embedding: str = "none",
    listener: Listener | None = None,
) -> Iterator[Surroundings]:
    """What a question needs, around a collection of some files."""
    collection = Collection.open_or_create(folder / ".fathom", embedding)
    collection.add([write(folder / "docs", files)])
    source = RunningSource(engine or FakeEngine())
    yield Surroundings(config or Config(), collection, source, listener or Listener())
    source.close()
    collection.close()


def user_message(engine: FakeEngine) -> str:
    """The last message of the only prompt that an engine was given."""
    (prompt,) = engine.prompts
    last: Message = prompt[-1]
    return last.content
