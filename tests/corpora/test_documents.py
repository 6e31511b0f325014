from __future__ import annotations

import pytest
from pydantic import ValidationError

from inpars_plus.corpora import Document
from inpars_plus.corpora.documents import each_document
from inpars_plus.foundation.errors import ConfigurationError


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


def test_documents_come_one_after_the_other_from_a_list_a_stream_and_a_mapping():
    documents = [Document(id="1", text="a"), Document(id="2", text="b")]
    for given in (documents, iter(documents), {one.id: one for one in documents}):
        assert list(each_document(given)) == documents


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Document(id="1"), r"^several documents are wanted, not one Document\. Pass \[document\]$"),
        ("text", r"^documents are wanted, not a str\. Pass a list of Document$"),
        (None, "^documents are wanted, not None"),
        (Document, "^documents are wanted, not the class Document"),
        ([Document(id="1"), "text"], r"^documents\[1\]: a Document is wanted, not a str\. Pass Document\(id="),
        ({"1": "text"}, r"^documents\['1'\]: a Document is wanted, not a str"),
    ],
)
def test_what_is_no_document_is_named_with_its_place(given, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        list(each_document(given))
