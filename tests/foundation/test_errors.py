from __future__ import annotations

import re

from inpars_plus.foundation import errors
from inpars_plus.foundation.errors import CorpusError, InParsError


def test_a_message_joins_place_sentence_and_remedy() -> None:
    problem = CorpusError("the line is not JSON", place="a.jsonl, line 7", remedy="Correct it")
    assert str(problem) == "a.jsonl, line 7: the line is not JSON. Correct it"
    assert str(CorpusError("the corpus is empty")) == "the corpus is empty"


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn: list[tuple[int, str]] = [
        (len(match[1]), match[2])
        for match in re.finditer(r"^    ([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    ]
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for depth, name in drawn:
        path = [(d, n) for d, n in path if d < depth]
        if path:
            parents[name] = path[-1][1]
        path.append((depth, name))
    classes = {name: getattr(errors, name) for name in errors.__all__}
    assert parents == {name: kind.__base__.__name__ for name, kind in classes.items() if kind is not InParsError}
