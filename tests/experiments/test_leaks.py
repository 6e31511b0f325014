"""The leak guard, on what our own jobs write."""

from __future__ import annotations

import json
import shutil
import unicodedata
import warnings
from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Query
from inpars_plus.experiments.leaks import as_seen, leaked, refuse_leaks, seen_queries, trained_on, write_trained_on
from inpars_plus.foundation.errors import ConfigurationError, InputError, ProgramFileError
from inpars_plus.foundation.files import digest
from inpars_plus.programs import ProgramFileWarning
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


@pytest.mark.parametrize(
    ("seen", "asked"),
    [
        (unicodedata.normalize("NFD", "Où est le café à Malmö?"), "où est le café à malmö"),
        ("ｗｈｙ ｉｓ ｉｔ　ｗｅｔ？", "Why is it wet?"),
        ("the oﬃce ﬂoor", "The office floor"),
        ("state-of-the-art pumps", "state of the art pumps"),
        ("state–of—the‑art pumps", "state-of-the-art pumps"),
        ("why don't pumps leak", "why dont pumps leak"),
        ("why don’t pumps leak", "why don't pumps leak"),
        ("why donʼt pumps´ seals leak", "why don't pumps' seals leak"),
        ("Wie groß ist die STRASSE", "wie gross ist die Straße"),
        ("co\u00adoperation of\ufeff pumps", "cooperation of pumps"),
        ("the Acme™ pump", "the acme pump"),
        ("what is a+b", "what is a + b"),
        ("issue#5", "issue #5"),
        ("what is new in C++11", "What is new in C++ 11?"),
        ("(C#), 'why'?", "C# why"),
        ("❤️", "❤️ "),
    ],
)
def test_a_query_that_is_only_written_in_another_way_counts_as_seen(seen: str, asked: str) -> None:
    for one, other in ((seen, asked), (asked, seen)):
        assert leaked([Query(id="1", text=one)], as_seen([other], "there")) == {"1": "there"}


@pytest.mark.parametrize(
    ("seen", "asked"),
    [
        ("What is C#?", "What is C++?"),
        ("What is C?", "What is C#?"),
        ("What is B+?", "What is B?"),
        ("???", "!!!"),
        ("+", "#"),
        ("कि", "की"),
        ("ก่า", "ก้า"),
        ("what costs 3.5", "what costs 35"),
        ("résumé", "resume"),
    ],
)
def test_another_query_does_not_count_as_seen(seen: str, asked: str) -> None:
    for one, other in ((seen, asked), (asked, seen)):
        assert leaked([Query(id="1", text=one)], as_seen([other], "there")) == {}


@pytest.fixture
def programs(compiled: Path, tmp_path: Path) -> Path:
    """A directory of two programs, and of what else lies in such a directory."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in ("a", "b"):
        shutil.copy(compiled / "compiled" / "manual.json", directory / f"{name}.json")
    (directory / "summary.json").write_text('{"results": {}}')
    (directory / "list.json").write_text("[]")
    (directory / "report.html").write_text("<p>")
    return directory


def test_programs_are_read_beside_other_files(programs: Path) -> None:
    assert set(seen_queries([programs]).values()) == {str(programs / "b.json")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": {}}, "the file was changed after it was written"),
        ({"format_version": 99}, "format version 99"),
        (None, "not valid JSON"),
    ],
)
def test_a_program_that_cannot_be_read_is_not_passed_over(programs: Path, change: object, said: str) -> None:
    path = programs / "a.json"
    envelope = json.loads(path.read_text())
    if isinstance(change, dict):
        changed = {**envelope, **change}
        changed["digest"] = envelope["digest"] if "state" in change else digest(changed)
        path.write_text(json.dumps(changed))
    else:
        path.write_text(path.read_text()[:200])
    with warnings.catch_warnings():
        warnings.simplefilter("always", ProgramFileWarning)  # as in a job, where a warning is one line and no error
        with pytest.raises(ProgramFileError, match=said) as raised:
            seen_queries([programs])
    assert raised.value.place is not None
    assert raised.value.place.startswith(str(path))
    assert "left out" not in str(raised.value)
