"""The form of a text: code, prose and talk look different, and topics do not matter."""

from __future__ import annotations

import time

import numpy as np
import pytest

from inpars_plus.corpora import Document
from inpars_plus.programs.form import FORM_FEATURES, form_features

CODE = (
    'def open_valve(name):\n    """Open a valve."""\n    for pipe in plant.pipes[name]:\n        pipe.open(now=True)\n'
)
PROSE = "The valve was opened in 1998. It served the plant for nine years, and the pipes behind it never froze."
TALK = "I can't open my valve! What should I do? You told me that it never sticks."


def _value(text: str, feature: str) -> float:
    return float(form_features([Document(id="1", text=text)])[0, FORM_FEATURES.index(feature)])


@pytest.mark.parametrize(
    ("feature", "more", "less"),
    [
        ("identifiers", CODE, PROSE),
        ("code_marks", CODE, PROSE),
        ("indented_lines", CODE, TALK),
        ("log_lines", CODE, PROSE),
        ("digits", PROSE, TALK),
        ("first_and_second_person", TALK, PROSE),
        ("exclamations_and_questions", TALK, PROSE),
        ("function_words", TALK, CODE),
        ("log_words_a_sentence", PROSE, TALK),
        ("quotation_marks", CODE, PROSE),
    ],
)
def test_what_is_written_otherwise_has_other_numbers(feature: str, more: str, less: str) -> None:
    assert _value(more, feature) > _value(less, feature)


def test_other_subjects_in_the_same_form_have_the_same_numbers() -> None:
    one = Document(id="1", text="The pump was mended in 2003. Its seal had worn out.")
    other = Document(id="2", text="The duke was mourned in 1542. Its lid had blown out.")
    rows = form_features([one, other])
    assert np.allclose(rows[0], rows[1], atol=0.05)


@pytest.mark.parametrize("written", ["a", "ACGT", "_", "A1", "."])
def test_one_long_word_takes_no_longer_than_a_page_of_prose(written: str) -> None:
    document = Document(id="1", text=(written * 7_000)[:7_000] + "x" * 93_000)
    begun = time.process_time()
    form_features([document] * 5)
    assert time.process_time() - begun < 1.0, "milliseconds each, where no word is read again and again"


@pytest.mark.parametrize(
    ("text", "share"),
    [("read_file now", 1 / 2), ("openValve now", 1 / 2), ("open(", 1.0), ("pipe.open( now a", 1 / 3), ("_ now", 0.0)],
)
def test_identifiers_are_words_with_inner_marks_inner_capitals_or_a_bracket(text: str, share: float) -> None:
    assert _value(text, "identifiers") == pytest.approx(share)


def test_an_empty_document_has_zeros_and_no_documents_have_no_rows() -> None:
    assert not form_features([Document(id="1")]).any()
    assert form_features([]).shape == (0, len(FORM_FEATURES))


def test_shares_stay_within_bounds_whatever_the_text() -> None:
    texts = ["((((", "\t\n", "a_b " * 9, "？！", "x" * 100_000, "😀 😀", "\ud83d"]
    rows = form_features([Document(id=str(at), text=text) for at, text in enumerate(texts)])
    shares = [at for at, name in enumerate(FORM_FEATURES) if not name.startswith(("log_", "word_length"))]
    assert np.isfinite(rows).all()
    assert rows[:, shares].min() >= 0.0
    assert rows[:, shares].max() <= 1.0
