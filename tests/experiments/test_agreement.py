"""What people call a document and what the corpus calls it are brought together before anything is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Judgment, Query, write_beir, write_documents
from inpars_plus.experiments.choose_ranker import ChooseSettings, choose_ranker
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation.errors import InParsError
from inpars_plus.retrieval.rankers import ComponentSpec, RankerSpec, hybrid_spec
from inpars_plus.retrieval.runs import read_run


@pytest.fixture(autouse=True)
def lexical_alone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Without an encoder, but for the tests that are of the real one."""
    if "model" not in request.keywords:
        plain = [hybrid_spec(0), RankerSpec(name="titles", components=(ComponentSpec(kind="titles"),))]
        monkeypatch.setattr("inpars_plus.experiments.choose_ranker.plain_rankers", lambda: plain)


def settings(at: Path, /, **changes: Any) -> ChooseSettings:
    given = {"corpus": str(at), "out": at.parent / "out", "count": 60}
    return make_settings(ChooseSettings, "choose-ranker", **{**given, **changes})


def test_people_s_judgments_name_documents_as_the_collection_does_also_where_these_are_cut_or_read_with_others(
    titled: list[Document], judged_corpus: Path, tmp_path: Path
) -> None:
    write_documents(tmp_path / "more.jsonl", [Document(id=f"m{at}", text=f"A lamp of kind {at}.") for at in range(9)])
    whole = choose_ranker(settings(judged_corpus, judged=str(judged_corpus))).results["judged"]
    corpora = [f"notes={judged_corpus}", f"more={tmp_path / 'more.jsonl'}"]
    given = settings(judged_corpus, corpus=corpora, judged=str(judged_corpus), max_characters=50)
    cut = choose_ranker(given).results["judged"]
    assert whole["ndcg@10"]["bm25"] > 0.9
    assert cut["ndcg@10"]["bm25"] > 0.9
    for ranking in read_run(given.out / cut["runs"]["bm25"]).values():
        assert len(set(ranking.ids)) == len(ranking.ids)
        assert set(ranking.ids) <= {one.id for one in titled} | {f"m{at}" for at in range(9)}


def test_judgments_may_name_chunks_and_documents_of_a_section_themselves(judged_corpus: Path, tmp_path: Path) -> None:
    judgments = [Judgment(query_id=f"p-{one}", document_id=f"notes/{one}") for one in ("kiln-freezes", "fan-leaks")]
    queries = [Query(id=one.query_id, text=f"why the {one.document_id[6:]}") for one in judgments]
    write_beir(tmp_path / "judged", queries=queries, judgments=judgments, split="test")
    write_documents(tmp_path / "more.jsonl", [Document(id="kiln-freezes", text="A lamp that is out.")])
    corpora = [f"notes={judged_corpus}", f"more={tmp_path / 'more.jsonl'}"]
    found = choose_ranker(settings(judged_corpus, corpus=corpora, judged=str(tmp_path / "judged"))).results["judged"]
    assert found["ndcg@10"]["bm25"] == 1.0


def test_judgments_of_an_id_that_two_corpora_have_are_refused(
    titled: list[Document], judged_corpus: Path, tmp_path: Path
) -> None:
    name = titled[0].id
    write_documents(tmp_path / "more.jsonl", [Document(id=name, text="A lamp that is out.")])
    corpora = [f"notes={judged_corpus}", f"more={tmp_path / 'more.jsonl'}"]
    with pytest.raises(InParsError, match=rf"'{name}' may be 'notes/{name}' or 'more/{name}'"):
        choose_ranker(settings(judged_corpus, corpus=corpora, judged=str(judged_corpus)))


def test_judgments_of_other_documents_are_refused(judged_corpus: Path, tmp_path: Path) -> None:
    judgments = [Judgment(query_id="q", document_id="elsewhere")]
    write_beir(tmp_path / "judged", queries=[Query(id="q", text="what")], judgments=judgments, split="test")
    with pytest.raises(InParsError, match=r"none of the 1 documents that people judged relevant is in the corpus"):
        choose_ranker(settings(judged_corpus, judged=str(tmp_path / "judged")))
