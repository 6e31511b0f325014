"""Which documents a generator is tuned on, and which programs it is not tuned for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.tune_generator import tune_generator
from inpars_plus.foundation import ConfigurationError, read_lines
from inpars_plus.programs import (
    ConstrainedQueryGenerator,
    SentenceQueryGenerator,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def write_long(path: Path, small: Any, every: int) -> Path:
    """A corpus in which one document in so many has a word as long as a book."""
    rows = [small.row(number) for number in range(240)]
    for row in rows[::every]:
        row["text"] = f"{'QUJD' * 2000} {row['text']}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.slow
def test_documents_with_prompts_too_long_to_train_on_are_left_out_before_sampling(
    compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = write_long(tmp_path / "corpus.jsonl", small, 3)
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory, train_documents=48, rounds=1)
    world = small.World(replies=small.write_candidate)
    with caplog.at_level("INFO", "inpars_plus"):
        summary = tune_generator(settings, **world.parts)
    assert summary is not None
    told = re.search(r"(\d+) train and (\d+) validation documents have prompts too long", caplog.text)
    assert told is not None
    result = summary.results["manual"]
    assert result["documents"]["train"] == 48 - int(told[1]) == result["rounds"][0]["sampled"]["documents"]
    assert result["documents"]["validation"] == 4 - int(told[2])
    assert int(told[1]) > 0
    candidates = [line for _, line in read_lines(tmp_path / "run" / "rounds" / "1" / "candidates.jsonl")]
    assert not any("QUJD" in line["prompt"] for line in candidates)


def test_too_few_documents_with_short_prompts_are_told_before_anything_is_sampled(
    compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    corpus = write_long(tmp_path / "corpus.jsonl", small, 1)
    world = small.World(replies=small.write_candidate)
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory)
    with pytest.raises(ConfigurationError, match=r"0 train documents with prompts short .* --max-characters cuts"):
        tune_generator(settings, **world.parts)
    assert world.calls == 0


def test_a_program_for_constraints_is_refused_before_anything_is_sampled(
    corpus: Path, compiled_as: Any, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    world = small.World(replies=small.write_candidate)
    programs = compiled_as(ConstrainedQueryGenerator)
    settings = small.tune_settings(corpus, programs, tmp_path / "run", tiny_directory)
    with pytest.raises(ConfigurationError, match=r"program\.json: .* state a constraint.*compiled for documents"):
        tune_generator(settings, **world.parts)
    assert world.calls == 0


@pytest.mark.slow
def test_a_program_for_sentences_is_tuned_on_prompts_that_show_one(
    corpus: Path, compiled_as: Any, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    programs = compiled_as(SentenceQueryGenerator)
    settings = small.tune_settings(corpus, programs, tmp_path / "run", tiny_directory, rounds=1)
    assert tune_generator(settings, **small.World(replies=small.write_candidate).parts) is not None
    candidates = [line for _, line in read_lines(tmp_path / "run" / "rounds" / "1" / "candidates.jsonl")]
    texts = {one["id"]: one["text"] for one in map(json.loads, corpus.read_text().splitlines())}
    asked = {one["document_id"]: one["prompt"].rpartition("\n\n")[2] for one in candidates}  # demonstrations above
    assert asked
    assert not any(texts[document_id] in prompt for document_id, prompt in asked.items())
