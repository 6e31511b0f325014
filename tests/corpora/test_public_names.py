from __future__ import annotations

import subprocess
import sys

import inpars_plus.corpora as corpora


def test_the_public_names_are_sorted_and_all_there():
    assert corpora.__all__ == sorted(corpora.__all__)
    assert all(getattr(corpora, name).__name__ == name for name in corpora.__all__)
    assert set(corpora.__all__) <= set(dir(corpora))


def test_documents_are_imported_without_the_readers():
    code = (
        "import sys; from inpars_plus.corpora import Document; "
        "sys.exit(any(name in sys.modules for name in ('selectolax', 'semantic_text_splitter', 'numpy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
