from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import default_cache_directory
from inpars_plus.retrieval.cache import keep_arrays, load_array, load_arrays, save_arrays

ARRAYS = {"keys": np.arange(6, dtype=np.uint8).reshape(2, 3), "vectors": np.ones((2, 4), np.float32)}


def test_arrays_come_back_as_they_were_saved(tmp_path):
    path = tmp_path / "deep" / "file.safetensors"
    save_arrays(path, ARRAYS)
    loaded = load_arrays(path)
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
    np.testing.assert_array_equal(load_array(path, "keys"), ARRAYS["keys"])


def test_a_transposed_array_comes_back_in_its_order(tmp_path):
    array = np.arange(6).reshape(2, 3).T
    save_arrays(tmp_path / "f", {"a": array})
    np.testing.assert_array_equal(load_arrays(tmp_path / "f")["a"], array)


def test_a_missing_file_is_none_without_a_warning(tmp_path, caplog):
    assert load_arrays(tmp_path / "none") is None
    assert load_array(tmp_path / "none", "keys") is None
    assert not caplog.records


@pytest.mark.parametrize("size", [0, 3, 8, 50, -1])
def test_a_file_cut_anywhere_is_removed_with_a_warning(tmp_path, caplog, size):
    path = tmp_path / "file"
    save_arrays(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:size])
    assert load_arrays(path) is None
    assert not path.exists()
    assert "damaged" in caplog.text


def test_a_flipped_bit_is_noticed(tmp_path, caplog):
    path = tmp_path / "file"
    save_arrays(path, ARRAYS)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert load_arrays(path) is None
    assert "differs from its digest" in caplog.text


def test_a_file_without_the_array_asked_for_is_damaged(tmp_path, caplog):
    save_arrays(tmp_path / "file", {"other": np.ones(2)})
    assert load_array(tmp_path / "file", "keys") is None
    assert "damaged" in caplog.text


def test_a_pickle_in_place_of_a_cache_file_is_not_executed(tmp_path, caplog):
    path = tmp_path / "file"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "executed").encode() + b"'\ntR.")
    assert load_arrays(path) is None
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_is_named_with_the_file(tmp_path, monkeypatch):
    path = tmp_path / "file"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunError, match="No space left on device") as caught:
        save_arrays(path, ARRAYS)
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_need_not_be_kept_is_not_where_nobody_may_write_and_that_is_said_once(forbidden, tmp_path, caplog):
    (tmp_path / "cache").symlink_to(forbidden)
    for name in ("bm25/one", "bm25/two", "three"):
        with pytest.raises(RunError, match="Choose a directory"):
            save_arrays(tmp_path / "cache" / name, ARRAYS)
        keep_arrays(tmp_path / "cache" / name, ARRAYS)
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [str(tmp_path / "cache")]
    assert "kept in memory" in caplog.text


def test_what_need_not_be_kept_is_an_error_where_a_person_can_help(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="Choose a path whose parents are directories"):
        keep_arrays(tmp_path / "file" / "one", ARRAYS)
    keep_arrays(tmp_path / "kept", ARRAYS)
    assert load_arrays(tmp_path / "kept").keys() == ARRAYS.keys()


def test_a_damaged_file_that_cannot_be_removed_counts_as_none(tmp_path, caplog):
    (tmp_path / "file").mkdir()
    assert load_arrays(tmp_path / "file") is None
    assert "damaged" in caplog.text


_WRITE = """
import resource, sys
from pathlib import Path
import numpy as np
from inpars_plus.foundation.errors import RunError
from inpars_plus.retrieval.cache import save_arrays
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    save_arrays(Path(sys.argv[1]), {"vectors": np.ones(100_000)})
except RunError as problem:
    print(problem)
"""


def test_a_file_that_cannot_grow_is_named_and_leaves_nothing_behind(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    path = tmp_path / "file"
    done = subprocess.run([sys.executable, "-c", _WRITE, str(path)], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: ")
    assert "run the same command again" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_cache_directory_is_the_one_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path))
    assert default_cache_directory() == tmp_path
    monkeypatch.delenv("INPARS_PLUS_CACHE")
    assert default_cache_directory() == Path.home() / ".cache" / "inpars-plus"
