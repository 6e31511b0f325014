"""The form of a text as a few numbers: how it is written, not what it is about.

Documents of one type share a form and differ in topic, so these numbers tell types apart where vectors of meaning tell
subjects apart. All are shares or logarithms, so that one long document does not drown the others, and none needs a
model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inpars_plus.corpora.documents import Document
from inpars_plus.metrics.words import FUNCTION_WORDS

__all__ = ["FORM_FEATURES", "form_features"]

FORM_FEATURES = (
    "log_words",
    "log_words_a_sentence",
    "word_length",
    "function_words",
    "capitalised",
    "identifiers",
    "digits",
    "code_marks",
    "commas_and_stops",
    "quotation_marks",
    "exclamations_and_questions",
    "first_and_second_person",
    "indented_lines",
    "log_lines",
)
"""The columns of :func:`form_features`, in order."""

_MAX_CHARACTERS = 8_000
_WORD = re.compile(r"[^\W\d_]+(?:['’\-_.]?[^\W_]+)*|\w+")
# Both are tried at the beginning of a word or of a run of marks only: begun anew at each character of a long one, as of
# a sequence of bases or a dotted line, they would take seconds for one document.
_IDENTIFIER = re.compile(r"\b(?:\w*[^\W_]_\w+|\w*[a-z][A-Z]\w*|\w+\.\w+\(?|\w+\()")
_SENTENCE_END = re.compile(r"(?<![.!?。！？])[.!?。！？]++(?=[\s\"'”’)\]]|$)")
_CODE_MARKS = frozenset("{}[]()_=<>;/\\|#*&^%$@~+`")
_STOPS = frozenset(".,;:。、，")
_QUOTES = frozenset('"“”«»„')
_ASKING = frozenset("?!？！")
_PERSONS = frozenset(
    "i i'm i've i'd i'll me my mine we we're we've our ours us you you're you've you'll your yours".split()
)


def form_features(documents: Sequence[Document]) -> npt.NDArray[np.float64]:
    """The form of documents, each looked at for its first 8,000 characters, title included.

    Returns:
        ``[documents, len(FORM_FEATURES)]``: shares of words, of characters or of lines in [0, 1], and natural
        logarithms of 1 + a count. An empty document has zeros.
    """
    return np.array([_row(document) for document in documents], dtype=np.float64).reshape(-1, len(FORM_FEATURES))


def _row(document: Document) -> list[float]:
    text = f"{document.title}\n{document.text}".strip()[:_MAX_CHARACTERS]
    words = _WORD.findall(text)
    characters = Counter(text)
    # Of the text alone: a title on its own line says what a reader of the files found, not how the text is written.
    lines = [line for line in document.text[:_MAX_CHARACTERS].splitlines() if line.strip()]
    count, printed = max(1, len(words)), max(1, sum(characters.values()) - sum(characters[blank] for blank in " \n\t"))
    sentences = max(1, len(_SENTENCE_END.findall(text)))
    lowered = Counter(word.lower().replace("’", "'") for word in words)

    def of_words(kind: frozenset[str]) -> float:
        return sum(times for word, times in lowered.items() if word in kind) / count

    def of_characters(kind: frozenset[str]) -> float:
        return sum(times for mark, times in characters.items() if mark in kind) / printed

    return [
        float(np.log1p(len(words))),
        float(np.log1p(len(words) / sentences)),
        sum(map(len, words)) / count / 10.0,
        of_words(FUNCTION_WORDS),
        sum(word[0].isupper() for word in words) / count,
        min(1.0, len(_IDENTIFIER.findall(text)) / count),
        sum(times for mark, times in characters.items() if mark.isdigit()) / printed,
        of_characters(_CODE_MARKS),
        of_characters(_STOPS),
        of_characters(_QUOTES),
        of_characters(_ASKING),
        of_words(_PERSONS),
        sum(line[0] in " \t" for line in lines) / max(1, len(lines)),
        float(np.log1p(len(lines))),
    ]
