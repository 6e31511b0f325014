from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.compile_programs import compile_programs
from inpars_plus.foundation import ConfigurationError


@pytest.mark.parametrize(
    ("prompt_lm", "address", "told"),
    [
        ("embedded", "http://localhost:1/v1", "takes no address"),
        ("no-such-provider/writer", None, "no provider 'no-such-provider'"),
    ],
)
def test_a_dry_run_refuses_a_prompt_model_that_the_run_would_refuse(
    corpus: Path, tmp_path: Path, small: Any, prompt_lm: str, address: str | None, told: str
) -> None:
    settings = small.compile_settings(
        *(corpus, tmp_path / "run"),
        lm="openai/mine",
        prompt_lm=prompt_lm,
        prompt_api_base=address,
        dry_run=True,
    )
    with pytest.raises(ConfigurationError, match=told):
        compile_programs(settings, scorer=small.FlatScorer())


def test_a_dry_run_prices_instructions_by_the_model_that_writes_them(
    corpus: Path, tmp_path: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def costs(lm: str, prompt_lm: str) -> dict[str, str]:
        settings = small.compile_settings(corpus, tmp_path / "run", lm=lm, prompt_lm=prompt_lm, dry_run=True)
        compile_programs(settings, scorer=small.FlatScorer())
        lines = capsys.readouterr().out.splitlines()
        return {line.split()[0]: line.split()[-1] for line in lines if line.startswith(("comp", "inst", "in all"))}

    (tmp_path / "small.gguf").write_bytes(b"abc")
    dear = costs(f"gguf:{tmp_path / 'small.gguf'}", "openai/gpt-4o")
    assert dear["compile"] == "0.00"
    assert float(dear["instructions"]) == float(dear["in"]) > 0
    unknown = costs("openai/gpt-4o-mini", "openai/of-nobody")
    assert float(unknown["compile"]) > 0
    assert (unknown["instructions"], unknown["in"]) == ("unknown", "unknown")


def test_a_dry_run_says_that_thinking_is_not_counted(
    corpus: Path, tmp_path: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for lm, thinks in (("openai/gpt-5-mini", True), ("openai/gpt-4o-mini", False)):
        compile_programs(small.compile_settings(corpus, tmp_path / "run", lm=lm, dry_run=True))
        assert ("What a model thinks is paid for" in capsys.readouterr().out) is thinks
