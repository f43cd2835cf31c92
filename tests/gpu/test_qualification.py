"""On a machine with an NVIDIA GPU: the real burns, and the figures that docs/gpu-results.md records."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]


def test_every_gpu_is_measured_and_no_product_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fryer = str(Path(sys.executable).with_name("fryer"))
    done = subprocess.run(
        [fryer, "run", "--nodes", "localhost", "--duration", "120s", "--json", "--state", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents[-1]["type"] == "verdict", done.stderr
    assert not [document for document in documents if document["type"] == "mismatch"]
    measured = [document for document in documents if document["type"] == "measurement"]
    assert {document["device"] for document in measured} == {
        device["device"] for device in documents[-1]["nodes"][0]["devices"]
    }
    with capsys.disabled():
        node = next(document for document in documents if document["type"] == "node")
        print(f"\n{date.today()} {[(d['part'], d['driver']) for d in node['devices']]}")
        for document in measured:
            print(*(document[key] for key in ("device", "burn", "case", "metric")), f"{document['value']:.4g}")
