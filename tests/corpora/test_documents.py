from __future__ import annotations

import pytest
from pydantic import ValidationError

from inpars_plus.corpora import Document


def test_a_document_cannot_be_changed():
    document = Document(id="1", text="a")
    with pytest.raises(ValidationError, match="frozen"):
        document.text = "b"  # type: ignore[misc]


def test_the_full_text_is_title_and_text_and_has_no_stray_space_without_a_title():
    assert Document(id="1", title="T", text="a b").full_text == "T a b"
    assert Document(id="1", text="a b").full_text == "a b"


def test_white_space_alone_is_an_empty_document_and_a_title_alone_is_not():
    assert Document(id="1", title=" ", text="\n\t").is_empty
    assert not Document(id="1", title="T").is_empty
