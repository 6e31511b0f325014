"""A folder is the old one or the new one, whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inpars_plus.foundation import RunError, replacing_folder


def _write(folder: Path, text: str) -> None:
    with replacing_folder(folder) as half:
        half.mkdir()
        (half / "file").write_text(text)


def test_a_folder_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    _write(target, "first")
    (target / "more").touch()
    _write(target, "second")
    assert [(path.name, path.read_text()) for path in target.iterdir()] == [("file", "second")]
    assert [path.name for path in target.parent.iterdir()] == ["folder"]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    _write(tmp_path / "elsewhere", "first")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for text in ("second", "third"):
        _write(tmp_path / "link", text)
    assert (tmp_path / "link" / "file").read_text() == "third"
    assert (tmp_path / "elsewhere" / "file").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "link"]


def test_a_failed_block_leaves_the_old_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    _write(target, "first")

    def fail() -> None:
        with replacing_folder(target) as half:
            half.mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (target / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_kill_between_the_two_moves_is_mended_by_the_next_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, moved = tmp_path / "folder", list[Path]()
    _write(target, "first")
    plain = Path.rename

    def killed(self: Path, to: Path) -> Path:
        if moved:
            raise KeyboardInterrupt
        moved.append(self)
        return plain(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            _write(target, "second")
    assert moved == [target]
    with pytest.raises(RunError, match="No space left"), replacing_folder(target):
        raise OSError(28, "No space left on device")
    assert (target / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_why_a_folder_could_not_be_copied_is_told(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "link").symlink_to(tmp_path / "nowhere")
    with (
        pytest.raises(RunError, match=r"target: the folder cannot be written .*No such file.*source/link"),
        replacing_folder(tmp_path / "target") as half,
    ):
        shutil.copytree(source, half)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_block_that_made_nothing_leaves_the_old_folder(tmp_path: Path) -> None:
    _write(tmp_path / "folder", "first")
    with pytest.raises(RunError, match="No such file"), replacing_folder(tmp_path / "folder"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder" / "file").read_text() == "first"


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/folder: the folder cannot be written"):
        _write(tmp_path / "file" / "folder", "text")
