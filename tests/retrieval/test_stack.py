"""A search stack: taken along, grown, and refused where it is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inpars_plus import retrieval
from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError, RunError
from inpars_plus.retrieval.rankers import ComponentSpec, RankerSpec, hybrid_spec
from inpars_plus.retrieval.stack import Reading, build_stack, load_stack

DOCUMENTS = [
    Document(id="a", title="pumps", text="They leak when the seal is worn.", metadata={"page": 3}),
    Document(id="b", text="Valves jam in the cold.", doc_type="manual", language="en"),
    Document(id="empty"),
]


def test_a_stack_answers_the_same_where_it_is_taken_to(tmp_path: Path) -> None:
    built = build_stack(tmp_path / "one", hybrid_spec(0), DOCUMENTS)
    assert isinstance(built, retrieval.Retriever)
    shutil.move(tmp_path / "one", tmp_path / "two")
    taken = load_stack(tmp_path / "two")
    assert len(taken) == 3
    assert taken.document("a") == DOCUMENTS[0]
    assert taken.document("b") == DOCUMENTS[1]
    for query in ("worn seal", "jam", ""):
        assert taken.search([query], 3) == built.search([query], 3)


def test_a_stack_is_built_and_loaded_with_the_names_of_the_folder(tmp_path: Path) -> None:
    spec = retrieval.RankerSpec.model_validate({"name": "plain", "components": [{"kind": "bm25"}]})
    assert isinstance(retrieval.build_stack(tmp_path, spec, DOCUMENTS), retrieval.Stack)
    (found,) = retrieval.load_stack(tmp_path).search(["worn seal"], 1)
    assert isinstance(found, retrieval.Ranking)
    assert found.ids == ("a",)


def test_documents_are_added_for_good_and_twice_is_refused(tmp_path: Path) -> None:
    stack = build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    assert stack.add([Document(id="c", text="Gearboxes rattle.")]) == 1
    for there in (stack, load_stack(tmp_path)):
        assert there.search(["gearboxes"], 3)[0].ids == ("c",)
    with pytest.raises(CorpusError, match="document 'b'"):
        stack.add([Document(id="d", text="new"), Document(id="b", text="again")])
    assert len(load_stack(tmp_path)) == len(stack) == 4


def test_a_stack_that_is_built_again_keeps_what_was_added_and_nothing_that_its_corpus_lost(tmp_path: Path) -> None:
    build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    load_stack(tmp_path).add([Document(id=name, text=f"Gearbox {name} rattles.") for name in ("c", "d", "e")])
    cut = [
        Document(id=f"d#{at}", text=f"Part {at} of gearbox d.", metadata={"parent_id": "d", "chunk": at})
        for at in (1, 2)
    ]
    again = build_stack(tmp_path, hybrid_spec(0), [DOCUMENTS[0], Document(id="c", text="Gearboxes hum."), *cut])
    for stack in (again, load_stack(tmp_path), build_stack(tmp_path, hybrid_spec(0), [DOCUMENTS[0]])):
        assert stack.document("e").text == "Gearbox e rattles."
    # What had come into the corpus went with it.
    assert len(again) == 5
    assert len(load_stack(tmp_path)) == 2


def test_a_stack_without_a_record_of_what_was_added_loses_nothing_when_it_is_built_again(tmp_path: Path) -> None:
    build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    (tmp_path / "stack.json").unlink()
    stack = load_stack(tmp_path)
    assert stack.reading == Reading()
    stack.add([Document(id="c", text="Gearboxes rattle.")])
    assert len(build_stack(tmp_path, hybrid_spec(0), DOCUMENTS[:1])) == 4


def test_a_document_that_is_there_cut_in_another_way_is_refused(tmp_path: Path) -> None:
    chunks = [
        Document(id=f"d#{at}", text=f"Part {at} is oiled.", metadata={"parent_id": "d", "chunk": at}) for at in (1, 2)
    ]
    stack = build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    assert stack.add(chunks) == 2
    with pytest.raises(CorpusError, match="document 'd'"):
        stack.add([Document(id="d", text="Part 1 is oiled. Part 2 is oiled.")])
    # A reply in a forum has a parent too, and is a document.
    assert stack.add([Document(id="reply", text="Thanks.", metadata={"parent_id": "a"})]) == 1


def test_an_index_of_texts_that_are_no_longer_all_is_removed(tmp_path: Path) -> None:
    parts = (ComponentSpec(kind="bm25"), ComponentSpec(kind="titles"), ComponentSpec(kind="bm25", parts=True))
    spec = RankerSpec(name="all", components=parts)
    stack = build_stack(tmp_path, spec, DOCUMENTS)
    for at in range(3):
        stack.add([Document(id=f"n{at}", text=f"Gearbox {at} rattles.")])
        assert len(list((tmp_path / "index" / "bm25").iterdir())) == 3
    build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    assert len(list((tmp_path / "index" / "bm25").iterdir())) == 1


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    (tmp_path / "stack.json").write_text('{"format_version": 2}')
    with pytest.raises(ConfigurationError, match=r"stack\.json: the record of the stack is not of this version"):
        load_stack(tmp_path)


def test_what_another_process_added_stays_and_is_found(tmp_path: Path) -> None:
    build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    one, other = load_stack(tmp_path), load_stack(tmp_path)
    one.add([Document(id="c", text="Gearboxes rattle.")])
    other.add([Document(id="d", text="Belts slip.")])
    for there in (other, load_stack(tmp_path)):
        assert len(there) == 5
        assert [found.ids for found in there.search(["gearboxes", "belts"], 3)] == [("c",), ("d",)]
    with pytest.raises(CorpusError, match="document 'd'"):
        one.add([Document(id="d", text="Belts slip again.")])


@pytest.mark.parametrize("broken", ["build_ranker", "write_documents"])
def test_documents_that_cannot_be_indexed_or_written_are_not_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    stack = build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)

    def fails(*_: object, **__: object) -> None:
        raise RunError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(f"inpars_plus.retrieval.stack.{broken}", fails)
        with pytest.raises(RunError, match="no space left"):
            stack.add([Document(id="c", text="Gearboxes rattle.")])
    for there in (stack, load_stack(tmp_path)):
        assert len(there) == 3
        assert there.search(["gearboxes"], 3)[0].ids == ()
    assert stack.add([Document(id="c", text="Gearboxes rattle.")]) == 1


def test_what_is_no_stack_and_what_is_not_in_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no search stack here"):
        load_stack(tmp_path)
    stack = build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    with pytest.raises(CorpusError, match="document 'z'"):
        stack.document("z")


def test_nothing_is_added_to_a_stack_whose_documents_are_gone(tmp_path: Path) -> None:
    stack = build_stack(tmp_path, hybrid_spec(0), DOCUMENTS)
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(ConfigurationError, match="no search stack here"):
        stack.add([Document(id="c", text="Gearboxes rattle.")])


def test_nothing_is_made_where_a_stack_was_before_it_was_moved(tmp_path: Path) -> None:
    stack = build_stack(tmp_path / "one", hybrid_spec(0), DOCUMENTS)
    shutil.move(tmp_path / "one", tmp_path / "two")
    with pytest.raises(ConfigurationError, match="one: there is no search stack here"):
        stack.add([Document(id="c", text="Gearboxes rattle.")])
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


@pytest.mark.parametrize("name", ["stack", "python-docs", "python-docs:x", "ir_datasets:x", "a=b"])
def test_a_relative_path_is_that_of_the_stack_whatever_it_is_called_and_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    built, loaded = build_stack(name, hybrid_spec(0), DOCUMENTS), load_stack(name)
    assert len(loaded) == 3
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    built.add([Document(id="c", text="Gearboxes rattle.")])
    loaded.add([Document(id="d", text="Belts slip.")])
    assert [found.ids for found in load_stack(tmp_path / name).search(["gearboxes", "belts"], 3)] == [("c",), ("d",)]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_stack_that_nobody_may_write_to_is_searched_in_memory(
    tmp_path: Path, forbidden: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = build_stack(tmp_path, hybrid_spec(0), DOCUMENTS).search(["worn seal"], 3)
    shutil.rmtree(tmp_path / "index")
    (tmp_path / "index").symlink_to(forbidden)
    assert load_stack(tmp_path).search(["worn seal"], 3) == answers
    assert load_stack(tmp_path).search(["worn seal"], 3) == answers
    (said,) = [record.getMessage() for record in caplog.records if record.name == "inpars_plus"]
    assert said.startswith(f"{tmp_path / 'index'}: this directory cannot be written")


@pytest.mark.model
def test_vectors_are_kept_in_the_stack_and_only_new_documents_are_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = (ComponentSpec(kind="bm25", weight=0.3), ComponentSpec(kind="dense"), ComponentSpec(kind="passages"))
    build_stack(tmp_path, RankerSpec(name="all", components=parts), DOCUMENTS)
    encoded: list[str] = []
    from inpars_plus.retrieval.encoders import Encoder

    plain = Encoder.encode

    def counting(self, texts, *, short=False):  # type: ignore[no-untyped-def]
        encoded.extend(texts)
        return plain(self, texts, short=short)

    monkeypatch.setattr(Encoder, "encode", counting)
    stack = load_stack(tmp_path)
    assert stack.search(["water drips from worn machines"], 1)[0].ids == ("a",)
    assert encoded == ["water drips from worn machines"]
    stack.add([Document(id="c", text="Gearboxes rattle at night.")])
    assert set(encoded[1:]) == {"Gearboxes rattle at night."}
