from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments import (
    build_training_set,
    compile_programs,
    discover_types,
    generate_queries,
    measure_adaptation,
    measure_warm_start,
    quickstart,
    train_ranker,
    tune_generator,
)
from inpars_plus.experiments.settings import JobSettings, JobText, default_settings, parse_settings
from inpars_plus.foundation import ConfigurationError

JOBS: list[tuple[type[JobSettings], JobText]] = [
    (build_training_set.TrainingSetSettings, build_training_set.TEXT),
    (compile_programs.CompileSettings, compile_programs.TEXT),
    (discover_types.DiscoverSettings, discover_types.TEXT),
    (generate_queries.GenerateSettings, generate_queries.TEXT),
    (measure_adaptation.MeasureAdaptationSettings, measure_adaptation.TEXT),
    (measure_warm_start.MeasureWarmStartSettings, measure_warm_start.TEXT),
    (quickstart.QuickstartSettings, quickstart.TEXT),
    (tune_generator.TuneSettings, tune_generator.TEXT),
]
NEEDED = ["--corpus", "python-docs", "--out", "runs/x"]


def parse(*arguments: str) -> Any:
    return parse_settings(compile_programs.CompileSettings, compile_programs.TEXT, [*NEEDED, *arguments])


@pytest.mark.parametrize(("settings", "text"), JOBS, ids=lambda value: getattr(value, "name", ""))
def test_a_shipped_configuration_begins_with_its_command_and_has_known_keys_only(
    tree: Path, settings: type[JobSettings], text: JobText
) -> None:
    content = (tree / "experiments" / "configs" / f"{text.name}.toml").read_text(encoding="utf-8")
    assert content.startswith(f"# inpars-plus {text.name}")
    assert set(tomllib.loads(content)) <= set(settings.model_fields)


@pytest.mark.parametrize(("settings", "text"), JOBS, ids=lambda value: getattr(value, "name", ""))
def test_help_names_every_setting_its_default_and_examples(
    capsys: pytest.CaptureFixture[str], settings: type[JobSettings], text: JobText
) -> None:
    with pytest.raises(SystemExit) as end:
        parse_settings(settings, text, ["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for name in settings.model_fields:
        assert f"--{name.replace('_', '-')}" in shown
    assert f"(default: {default_settings(text.name)['seed']})" in shown
    assert all(command.splitlines()[0] in shown for _, command in text.examples)


def test_flags_override_the_file_and_the_file_overrides_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('budget = 500\nseed = 4\nfield_map = {text = "body"}\nby_type = true\n')
    settings = parse("--config", str(file), "--seed", "5", "--no-by-type")
    assert (settings.budget, settings.seed, settings.by_type) == (500, 5, False)
    assert settings.field_map == {"text": "body"}
    assert settings.optimizer == default_settings("compile-programs")["optimizer"]


def test_repeatable_flags_gather_and_pairs_are_split() -> None:
    settings = parse("--corpus", "b=y.csv:faq", "--doc-type", "a", "--doc-type", "b", "--field-map", "text=body")
    assert settings.corpus == ("python-docs", "b=y.csv:faq")
    assert settings.doc_type == ("a", "b")
    assert settings.field_map == {"text": "body"}


def test_an_unknown_key_is_refused_with_the_file_the_key_and_a_guess(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("budgett = 500\n")
    with pytest.raises(ConfigurationError) as raised:
        parse("--config", str(file))
    assert raised.value.place == f"{file}, key 'budgett'"
    assert "'budget'" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [("budget = 'many'", "key 'budget'"), ("budget = ", "not valid TOML"), ("seed = 1.5", "key 'seed'")],
)
def test_a_wrong_value_in_a_file_is_named_with_its_place(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as raised:
        parse("--config", str(file))
    assert said in str(raised.value)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "many"], "--budget"),
        (["--budget", "0"], "--budget"),
        (["--optimizer", "magic"], "--optimizer"),
        (["--field-map", "text"], "FIELD=COLUMN"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**32)], "--seed"),
        (["--buget", "5"], "--buget"),
        (["--config", "no-such-file.toml"], "no-such-file.toml"),
    ],
)
def test_a_wrong_flag_is_named(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(*arguments)
    assert said in str(raised.value)


def test_a_missing_flag_is_named() -> None:
    with pytest.raises(ConfigurationError, match="--corpus is missing"):
        parse_settings(compile_programs.CompileSettings, compile_programs.TEXT, ["--out", "x"])


def test_a_secret_is_no_setting() -> None:
    with pytest.raises(ConfigurationError):
        parse("--api-key", "sk-0123456789")


def test_a_ranker_without_a_name_is_refused() -> None:
    given = ["--corpus", "python-docs", "--out", "x", "--name", ""]
    with pytest.raises(ConfigurationError, match="--name"):
        parse_settings(train_ranker.TrainSettings, train_ranker.TEXT, given)


def test_a_file_with_a_byte_order_mark_is_read_and_its_paths_begin_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "mine.toml"
    file.write_text('corpus = "python-docs"\nout = "~/runs"\nwarm_start = ["~/a", "b"]\n', encoding="utf-8-sig")
    settings = parse_settings(compile_programs.CompileSettings, compile_programs.TEXT, ["--config", str(file)])
    assert settings.out == tmp_path / "runs"
    assert settings.warm_start == (tmp_path / "a", Path("b"))
