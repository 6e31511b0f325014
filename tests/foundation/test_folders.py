"""A folder is the old one or the new one, whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inpars_plus.foundation import RunError, copy_folder, replacing_folder, write_bytes


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


def test_a_folder_that_cannot_be_copied_whole_is_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "link").symlink_to(tmp_path / "nowhere")
    with (
        pytest.raises(RunError, match=r"source/link: the folder cannot be copied \(No such file"),
        replacing_folder(tmp_path / "target") as half,
    ):
        copy_folder(source, half)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    with pytest.raises(RunError, match=r"missing: the folder cannot be copied \(No such file"):
        copy_folder(tmp_path / "missing", tmp_path / "target")


def test_folders_that_are_links_are_copied_and_a_link_back_is_not_followed(tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    for folder in (source / "deep", elsewhere):
        folder.mkdir(parents=True)
        (folder / "file").write_text(folder.name)
    (source / "link").symlink_to(elsewhere)
    (source / "deep" / "back").symlink_to(source)
    copy_folder(source, tmp_path / "copy")
    copied = {path.relative_to(tmp_path / "copy"): path.read_text() for path in (tmp_path / "copy").rglob("*/file")}
    assert copied == {Path("deep/file"): "deep", Path("link/file"): "elsewhere"}
    assert not any(path.is_symlink() for path in (tmp_path / "copy").rglob("*"))


def test_a_copy_into_the_folder_itself_holds_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    copy_folder(tmp_path, tmp_path / "inner")
    assert sorted(path.name for path in (tmp_path / "inner").rglob("*")) == ["file"]


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


_FULL_FOLDER = """
import resource, sys
from pathlib import Path
from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.folders import copy_folder
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    copy_folder(Path(sys.argv[1]), Path(sys.argv[2]))
except RunError as problem:
    print(problem)
"""


def test_a_folder_is_copied_without_what_is_left_out_and_a_full_disk_is_told_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name, size in {"a.txt": 1, "deep/b.txt": 5000, "deep/c.txt": 5000, "replies.db": 1}.items():
        write_bytes(source / name, b"n" * size)
    copy_folder(source, tmp_path / "whole", without=("replies*",))
    copied = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    assert copied == {Path("a.txt"), Path("deep/b.txt"), Path("deep/c.txt")}
    assert (tmp_path / "whole" / "deep" / "b.txt").read_bytes() == b"n" * 5000

    half = tmp_path / "half"
    command = [sys.executable, "-c", _FULL_FOLDER, str(source), str(half)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(f"{half / 'deep' / 'b.txt'}: the file could not be written (File too large). ")
    assert len(done.stdout.splitlines()) == 1
    assert [path for path in half.rglob("*") if path.is_file()] == [half / "a.txt"]
