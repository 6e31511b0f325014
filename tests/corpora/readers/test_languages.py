from __future__ import annotations

import pytest

from inpars_plus.corpora.readers.languages import LANGUAGES, language_code


def test_there_are_as_many_codes_as_the_standard_has():
    assert 180 <= len(LANGUAGES) <= 190
    assert all(len(code) == 2 and code.isalpha() and code.islower() for code in LANGUAGES)


@pytest.mark.parametrize(
    ("value", "code"), [("de", "de"), ("de-CH", "de"), ("pt_BR", "pt"), (" EN ", "en"), ("zh-Hant-TW", "zh")]
)
def test_language_tags_have_a_code(value: str, code: str):
    assert language_code(value) == code


@pytest.mark.parametrize("value", ["python", "", "e", "xx", "english", None, 3, ["en"]])
def test_other_things_have_none(value: object):
    assert language_code(value) is None
