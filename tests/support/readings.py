"""Two short passages that answers are checked against."""

from collections.abc import Sequence

from pipeline.qa.grounding import CheckedSentence, check_answer
from pipeline.qa.packing import Passage
from tests.support.records import document, passage

QUESTION = "How is the company doing?"
MARROWBAY = passage(
    "Marrowbay revenue rose to 13.7 million euros in 2025, against 9.2 million the year before.\n"
    "The liability cap is 12 million euros, and it – unlike the\n   warranty – ends in March 2031.\n"
    "Dr. Ilse Vandermeer of Hexalith Ltd. supplies the battery cells.\n"
    "| Quarter | Orders |\n| Q1 | 340 |\n| Q2 | 415 |\n",
    context="Marrowbay memo",
)
BRIGHTSEAM = passage(
    "Revenue was 4.1 million euros in 2025. The patent dispute was settled in June.",
    context="Brightseam › Financial statements",
    of=document(2),
    start=1000,
)
READING = (MARROWBAY, BRIGHTSEAM)


def checked(answer: str, question: str = QUESTION, reading: Sequence[Passage] = READING) -> list[CheckedSentence]:
    """The sentences of an answer, checked by words alone."""
    return check_answer(answer, question, reading, None)
