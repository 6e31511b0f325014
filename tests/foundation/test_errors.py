from __future__ import annotations

import re

import pytest

from inpars_plus.foundation import errors
from inpars_plus.foundation.errors import CorpusError, DeadModelError, InParsError


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


class _UncopiedError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


@pytest.mark.parametrize(("cause", "kept"), [(ValueError("why"), ValueError), (_UncopiedError("a", "b"), type(None))])
def test_an_error_anew_says_the_same_and_has_never_been_raised(cause: Exception, kept: type) -> None:
    problem = DeadModelError("it is gone", place="model", remedy="Start it")
    problem.add_note("for one call")
    with pytest.raises(DeadModelError):
        raise problem from cause
    fresh = problem.anew()
    assert (type(fresh), str(fresh), fresh.place) == (DeadModelError, "model: it is gone. Start it", "model")
    assert fresh.__traceback__ is None
    assert not hasattr(fresh, "__notes__")
    assert type(fresh.__cause__) is kept
    assert fresh.__cause__ is not cause
