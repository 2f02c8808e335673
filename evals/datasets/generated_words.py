"""The words of the generated language: English function words, pronounceable inventions, numbers."""

import numpy as np

FUNCTION_WORDS = tuple(
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were all their there been if more when will would who so no out up into them can only other new some "
    "could time these two may then do first any my now such like our over man me even most made after also did many "
    "before must through back years where much your way well down should because each just those people how too "
    "little state good very make world still own see work long here between both life being under never day".split()
)
_ONSETS = "b c d f g h j k l m n p r s t v w b c d f g l m n p r s t br ch cl dr gr pl pr qu sh st th tr".split()
_VOWELS = "a a e e i i o o u a e i o ai ea ou".split()
_CODAS = ["", "", "", "", *"l m n n r r s t x ck nd st".split()]
_ENDINGS = ["", "", "", "", "", "", "", "", "", *"s s ed ing er ly al ness ment".split()]
_SYLLABLES = [onset + vowel + coda for onset in _ONSETS for vowel in _VOWELS for coda in _CODAS]
_LENGTH_ENDS_AT = (1_000, 40_000)  # ranks from which on words have two syllables, and three


def made_up_words(count: int, rng: np.random.Generator) -> list[str]:
    """Words that are all different, frequent ones shorter, none a function word."""
    found: dict[str, None] = {}
    taken = set(FUNCTION_WORDS)
    for syllables, end in enumerate((*_LENGTH_ENDS_AT, count), 1):
        end = min(end, count)
        while len(found) < end:
            size = end - len(found)
            drawn = rng.integers(0, len(_SYLLABLES), (3, size))
            drawn[syllables:] = -1
            endings = rng.integers(0, len(_ENDINGS), size).tolist()
            parts = [*_SYLLABLES, ""]
            for a, b, c, ending in zip(*drawn.tolist(), endings, strict=True):
                word = parts[a] + parts[b] + parts[c] + _ENDINGS[ending]
                if word not in taken:
                    found[word] = None
    return list(found)


def numbers(count: int) -> list[str]:
    """The numbers 1 to `count` as texts write them: thousands separated, every fourth of the small a percentage."""
    return [f"{n / 10:.1f}%" if n % 4 == 0 and n <= 1_000 else f"{n:,}" for n in range(1, count + 1)]
