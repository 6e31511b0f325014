"""The leak guard, on what our own jobs write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Query
from inpars_plus.experiments.leaks import leaked, refuse_leaks, seen_queries, trained_on, write_trained_on
from inpars_plus.foundation.errors import ConfigurationError, InputError, ProgramFileError
from inpars_plus.retrieval.rankers import hybrid_spec, save_ranker
from inpars_plus.retrieval.stack import build_stack


def test_the_demonstrations_of_a_compiled_program_count_as_seen(compiled: Path) -> None:
    seen = seen_queries([compiled])
    (program,) = (compiled / "compiled").glob("*.json") if (compiled / "compiled").is_dir() else [compiled]
    state = json.loads(program.read_text())["state"]
    shown = [query["text"] for one in state.values() for demo in one["demos"] for query in demo["queries"]]
    assert shown
    assert leaked([Query(id="1", text=shown[0].upper() + " !")], seen) == {"1": str(program)}


def test_queries_are_read_from_a_beir_directory_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text('{"_id": "1", "text": "why does it leak?"}\n')
    for path in (tmp_path, file):
        assert seen_queries([path]) == {"why does it leak": str(file)}


def test_the_refusal_names_the_query_and_where_it_was_seen() -> None:
    with pytest.raises(ConfigurationError, match=r"1 of 2 queries .* 'Why\?' is in there\.jsonl.*--drop-seen"):
        refuse_leaks([Query(id="1", text="Why?"), Query(id="2", text="How?")], {"why": "there.jsonl"}, place="here")


def test_a_ranker_says_what_it_was_trained_on_also_in_a_stack_and_one_that_was_not_says_nothing(tmp_path: Path) -> None:
    trained = hybrid_spec(0).model_copy(update={"how": {"queries": ["Why does it leak?"]}})
    save_ranker(trained, tmp_path / "ranker")
    build_stack(tmp_path / "stack", trained, [Document(id="1", text="a pump")])
    save_ranker(hybrid_spec(0), tmp_path / "plain")
    for name in ("ranker", "stack"):
        assert seen_queries([tmp_path / name]) == {"why does it leak": str(tmp_path / name)}
    assert seen_queries([tmp_path / "plain"]) == {}


def test_a_ranker_that_does_not_say_what_it_was_trained_on_is_refused(tmp_path: Path) -> None:
    save_ranker(hybrid_spec(0).model_copy(update={"how": {"corpus": "abc"}}), tmp_path)
    with pytest.raises(ConfigurationError, match=r"does not say which queries.*Train it again"):
        seen_queries([tmp_path])


def test_a_fine_tuned_model_says_what_it_was_tuned_on(tmp_path: Path) -> None:
    assert trained_on(tmp_path) == []
    write_trained_on(tmp_path, ["Why does it leak?", "Who turned it?", "Who turned it?"])
    assert trained_on(tmp_path) == ["Who turned it?", "Why does it leak?"]
    assert seen_queries([tmp_path]) == dict.fromkeys(["who turned it", "why does it leak"], str(tmp_path))
    (tmp_path / "trained-on.json").write_text("[]")
    with pytest.raises(InputError, match=r"does not list queries.*Fine-tune the model again"):
        trained_on(tmp_path)


def test_what_is_neither_queries_nor_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither queries nor compiled programs nor a ranker"):
        seen_queries([tmp_path])
    (tmp_path / "other.json").write_text('{"state": [1]}')
    with pytest.raises(ProgramFileError, match="no compiled program"):
        seen_queries([tmp_path / "other.json"])
