from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpars_plus.corpora import Document, chunk_document, open_corpus, sample, split_documents, split_of
from inpars_plus.corpora.splits import half_of
from inpars_plus.foundation.errors import ConfigurationError


def test_the_split_of_an_id_is_fixed_for_ever():
    # Compiled programs were scored on these documents: the hash must never change.
    expected = ["test", "train", "validation", "test", "validation", "validation", "train", "test"]
    assert [split_of(str(number)) for number in range(8)] == expected


def test_the_shares_are_as_asked():
    counts = Counter(split_of(f"document {number}", validation=0.1, test=0.3) for number in range(20_000))
    assert counts["test"] / 20_000 == pytest.approx(0.3, abs=0.015)
    assert counts["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)


@given(st.text(min_size=1), st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0, 0.2))
def test_test_documents_stay_test_documents_when_the_validation_share_changes(
    identifier: str, validation: float, other: float, test: float
):
    before = split_of(identifier, validation=validation, test=test)
    after = split_of(identifier, validation=other, test=test)
    assert (before == "test") == (after == "test")


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.2), (0.5, 0.5), (0.2, 1.0)])
def test_shares_that_leave_nothing_to_train_on_are_refused(validation: float, test: float):
    with pytest.raises(ConfigurationError, match="leave nothing to train on"):
        split_of("a", validation=validation, test=test)


def test_splits_do_not_change_when_corpora_are_read_together(tmp_path):
    for name in ("a", "b"):
        rows = "".join(f'{{"_id": "{name}{number}", "text": "text"}}\n' for number in range(50))
        (tmp_path / f"{name}.jsonl").write_text(rows)
    alone = open_corpus(str(tmp_path / "a.jsonl"))
    together = open_corpus([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")])
    expected = split_documents(alone.documents(), alone)
    found = split_documents(together.documents(), together)
    for split_alone, split_together in zip(expected, found, strict=True):
        ids = [together.original_id(document.id) for document in split_together if document.id.startswith("a/")]
        assert ids == [document.id for document in split_alone]
        assert ids


def test_chunks_of_one_document_stay_together():
    text = "Cells divide in two. Proteins fold into shapes. " * 5
    chunks = [chunk for number in range(30) for chunk in chunk_document(Document(id=str(number), text=text), 60)]
    splits = split_documents(chunks)
    parents = [{chunk.metadata["parent_id"] for chunk in split} for split in splits]
    assert sum(map(len, splits)) == len(chunks) > 100
    assert not parents[0] & parents[1]
    assert not parents[0] & parents[2]
    assert not parents[1] & parents[2]


_documents = [Document(id=f"d{number}") for number in range(60)]


@given(st.permutations(_documents), st.integers(0, 70), st.integers())
def test_a_sample_does_not_depend_on_the_order_and_begins_a_larger_one(documents: list[Document], n: int, seed: int):
    drawn = sample(iter(documents), n, seed)
    assert len(drawn) == min(n, 60)
    assert drawn == sample(_documents, n, seed)
    assert sample(_documents, 60, seed)[:n] == drawn


def test_another_seed_draws_others():
    assert sample(_documents, 10, 0) != sample(_documents, 10, 1)


def test_a_negative_sample_is_refused():
    with pytest.raises(ConfigurationError, match="-1"):
        sample(_documents, -1, 0)


def test_judged_queries_fall_into_two_halves_by_their_id_for_ever():
    assert [number for number in range(6) if half_of(f"q{number}") == "settings"] == [3]
    assert 450 < sum(half_of(str(number)) == "report" for number in range(1000)) < 550
