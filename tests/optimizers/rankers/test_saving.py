"""A model's directory is whole or as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.foundation.errors import RunError
from inpars_plus.optimizers.rankers.saving import save_model


class Model:
    def __init__(self, text: str, *, fails: bool = False) -> None:
        self.text, self.fails = text, fails

    def save_pretrained(self, path: str, *, safe_serialization: bool) -> None:
        assert safe_serialization
        Path(path).mkdir()
        (Path(path) / "config.json").write_text(self.text)
        if self.fails:
            raise OSError(28, "No space left on device")


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "model"
    save_model(Model("first"), out)
    (out / "old.txt").write_text("old")
    save_model(Model("second"), out)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("config.json", "second")]


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: x\n---\n\n# Base\n", "---\nlicense: x\n---\n\nFirst.\n\n# Base\n"),
        ("# Base\n\n---\nrest\n", "\nFirst.\n\n# Base\n\n---\nrest\n"),
        (None, "\nFirst.\n\n"),
    ],
)
def test_a_note_stands_first_in_the_card_behind_its_metadata(tmp_path: Path, card: str | None, expected: str) -> None:
    class Carded(Model):
        def save_pretrained(self, path: str, *, safe_serialization: bool) -> None:
            super().save_pretrained(path, safe_serialization=safe_serialization)
            if card is not None:
                (Path(path) / "README.md").write_text(card)

    save_model(Carded("first"), tmp_path / "model", note="First.")
    assert (tmp_path / "model" / "README.md").read_text() == expected


def test_a_full_disk_leaves_what_was_there_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "model"
    save_model(Model("first"), out)
    with pytest.raises(RunError, match=r"No space left on device.*Make room"):
        save_model(Model("second", fails=True), out)
    assert (out / "config.json").read_text() == "first"
    save_model(Model("third"), out)
    assert (out / "config.json").read_text() == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_kill_while_the_old_one_is_deleted_leaves_a_whole_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    save_model(Model("first"), out)

    def killed(folder: Path, ignore_errors: bool) -> None:
        for path in folder.glob("*"):
            path.unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            save_model(Model("second"), out)
    assert (out / "config.json").read_text() == "second"
