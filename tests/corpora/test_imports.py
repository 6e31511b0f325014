from __future__ import annotations

import subprocess
import sys


def test_documents_are_imported_without_the_readers():
    code = (
        "import sys; from inpars_plus.corpora import Document; "
        "sys.exit(any(name in sys.modules for name in ('selectolax', 'semantic_text_splitter', 'numpy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
