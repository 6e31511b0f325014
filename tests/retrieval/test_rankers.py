"""Rankers as data: written, read back, refused, and built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError, RunError
from inpars_plus.retrieval.rankers import (
    RANKER_FILE,
    ComponentSpec,
    RankerSpec,
    SharedIndexes,
    build_ranker,
    hybrid_spec,
    load_ranker,
    plain_rankers,
    save_ranker,
)

DOCUMENTS = [Document(id="a", title="pumps", text="they leak"), Document(id="b", text="valves jam when pumps run")]


def test_the_plain_rankers_are_bm25_dense_and_the_hybrids_between() -> None:
    plain = plain_rankers()
    assert [one.dense_weight for one in plain] == pytest.approx([step / 10 for step in range(11)])
    assert [plain[0].name, plain[3].name, plain[10].name] == ["bm25", "hybrid:0.3", "dense"]
    assert not any(one.trained for one in plain)


def test_the_plain_rankers_of_another_encoder_bear_its_name_and_bm25_is_the_same() -> None:
    plain = plain_rankers("models/bge-small")
    assert [plain[0].name, plain[3].name, plain[10].name] == ["bm25", "hybrid:0.3 bge-small", "dense bge-small"]
    assert plain[0] == plain_rankers()[0]
    assert [one.dense_weight for one in plain] == pytest.approx([step / 10 for step in range(11)])
    assert {part.encoder for one in plain for part in one.components if part.kind == "dense"} == {"models/bge-small"}


def test_other_kinds_have_no_dense_weight() -> None:
    passages = RankerSpec(name="x", components=(ComponentSpec(kind="bm25"), ComponentSpec(kind="passages")))
    tuned = RankerSpec(name="y", components=(ComponentSpec(kind="dense", query_encoder="there"),))
    assert passages.dense_weight is None
    assert tuned.dense_weight is None
    assert tuned.trained


def test_without_titles_bm25_has_their_weight() -> None:
    parts = [
        ComponentSpec(kind=kind, weight=weight) for kind, weight in (("bm25", 0.4), ("dense", 0.5), ("titles", 0.1))
    ]
    found = RankerSpec(name="x", components=tuple(parts), how={"seed": 1}).without_titles()
    assert [(one.kind, one.weight) for one in found.components] == [("bm25", 0.5), ("dense", 0.5)]
    assert found.how == {"seed": 1}
    for alone in (RankerSpec(name="y", components=(parts[1],)), RankerSpec(name="z", components=(parts[2],))):
        assert alone.without_titles() == alone


def test_a_ranker_that_knows_parts_of_words_is_no_plain_one_and_finds_by_them() -> None:
    documents = [Document(id="a", text="call get_user first"), Document(id="b", text="the house is red")]
    plain, other = (RankerSpec(name="x", components=(ComponentSpec(kind="bm25", parts=one),)) for one in (False, True))
    assert (plain.dense_weight, other.dense_weight) == (0.0, None)
    indexes = SharedIndexes(documents)
    assert [len(indexes.ranker(spec).search(["user"], 2)[0].ids) for spec in (plain, other)] == [0, 1]


@pytest.mark.parametrize("name", ["feedback", "smoothing"])
def test_feedback_and_smoothing_reach_the_search_and_are_no_plain_hybrid(
    documents: list[Document], monkeypatch: pytest.MonkeyPatch, letters: Any, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr("inpars_plus.retrieval.encoders.load_encoder", lambda *_: letters)
    plain, moved = (hybrid_spec(0.5).model_copy(update={name: share}) for share in (0.0, 5.0))
    assert (plain.dense_weight, moved.dense_weight) == (0.5, None)
    save_ranker(moved, tmp_path)
    assert load_ranker(tmp_path) == moved
    one, other = (build_ranker(spec, documents).search(["honey from sand"], 8)[0] for spec in (plain, moved))
    assert one.scores != other.scores


def test_a_ranker_is_read_back_with_its_encoders_from_anywhere(tmp_path: Path) -> None:
    encoder = tmp_path / "tuned"
    encoder.mkdir()
    (encoder / "modules.json").write_text("[]")
    parts = (
        ComponentSpec(kind="bm25", weight=0.25),
        ComponentSpec(kind="dense", weight=0.5, query_encoder=str(encoder)),
        ComponentSpec(kind="passages", weight=0.25, query_encoder=str(encoder)),
    )
    written = save_ranker(RankerSpec(name="mine", components=parts, how={"seed": 3}), tmp_path / "out")
    assert [one.query_encoder for one in written.components] == [None, "encoders/0", "encoders/0"]
    (tmp_path / "out").rename(tmp_path / "moved")
    read = load_ranker(tmp_path / "moved")
    assert read.components[1].query_encoder == str(tmp_path / "moved" / "encoders/0")
    assert (tmp_path / "moved" / "encoders/0" / "modules.json").is_file()
    assert (read.name, read.how, read.components[0].weight) == ("mine", {"seed": 3}, 0.25)


@pytest.mark.parametrize(
    ("problem", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "full"), RunError)]
)
def test_an_encoder_that_cannot_be_copied_leaves_the_ranker_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: BaseException, raised: type[BaseException]
) -> None:
    encoder = tmp_path / "tuned"
    encoder.mkdir()
    (encoder / "modules.json").write_text("old")
    spec = RankerSpec(name="mine", components=(ComponentSpec(kind="dense", query_encoder=str(encoder)),))
    save_ranker(spec, tmp_path / "out")
    (encoder / "modules.json").write_text("new")

    def fails(*_: object, **__: object) -> None:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", fails)
        with pytest.raises(raised):
            save_ranker(spec, tmp_path / "out")
    kept = Path(str(load_ranker(tmp_path / "out").components[0].query_encoder))
    assert (kept / "modules.json").read_text() == "old"
    save_ranker(spec, tmp_path / "out")
    (mended,) = (tmp_path / "out" / "encoders").iterdir()
    assert load_ranker(tmp_path / "out").components[0].query_encoder == str(mended)
    assert (mended / "modules.json").read_text() == "new"


def test_a_kill_before_the_weights_are_written_leaves_them_with_their_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ranker(weight: float, *texts: str) -> RankerSpec:
        parts = []
        for number, text in enumerate(texts):
            encoder = tmp_path / f"tuned{number}"
            encoder.mkdir(exist_ok=True)
            (encoder / "modules.json").write_text(text)
            parts.append(ComponentSpec(kind="dense", weight=weight, query_encoder=str(encoder)))
        return RankerSpec(name="mine", components=tuple(parts))

    def read() -> list[tuple[float, str]]:
        found = load_ranker(tmp_path / "out").components
        return [(one.weight, (Path(str(one.query_encoder)) / "modules.json").read_text()) for one in found]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    save_ranker(ranker(0.25, "old", "same"), tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("inpars_plus.retrieval.rankers.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            save_ranker(ranker(0.75, "new", "same"), tmp_path / "out")
    assert read() == [(0.25, "old"), (0.25, "same")]
    save_ranker(ranker(0.75, "new", "same"), tmp_path / "out")
    assert read() == [(0.75, "new"), (0.75, "same")]
    assert len(list((tmp_path / "out" / "encoders").iterdir())) == 2


def test_the_same_ranker_saved_again_is_the_same_to_the_byte(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "modules.json").write_text(name)
    parts = tuple(ComponentSpec(kind="dense", encoder=str(tmp_path / name)) for name in ("other", "one"))
    written = []
    for spec in (RankerSpec(name="mine", components=parts), RankerSpec(name="mine", components=parts)):
        save_ranker(spec, tmp_path / "out")
        written.append((tmp_path / "out" / RANKER_FILE).read_bytes())
    save_ranker(load_ranker(tmp_path / "out"), tmp_path / "out")
    assert written == [(tmp_path / "out" / RANKER_FILE).read_bytes()] * 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "no ranker of this version"),
        ({"format_version": 99}, "no ranker of this version"),
        ({"format_version": None}, "no ranker of this version"),
        ({"components": []}, "not readable"),
        ({"components": [{"kind": "bm25", "weight": 0}]}, "all weights are 0"),
        ({"components": [{"kind": "magic"}]}, "components.0.kind"),
    ],
)
def test_what_is_no_ranker_is_refused_with_its_place(tmp_path: Path, change: dict[str, object], said: str) -> None:
    save_ranker(hybrid_spec(0.5), tmp_path)
    content = json.loads((tmp_path / RANKER_FILE).read_text())
    # None stands for a key that is gone.
    changed = {key: value for key, value in {**content, **change}.items() if value is not None}
    (tmp_path / RANKER_FILE).write_text(json.dumps(changed))
    with pytest.raises(ConfigurationError, match=RANKER_FILE) as raised:
        load_ranker(tmp_path)
    assert said in str(raised.value)


def test_a_directory_without_a_ranker_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no ranker here"):
        load_ranker(tmp_path)


def test_titles_are_searched_alone_and_whole_documents_with_them() -> None:
    titles = RankerSpec(name="t", components=(ComponentSpec(kind="titles"),))
    assert build_ranker(titles, DOCUMENTS).search(["pumps"], 5)[0].ids == ("a",)
    assert set(build_ranker(hybrid_spec(0), DOCUMENTS).search(["pumps"], 5)[0].ids) == {"a", "b"}


@pytest.mark.parametrize(("documents", "said"), [([], "no document"), ([DOCUMENTS[0]] * 2, "document 'a': two")])
def test_no_document_and_ids_that_repeat_are_refused(documents: list[Document], said: str) -> None:
    with pytest.raises(CorpusError) as raised:
        build_ranker(hybrid_spec(0), documents)
    assert said in str(raised.value)
