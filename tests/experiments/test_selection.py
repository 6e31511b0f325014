from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import open_corpus
from inpars_plus.experiments.selection import choose_types, documents_by_type, safe_name
from inpars_plus.foundation import ConfigurationError

COUNTS = {"train": 20, "validation": 10, "test": 10}


def test_the_only_type_is_chosen_and_several_need_a_choice(tmp_path: Path, small: Any) -> None:
    one = open_corpus(str(small.write_corpus(tmp_path / "one.jsonl", 5)))
    two = open_corpus(str(small.write_corpus(tmp_path / "two.jsonl", 5, "faq", "news")))
    assert choose_types(one, [], by_type=False) == ["manual"]
    assert choose_types(two, [], by_type=True) == ["faq", "news"]
    assert choose_types(two, ["news"], by_type=False) == ["news"]
    with pytest.raises(ConfigurationError, match=r"2 document types.*--by-type"):
        choose_types(two, [], by_type=False)
    with pytest.raises(ConfigurationError, match=r"--doc-type TYPE$"):  # a job without the flag --by-type
        choose_types(two, [], by_type=None)
    with pytest.raises(ConfigurationError, match="no documents of type 'poem'"):
        choose_types(two, ["poem"], by_type=False)


def test_splits_do_not_overlap_and_do_not_move_when_the_seed_does(tmp_path: Path, small: Any) -> None:
    corpus = open_corpus(str(small.write_corpus(tmp_path / "c.jsonl", 120)))
    drawn = [
        documents_by_type(corpus, ["manual"], counts=COUNTS, seed=seed, skip_small=False)["manual"] for seed in (0, 1)
    ]
    parts = [
        {document.id for one in drawn for document in getattr(one, name)} for name in ("train", "validation", "test")
    ]
    assert not parts[0] & parts[1]
    assert not parts[1] & parts[2]
    assert not parts[0] & parts[2]
    assert [len(drawn[0].train), len(drawn[0].validation), len(drawn[0].test)] == [20, 10, 10]
    assert drawn[0] != drawn[1]


def test_empty_documents_take_no_part(tmp_path: Path, small: Any) -> None:
    path = small.write_corpus(tmp_path / "c.jsonl", 60)
    with path.open("a") as file:
        file.writelines(f'{{"id": "empty-{number}", "text": " ", "doc_type": "manual"}}\n' for number in range(60))
    counts = dict.fromkeys(COUNTS, 1000)
    drawn = documents_by_type(open_corpus(str(path)), ["manual"], counts=counts, seed=0, skip_small=False)["manual"]
    everything = [*drawn.train, *drawn.validation, *drawn.test]
    assert len(everything) == 60
    assert not any(document.is_empty for document in everything)


def test_documents_without_metadata_take_no_part_where_queries_state_constraints(
    tmp_path: Path, small: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{**small.row(number), "metadata": {"source": "Plant A"} if number < 80 else {}} for number in range(120)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    caplog.set_level("INFO")
    counts = dict.fromkeys(COUNTS, 1000)
    drawn = documents_by_type(
        open_corpus(str(tmp_path / "c.jsonl")), ["manual"], counts=counts, seed=0, skip_small=False, constrained=True
    )["manual"]
    everything = [*drawn.train, *drawn.validation, *drawn.test]
    assert {document.id for document in everything} == {f"manual-{number}" for number in range(80)}
    assert "40 documents are left out" in caplog.text


def test_a_small_type_is_skipped_by_type_and_refused_when_named(tmp_path: Path, small: Any) -> None:
    path = small.write_corpus(tmp_path / "c.jsonl", 80, "faq")
    with path.open("a") as file:
        file.write('{"id": "x", "text": "A poem about nothing much at all.", "doc_type": "poem"}\n')
    corpus = open_corpus(str(path))
    found = documents_by_type(corpus, ["faq", "poem"], counts=COUNTS, seed=0, skip_small=True)
    assert list(found) == ["faq"]
    with pytest.raises(ConfigurationError, match="1 documents of type 'poem'"):
        documents_by_type(corpus, ["poem"], counts=COUNTS, seed=0, skip_small=False)
    with pytest.raises(ConfigurationError, match="none of the 1 document types"):
        documents_by_type(corpus, ["poem"], counts=COUNTS, seed=0, skip_small=True)


@pytest.mark.parametrize("doc_type", ["../up", "a/b", ".hidden", "Ä type", "CON:", "x" * 300, ""])
def test_a_type_of_any_spelling_gets_a_file_name_of_its_own(doc_type: str) -> None:
    name = safe_name(doc_type)
    assert name == Path(name).name
    assert not name.startswith(".")
    assert len(name) < 100
    assert name != safe_name(doc_type + "!")


def test_types_that_differ_in_case_only_do_not_share_a_file() -> None:
    assert safe_name("news") == "news"
    assert safe_name("News").lower() != "news"
