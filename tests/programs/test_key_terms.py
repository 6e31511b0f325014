"""Key terms: what sets a document apart, and document frequencies that travel in little space."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ProgramFileError
from inpars_plus.programs.key_terms import MAX_VOCABULARY, KeyTerms


def _documents(*texts: str) -> list[Document]:
    return [Document(id=str(number), text=text) for number, text in enumerate(texts)]


CORPUS = _documents(
    "The heart pumps blood through the body.",
    "Blood carries oxygen to the body.",
    "Statins lower cholesterol in blood; statins are drugs.",
    "Drugs act on the body.",
)


def test_rare_and_repeated_words_come_first_in_their_original_form() -> None:
    assert KeyTerms.fit(CORPUS).of(CORPUS[2], 2) == ["Statins", "lower"]


def test_a_weight_is_one_plus_log_tf_times_log_of_documents_over_df() -> None:
    terms = KeyTerms(100, {"common": 50, "rare": 10})
    # common: (1 + ln 4) · ln 2 = 1.65; rare: (1 + ln 1) · ln 10 = 2.30; unseen: 1 · ln 100 = 4.61
    document = Document(id="1", text="common common common common rare novel")
    assert terms.of(document, 3) == ["novel", "rare", "common"]
    # With 20 counts, common weighs (1 + ln 20) · ln 2 = 2.77 and passes rare.
    assert terms.of(Document(id="2", text="rare novel " + "common " * 20), 3) == ["novel", "common", "rare"]


def test_function_words_numbers_and_short_words_are_no_key_terms() -> None:
    assert KeyTerms.fit([]).of(Document(id="1", text="the of with is 2024 42 ab p53 TP53"), 9) == ["p53", "TP53"]


def test_singular_and_plural_are_one_term() -> None:
    assert KeyTerms.fit([]).of(Document(id="1", text="gene genes Genes genes virus bias"), 9) == [
        "genes",
        "virus",
        "bias",
    ]


def test_identifiers_fall_apart_into_their_words() -> None:
    source = "def get_user_name(self): return parseJSONFile(path).toString() or DataFrame(mRNA)"
    terms = KeyTerms.fit([]).of(Document(id="1", text=source), 20)
    assert {"user", "name", "parse", "JSON", "File", "String", "DataFrame", "mRNA"} <= set(terms)
    assert not any("_" in term for term in terms)


def test_skip_gives_the_next_window_and_ends_empty() -> None:
    terms = KeyTerms.fit(CORPUS)
    everything = terms.of(CORPUS[2], 99)
    assert terms.of(CORPUS[2], 2, skip=2) == everything[2:4]
    assert terms.of(CORPUS[2], 3, skip=len(everything)) == []


def test_an_empty_document_has_no_key_terms() -> None:
    assert KeyTerms.fit(CORPUS).of(Document(id="e"), 3) == []


def test_the_title_counts() -> None:
    assert KeyTerms.fit(CORPUS).of(Document(id="t", title="Penicillin", text="the body"), 1) == ["Penicillin"]


def test_the_state_is_json_and_gives_the_same_terms() -> None:
    terms = KeyTerms.fit([*CORPUS, Document(id="x", text="größe 東京 größe naïve")])
    again = KeyTerms.from_state(json.loads(json.dumps(terms.state())))
    assert again == terms
    for document in CORPUS:
        assert again.of(document, 9) == terms.of(document, 9)


def test_beyond_the_cap_the_mean_frequency_of_what_was_left_out_is_the_fallback() -> None:
    documents = _documents("alpha beta gamma", "alpha beta", "alpha beta", "alpha delta gamma")
    terms = KeyTerms.fit(documents, max_vocabulary=2)
    assert len(terms) == 2
    assert terms.state()["unseen_frequency"] == 1.5  # gamma 2, delta 1


@pytest.mark.parametrize(
    "fault",
    [
        {"encoding": "pickle"},
        {"frequencies": "AAAA"},
        {"frequencies": "§"},
        {"documents": None},
        {"unseen_frequency": "x"},
    ],
)
def test_a_damaged_state_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ProgramFileError, match="cannot be read"):
        KeyTerms.from_state(KeyTerms.fit(CORPUS).state() | fault)


def test_deep_copies_share_the_table() -> None:
    terms = KeyTerms.fit(CORPUS)
    assert copy.deepcopy({"terms": terms})["terms"] is terms


@pytest.mark.collections
@pytest.mark.parametrize("name", ["scifact", "cosqa"])
def test_a_corpus_of_thousands_takes_little_space_and_keeps_nearly_all_top_terms(collections: Path, name: str) -> None:
    with open(collections / name / "corpus.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    documents = [Document(id=row["_id"], title=row.get("title") or "", text=row["text"]) for row in rows]
    compact, full = KeyTerms.fit(documents), KeyTerms.fit(documents, max_vocabulary=10**9)
    assert len(compact) <= MAX_VOCABULARY
    assert len(json.dumps(compact.state())) < 300_000
    sample = documents[::10]
    changed = sum(compact.of(document, 3) != full.of(document, 3) for document in sample)
    assert changed <= 0.01 * len(sample)
