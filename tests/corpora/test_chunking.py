from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpars_plus.corpora import Document, chunk_document, parent_id_of
from inpars_plus.foundation.errors import ConfigurationError


def _without_space(text: str) -> str:
    return "".join(text.split())


def test_a_short_document_stays_as_it_is():
    document = Document(id="d", text="One sentence.")
    assert chunk_document(document, 13) == [document]


def test_chunks_end_at_sentence_ends_and_know_their_parent():
    text = "Cells divide in two. Proteins fold into shapes. Water boils at a hundred degrees."
    document = Document(id="d", title="Nature", text=text, doc_type="note", language="de", metadata={"year": 1})
    chunks = chunk_document(document, 50)
    assert [chunk.text for chunk in chunks] == [
        "Cells divide in two. Proteins fold into shapes.",
        "Water boils at a hundred degrees.",
    ]
    assert [chunk.id for chunk in chunks] == ["d#1", "d#2"]
    assert [parent_id_of(chunk) for chunk in chunks] == ["d", "d"]
    assert chunks[1].metadata == {"year": 1, "parent_id": "d", "chunk": 2}
    assert {(chunk.title, chunk.doc_type, chunk.language) for chunk in chunks} == {("Nature", "note", "de")}


def test_a_chunk_that_is_cut_again_still_names_the_whole_document():
    document = Document(id="d", text="Cells divide in two. Proteins fold into shapes. " * 4)
    again = [inner for chunk in chunk_document(document, 100) for inner in chunk_document(chunk, 30)]
    assert len(again) == 8
    assert {parent_id_of(chunk) for chunk in again} == {"d"}
    assert len({chunk.id for chunk in again}) == 8


@pytest.mark.parametrize(
    ("identifier", "metadata"),
    [("r1", {"parent_id": "c0"}), ("c0#1", {"parent_id": "c0"}), ("r1", {"parent_id": "c0", "chunk": 1})],
)
def test_a_comment_that_names_another_is_no_chunk_of_it(identifier: str, metadata: dict[str, object]):
    assert parent_id_of(Document(id=identifier, text="Thanks.", metadata=metadata)) == identifier


def test_a_long_empty_document_is_kept_whole():
    document = Document(id="d", text=" " * 500)
    assert chunk_document(document, 10) == [document]


def test_a_chunk_needs_room():
    with pytest.raises(ConfigurationError, match="at least one character"):
        chunk_document(Document(id="d", text="a"), 0)


@pytest.mark.parametrize("text", ["word " * 400_000, "x" * 2_000_000, "蛋白质折叠。" * 333_333, "a\n\n" * 700_000])
def test_two_megabytes_are_cut_in_seconds_whatever_they_hold(text: str):
    # Without windows the splitter takes minutes for two megabytes that have no space.
    started = time.monotonic()
    chunks = chunk_document(Document(id="d", text=text), 1000)
    assert time.monotonic() - started < 20
    assert len(chunks) >= len(_without_space(text)) / 1000
    assert _without_space("".join(chunk.text for chunk in chunks)) == _without_space(text)


@given(st.text(max_size=400), st.integers(1, 60))
def test_chunking_loses_nothing_and_keeps_to_the_length(text: str, size: int):
    document = Document(id="d", text=text)
    chunks = chunk_document(document, size)
    assert _without_space("".join(chunk.text for chunk in chunks)) == _without_space(text)
    if len(chunks) > 1:
        assert all(0 < len(chunk.text) <= size for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == len(chunks)


_words = st.text("abcdefghij", min_size=1, max_size=8)
_sentences = st.lists(_words, min_size=3, max_size=8).map(lambda words: " ".join(words).capitalize() + ".")


@given(st.lists(_sentences, min_size=1, max_size=60), st.integers(80, 200))
def test_no_sentence_that_fits_is_cut(sentences: list[str], size: int):
    chunks = chunk_document(Document(id="d", text=" ".join(sentences)), size)
    kept = [chunk.text for chunk in chunks]
    remaining = list(sentences)
    for text in kept:
        taken = []
        while remaining and len(" ".join([*taken, remaining[0]])) <= len(text):
            taken.append(remaining.pop(0))
        assert text == " ".join(taken)
    assert not remaining
