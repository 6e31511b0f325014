from __future__ import annotations

import json
import subprocess
import sys


def test_making_an_adapter_and_a_scripted_model_imports_no_engine_and_no_torch() -> None:
    script = (
        "import sys, json\n"
        "from inpars_plus.lms import adapter_for, load_lm, scripted_lm, usage_of\n"
        "adapter_for(scripted_lm(['x']))\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stdout))
    assert not imported & {"torch", "faiss", "sentence_transformers", "transformers", "openvino", "bm25s", "litellm"}
