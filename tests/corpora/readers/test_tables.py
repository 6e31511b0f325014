from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpars_plus.corpora import open_corpus
from inpars_plus.foundation.errors import CorpusError


def _jsonl(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def _error(spec: str, **settings: object) -> CorpusError:
    with pytest.raises(CorpusError) as caught:
        open_corpus(spec, **settings)  # type: ignore[arg-type]
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return caught.value


def test_half_of_a_character_in_an_id_is_refused_with_its_line(tmp_path):
    error = _error(_jsonl(tmp_path / "a.jsonl", {"_id": "1", "text": "a"}, {"_id": "b\ud83d", "text": "b"}))
    assert error.place == f"{tmp_path / 'a.jsonl'}, line 2"
    assert r"the id 'b\ud83d' holds half of a character" in str(error)


def test_fields_are_mapped_and_other_columns_become_metadata(tmp_path):
    path = _jsonl(
        tmp_path / "c.jsonl",
        {"key": 7, "headline": "T", "body": "a", "kind": "memo", "tongue": "de-CH", "year": 1999, "metadata": {"x": 1}},
    )
    fields = {"id": "key", "title": "headline", "text": "body", "doc_type": "kind", "language": "tongue"}
    (document,) = open_corpus(path, fields=fields)
    assert (document.id, document.title, document.text) == ("7", "T", "a")
    assert (document.doc_type, document.language) == ("memo", "de")
    assert document.metadata == {"year": 1999, "x": 1}


def test_an_id_may_be_called_id_or_have_an_underscore(tmp_path):
    path = _jsonl(tmp_path / "c.jsonl", {"id": "a", "text": ""}, {"_id": "b", "id": "other", "text": ""})
    documents = list(open_corpus(path))
    assert [document.id for document in documents] == ["a", "b"]
    assert documents[1].metadata == {"id": "other"}


def test_the_language_comes_from_metadata_if_it_is_one(tmp_path):
    path = _jsonl(
        tmp_path / "c.jsonl",
        {"_id": "1", "text": "", "metadata": {"lang": "es"}},
        {"_id": "2", "text": "", "metadata": {"language": "python"}},
        {"_id": "3", "text": "", "language": "fr"},
        {"_id": "4", "text": "", "language": "python"},
    )
    documents = list(open_corpus(path))
    assert [document.language for document in documents] == ["es", "en", "fr", "en"]
    assert documents[1].metadata == documents[3].metadata == {"language": "python"}


def test_a_mapped_language_that_is_none_is_an_error(tmp_path):
    path = _jsonl(tmp_path / "c.jsonl", {"_id": "1", "text": "", "tongue": "python"})
    assert "holds no language code: 'python'" in str(_error(path, fields={"language": "tongue"}))


def test_a_missing_text_names_the_fields_that_are_there(tmp_path):
    path = _jsonl(tmp_path / "c.jsonl", {"_id": "1", "text": ""}, {"_id": "2", "body": "a"})
    error = _error(path)
    assert error.place == f"{path}, line 2"
    assert error.message == "the field 'text' is missing (present: '_id', 'body')"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "the line is not valid JSON"),
        ("nonsense", "the line is not valid JSON"),
        ('"text"', "the line is not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"_id": "2", "text": "a", "n": ' + "9" * 5000 + "}", "a number that is too long"),
        ('{"text": "a"}', "the field '_id' is missing"),
        ('{"_id": "", "text": "a"}', "the id in '_id' is empty"),
        ('{"_id": null, "text": "a"}', "the id in '_id' is empty"),
        ('{"_id": true, "text": "a"}', "'_id' should be text and is true or false"),
        ('{"_id": "2", "text": ["a"]}', "'text' should be text and is a list"),
        ('{"_id": "2", "text": "a", "title": {}}', "'title' should be text and is an object"),
        ('{"_id": "2", "text": "a", "metadata": [1]}', "'metadata' should be an object"),
    ],
)
def test_a_wrong_line_is_one_sentence_with_its_place(tmp_path, line: str, words: str):
    path = tmp_path / "c.jsonl"
    path.write_text('{"_id": "1", "text": "a"}\n\n' + line + "\n")
    error = _error(str(path))
    assert words in error.message
    assert error.place == f"{path}, line 3"


def test_numbers_that_json_has_not_become_null(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"_id": "1", "text": NaN, "n": [Infinity]}\n')
    (document,) = open_corpus(str(tmp_path / "c.jsonl"))
    assert (document.text, document.metadata) == ("", {"n": [None]})


