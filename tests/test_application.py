"""An application elsewhere, with a ``metrics`` package of its own, uses a compiled program from the built wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from inpars_plus.corpora import Document
from inpars_plus.programs import (
    KeyTerms,
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    QueryGenerator,
    example_of,
    save_program,
)
from inpars_plus.signatures import SyntheticQuery

ROOT = Path(__file__).resolve().parent.parent
PUMP = "The pump stops with error 7 when air has entered the line. Open the vent until water comes without bubbles."
HERBS = "Tie small bunches of mint and hang them in a dark, airy room for a week, until the stems snap."

MAIN = """
import json, sys
import metrics
from inpars_plus import programs
from inpars_plus.corpora import Document
from inpars_plus.programs import load_program

given = json.loads(sys.argv[1])
lm = "embedded"
if given["api_base"]:
    from inpars_plus.lms import load_lm
    lm = load_lm("openai/local-model", api_base=given["api_base"], api_key=given["api_key"])
program = load_program(given["program"], lm=lm)
found = program(source=Document(id="1", text=given["text"]), number_of_queries=given["number"])
print(json.dumps({
    "own": metrics.OWN, "home": programs.__file__, "queries": found.queries, "shortfall": found.shortfall,
    "torch": "torch" in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if (path / "py.typed").exists():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A directory with a main module, a package named like one of ours, and a compiled program."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "__init__.py").write_text("OWN = 'mine'\n")
    (tmp_path / "main.py").write_text(MAIN)
    document = Document(id="h", text=HERBS, doc_type="household")
    terms = KeyTerms.fit([document, Document(id="p", text=PUMP)])
    program = QueryGenerator(key_terms=terms)
    demonstration = example_of(document, key_terms=terms, queries=["how long does it take to dry mint"])
    program.generate.demos = [demonstration.copy(queries=[SyntheticQuery(text="how long does it take to dry mint")])]
    card = ProgramCard(
        document_type="household",
        lm="embedded@b179c952",
        optimizer=OptimizerRecord(name="miprov2", settings={}),
        seed=0,
        metric=MetricRecord(name="query_metric"),
        data_hash="0" * 64,
    )
    save_program(program, tmp_path / "household.json", card)
    return tmp_path


def run(application: Path, site: Path, *, number: int = 1, **server: str) -> dict[str, Any]:
    given = {"program": "household.json", "text": PUMP, "number": number, "api_base": "", "api_key": "", **server}
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "main.py", json.dumps(given)]
    done = subprocess.run(command, cwd=application, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["own"] == "mine"
    assert Path(found["home"]).is_relative_to(site)
    assert not found["torch"]
    return found


@pytest.mark.model
def test_it_generates_with_the_embedded_model(application: Path, site: Path) -> None:
    found = run(application, site)
    assert len(found["queries"]) + found["shortfall"] == 1
    assert all(3 <= len(query.split()) <= 20 for query in found["queries"])


@pytest.mark.slow
def test_it_generates_with_a_server_and_writes_its_key_nowhere(
    application: Path, site: Path, loopback: ModuleType
) -> None:
    wanted = ["what does error 7 of the pump mean", "how do I let the air out of a pump"]
    reply = "[[ ## queries ## ]]\n" + json.dumps([{"text": text} for text in wanted]) + "\n\n[[ ## completed ## ]]"
    with loopback.LoopbackServer(lambda text: reply) as server:
        found = run(application, site, number=2, api_base=server.address, api_key="sk-very-secret-7319")
        assert server.requests == 1
        assert server.authorizations == ["Bearer sk-very-secret-7319"]
        assert "how long does it take to dry mint" in json.dumps(server.bodies)
    assert found["queries"] == wanted
    assert not [file for file in application.rglob("*") if file.is_file() and b"very-secret" in file.read_bytes()]
