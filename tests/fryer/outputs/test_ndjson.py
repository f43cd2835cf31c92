import io
import json
import math
from dataclasses import replace

import pytest

from fryer.outputs.documents import jsonable
from fryer.outputs.ndjson import JsonOutput
from fryer.records import FLOPS, Counted, Point, Problem, ProductDigest
from watchdog.vocabulary.verdicts import Verdict


def strict(line):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(line, parse_constant=refuse)


def stream_of(sample, records=()):
    stream = io.StringIO()
    output = JsonOutput(stream)
    output.start(sample.result.info)
    output.node("node001", sample.evidence.devices)
    output.phase("node001", "gemm", 40.0)
    for record in records:
        output.record("node001", record)
    output.reading("node001", *sample.readings[0])
    output.finish(sample.result)
    output.close()
    return [strict(line) for line in stream.getvalue().splitlines()]


def point(value=7.29e14):
    return Point(device="gpu0", burn="gemm", case="bf16", metric=FLOPS, at_seconds=1.0, value=value)


def test_every_line_is_strict_json_with_type_schema_and_version(sample):
    records = (point(), *sample.evidence.mismatches, *sample.evidence.problems, *sample.evidence.counted)
    documents = stream_of(sample, records)
    assert {(d["schema"], d["version"]) for d in documents} == {("fryer/run", 1)}
    assert list(dict.fromkeys(d["type"] for d in documents)) == [
        "run",
        "node",
        "phase",
        "point",
        "mismatch",
        "problem",
        "counted",
        "reading",
        "measurement",
        "verdict",
    ]


def test_a_record_keeps_its_fields_and_tells_its_node(sample):
    documents = stream_of(sample, [point()])
    assert next(d for d in documents if d["type"] == "point") == {
        "type": "point",
        "schema": "fryer/run",
        "version": 1,
        "node": "node001",
        "device": "gpu0",
        "burn": "gemm",
        "case": "bf16",
        "metric": "flops_per_second",
        "at_seconds": 1.0,
        "value": 7.29e14,
        "busy_ratio": 1.0,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(sample, value):
    documents = stream_of(sample, [point(value)])
    assert next(d for d in documents if d["type"] == "point")["value"] is None


def test_the_digest_of_a_single_product_is_not_streamed_but_that_of_a_measurement_is(sample):
    single = ProductDigest(device="gpu0", case="bf16", round=0, pair=0, seed=1, digest="00")
    documents = stream_of(sample, [single])
    assert not any(d["type"] == "digest" for d in documents)
    gemm = [d for d in documents if d["type"] == "measurement" and d["burn"] == "gemm"]
    assert len(gemm) == 16
    assert all(len(d["digest"]) == 16 for d in gemm)
    assert all("series" not in d and d["num_points"] > 0 for d in gemm)


def test_the_verdict_is_last_and_has_the_shape_that_scripts_rely_on(sample):
    verdict = stream_of(sample)[-1]
    assert (verdict["type"], verdict["run_id"], verdict["verdict"]) == ("verdict", sample.result.info.run_id, "FAIL")
    [node] = verdict["nodes"]
    assert (node["node"], node["verdict"]) == ("node001", "FAIL")
    assert [r["code"] for r in node["reasons"] if r["verdict"] == "FAIL"] == ["slow_link"]
    by_name = {d["device"]: d for d in node["devices"]}
    assert list(by_name) == [f"gpu{i}" for i in range(8)]
    assert by_name["gpu2"]["uuid"] == "GPU-00000002-1111-2222-3333-444444444444"
    assert (by_name["gpu2"]["part"], by_name["gpu2"]["verdict"]) == ("NVIDIA H100 80GB HBM3", "FAIL")
    assert set(by_name["gpu2"]["reasons"][0]) == {"code", "verdict", "message", "evidence", "remedy", "repeat"}


def test_each_line_is_flushed_when_it_is_written(sample):
    class Flushed(io.StringIO):
        at_flush = ""

        def flush(self):
            self.at_flush = self.getvalue()

    stream = Flushed()
    output = JsonOutput(stream)
    output.start(sample.result.info)
    output.record(
        "node001", Problem(device="gpu0", burn="gemm", case="", verdict=Verdict.ERROR, code="crashed", message="x")
    )
    assert [strict(line)["type"] for line in stream.at_flush.splitlines()] == ["run", "problem"]


def test_a_reader_that_went_away_is_the_callers_to_handle(sample):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        JsonOutput(Gone()).start(sample.result.info)


def test_text_that_is_no_ascii_survives_a_stream_that_knows_only_ascii(sample):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    device = replace(sample.evidence.devices[0], part="Ünïcode \u2028 GPU")
    JsonOutput(stream).node("node001", (device,))
    assert strict(raw.getvalue().decode("ascii"))["devices"][0]["part"] == "Ünïcode \u2028 GPU"


def test_evidence_of_any_kind_becomes_json():
    counted = Counted(device="gpu0", burn="gemm", case="", what="products", count=3)
    found = {
        "verdict": Verdict.FAIL,
        "nested": {1: (math.nan, True, None)},
        "names": frozenset({"b", "a"}),
        "record": counted,
        "object": complex(1, 2),
    }
    assert jsonable(found) == {
        "verdict": "FAIL",
        "nested": {"1": [None, True, None]},
        "names": ["a", "b"],
        "record": {"device": "gpu0", "burn": "gemm", "case": "", "what": "products", "count": 3},
        "object": "(1+2j)",
    }