def test_gzipped_files_are_read_and_damaged_ones_named(tmp_path):
    path = tmp_path / "c.jsonl.gz"
    data = gzip.compress(b'{"_id": "1", "text": "a"}\n' * 1)
    path.write_bytes(data)
    assert [document.text for document in open_corpus(str(path))] == ["a"]
    path.write_bytes(data[:-9])
    assert "the gzip file is damaged" in str(_error(str(path)))
    path.write_bytes(b"plain")
    assert "the gzip file is damaged" in str(_error(str(path)))


def test_a_byte_order_mark_is_taken_off(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(b'\xef\xbb\xbf{"_id": "1", "text": "a"}\n')
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbfid,text\n1,a\n")
    assert [document.id for document in open_corpus(str(tmp_path / "c.jsonl"))] == ["1"]
    assert [document.id for document in open_corpus(str(tmp_path / "c.csv"))] == ["1"]


def test_a_wrong_encoding_is_named_with_the_byte_and_the_way_out(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"_id": "1", "text": "caf\xe9"}\n')
    error = _error(str(path))
    assert error.place == str(path)
    assert error.message == "the file is not UTF-8 text (byte 25 does not fit)"
    assert 'encoding="latin-1"' in str(error.remedy)
    assert [document.text for document in open_corpus(str(path), encoding="latin-1")] == ["café"]


def test_utf_16_is_recognised(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes('{"_id": "1", "text": "a"}\n'.encode("utf-16"))
    assert 'encoding="utf-16"' in str(_error(str(path)))
    assert [document.text for document in open_corpus(str(path), encoding="utf-16")] == ["a"]


@pytest.mark.parametrize("position", [30, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_the_bad_byte_is_counted_from_the_start_of_the_file(tmp_path, position: int):
    path = tmp_path / "c.jsonl"
    row = b'{"_id": "1", "text": "' + b"\xc3\xa9" * 1_600_000
    # An e-acute has two bytes: at an odd distance the bad byte comes instead of the second one.
    path.write_bytes(row[:position] + b"\xff" + row[position:] + b'"}\n')
    first_bad = position if position % 2 == 0 else position - 1
    assert f"byte {first_bad:,} " in _error(str(path)).message


def test_a_document_of_two_megabytes_is_read_from_json_and_from_csv(tmp_path):
    text = "Sentence with a number. " * 90_000
    path = _jsonl(tmp_path / "c.jsonl", {"_id": "1", "text": text})
    (document,) = open_corpus(path)
    assert document.text == text
    with (tmp_path / "c.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], ["1", text]])
    (document,) = open_corpus(str(tmp_path / "c.csv"))
    assert document.text == text
    assert len(open_corpus(path, max_characters=2000)) > 1000


def test_line_ends_inside_a_csv_cell_are_kept_and_lines_counted(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text('id,text\n1,"a\nb, c"\n\n2,d\n2,e\n', newline="")
    error = _error(str(path))
    assert error.place == f"{path}, line 6"
    assert f"{path}, line 5" in error.message


def test_a_tsv_file_is_separated_by_tabs(tmp_path):
    (tmp_path / "c.tsv").write_text("id\ttext\tyear\n1\ta, b\t1999\n")
    (document,) = open_corpus(str(tmp_path / "c.tsv"))
    assert (document.text, document.metadata) == ("a, b", {"year": "1999"})


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("id,text\n1,a,b\n", 2, "the row has 3 cells, and the header 2"),
        ("id,text\n1\n", 2, "the row has 1 cells, and the header 2"),
        ('id,text\n1,a\n2,"never closed\n', 3, "the row is not valid CSV"),
        ("id;text\n1;a\n", 2, "the field '_id' is missing (present: 'id;text')"),
        ("id,text,text\n1,a,b\n", 1, "names the column 'text' more than once"),
    ],
)
def test_a_wrong_row_is_one_sentence_with_its_place(tmp_path, content: str, line: int, words: str):
    path = tmp_path / "c.csv"
    path.write_text(content)
    error = _error(str(path))
    assert words in error.message
    assert error.place == f"{path}, line {line}"


@pytest.mark.parametrize("content", ["", "\n", "id,text\n"])
def test_a_table_without_rows_is_empty(tmp_path, content: str):
    (tmp_path / "c.csv").write_text(content)
    assert "the corpus is empty" in str(_error(str(tmp_path / "c.csv")))


_cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@given(st.lists(_cells, min_size=1, max_size=6))
def test_what_a_csv_writer_writes_is_read(tmp_path_factory, texts: list[str]):
    path = tmp_path_factory.mktemp("csv") / "c.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *[[str(number), text] for number, text in enumerate(texts)]])
    assert [document.text for document in open_corpus(str(path))] == texts
