"""Results come out of the store, and out of a document, as they went in; and only what qualified is a yardstick."""

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fryer.archive import fleet_past, load, own_past, result_from_json, result_to_json, save, spool, unspool
from fryer.evidence import DeviceInfo, DeviceVerdict, Measurement, NodeEvidence, NodeVerdict
from fryer.exchange import DocumentError, field_types
from fryer.plan import Phase, Plan
from fryer.records import FLOPS, Point
from fryer.result import RunInfo, RunResult
from watchdog.store import Store
from watchdog.store.connection import writing
from watchdog.vocabulary.errors import StoreError, UsageError
from watchdog.vocabulary.verdicts import Verdict

PLAN = Plan(
    nodes=("n1",), dtypes=("bf16",), phases=(Phase(burn="gemm", seconds=4.0),), seed=2**63 + 1, memory_ratio=0.9
)


def a_device(name: str = "gpu0", uuid: str = "GPU-1", part: str = "H100", kind: str = "cuda") -> DeviceInfo:
    return DeviceInfo(name=name, kind=kind, part=part, uuid=uuid)


def a_measurement(value: float, device: str = "gpu0", burn: str = "gemm", case: str = "bf16") -> Measurement:
    points = tuple(
        Point(device=device, burn=burn, case=case, metric=FLOPS, at_seconds=float(at), value=value) for at in range(3)
    )
    return Measurement(
        device=device,
        burn=burn,
        case=case,
        metric=FLOPS,
        value=value,
        spread_ratio=0.01,
        steady_from_seconds=1.0,
        digest=None,
        series=points,
    )


def a_result(
    run_id: str,
    started_at: str,
    value: float,
    *,
    verdict: Verdict = Verdict.PASS,
    device: DeviceInfo | None = None,
    node: str = "n1",
    **more: Any,
) -> RunResult:
    device = device or a_device()
    evidence = NodeEvidence(
        node=node,
        devices=(device,),
        versions={"fryer": "0.1.0"},
        measurements=(a_measurement(value, device.name, **more),),
    )
    judged = NodeVerdict(
        node=node,
        verdict=verdict,
        reasons=(),
        devices=(DeviceVerdict(device=device.name, verdict=verdict, reasons=()),),
    )
    info = RunInfo(run_id=run_id, started_at=started_at, plan=PLAN, command="fryer run")
    return RunResult(info=info, seconds=4.5, evidence=(evidence,), verdicts=(judged,))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


words = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
numbers = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=3,
)
SIMPLE: dict[object, st.SearchStrategy[Any]] = {
    str: words,
    float: numbers,
    object: plain,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    type(None): st.none(),
}


def anything(kind: Any, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any value of the type `kind`, with every field of a dataclass drawn, or drawn from `given`."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if is_dataclass(kind):
        return st.builds(kind, **{name: anything(each) for name, each in field_types(kind).items()} | given)
    if get_origin(kind) is tuple:
        return st.lists(anything(get_args(kind)[0]), max_size=2).map(tuple)
    if get_origin(kind) is Mapping:
        return st.dictionaries(words, anything(get_args(kind)[1]), max_size=2)
    if get_origin(kind) is UnionType:
        return st.one_of(*(anything(each) for each in get_args(kind)))
    return st.sampled_from(kind)


@st.composite
def measurements(draw: st.DrawFn, devices: list[str]) -> Measurement:
    labels = {"device": draw(st.sampled_from(devices)), "burn": draw(words), "case": draw(words), "metric": draw(words)}
    pairs = draw(st.lists(st.tuples(numbers, numbers), max_size=3))
    series = tuple(Point(**labels, at_seconds=at, value=value) for at, value in pairs)
    return draw(anything(Measurement, series=st.just(series), **{k: st.just(v) for k, v in labels.items()}))


@st.composite
def nodes(draw: st.DrawFn) -> tuple[NodeEvidence, NodeVerdict]:
    names = draw(st.lists(words, max_size=2, unique=True))
    evidence = draw(
        anything(
            NodeEvidence,
            measurements=st.lists(measurements(names), max_size=2).map(tuple) if names else st.just(()),
            devices=st.tuples(*(anything(DeviceInfo, name=st.just(name)) for name in names)),
        )
    )
    judged = draw(
        anything(
            NodeVerdict,
            node=st.just(evidence.node),
            devices=st.tuples(*(anything(DeviceVerdict, device=st.just(name)) for name in names)),
        )
    )
    return evidence, judged


@st.composite
def results(draw: st.DrawFn) -> RunResult:
    pairs = draw(st.lists(nodes(), max_size=2))
    info = draw(anything(RunInfo, run_id=st.uuids().map(str), started_at=st.datetimes().map(lambda t: t.isoformat())))
    return RunResult(
        info=info,
        seconds=draw(numbers),
        evidence=tuple(evidence for evidence, _ in pairs),
        verdicts=tuple(verdict for _, verdict in pairs),
    )


slowly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@slowly
@given(results())
def test_a_result_comes_out_of_a_document_as_it_went_in(result: RunResult) -> None:
    text = json.dumps(result_to_json(result), allow_nan=False)
    assert result_from_json(json.loads(text)) == result


@pytest.fixture(scope="module")
def shared_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as directory:
        yield Store.open(Path(directory))


@slowly
@given(result=results())
def test_a_result_comes_out_of_the_store_as_it_went_in(shared_store: Store, result: RunResult) -> None:
    if shared_store.has(result.info.run_id):  # hypothesis tries an example again, and a result is never changed
        return
    save(shared_store, result)
    assert load(shared_store, result.info.run_id) == result


def test_a_figure_that_is_no_number_is_kept_as_such(store: Store) -> None:
    save(store, a_result("r1", "2026-01-01T00:00:00Z", math.nan))
    kept = load(store, "r1").evidence[0].measurements[0]
    assert math.isnan(kept.value)
    assert [math.isnan(point.value) for point in kept.series] == [True] * 3
    assert own_past(store, ["GPU-1"]) == ()


def test_a_field_of_a_newer_fryer_is_named(store: Store) -> None:
    save(store, a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    with writing(store.engine) as connection:
        connection.exec_driver_sql("""UPDATE device_result SET more = '{"aura": 1}'""")
    with pytest.raises(StoreError, match=r"run r1 in .* DeviceInfo has a field 'aura' that this .*; update Fryer"):
        load(store, "r1")


def test_a_run_is_found_by_the_start_of_its_id(store: Store) -> None:
    save(store, a_result("abc1", "2026-01-01T00:00:00Z", 1.0))
    save(store, a_result("abd2", "2026-01-02T00:00:00Z", 2.0))
    assert load(store, "abd").info.run_id == "abd2"
    with pytest.raises(UsageError, match="'ab' begins more than one run: abc1, abd2"):
        load(store, "ab")
    with pytest.raises(UsageError, match="no result of a run 'x' is kept"):
        load(store, "x")


def test_a_result_is_never_kept_twice(store: Store) -> None:
    save(store, a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    with pytest.raises(StoreError, match=r"run r1 is kept in .* already"):
        save(store, a_result("r1", "2026-01-01T00:00:00Z", 2.0))
    assert load(store, "r1").evidence[0].measurements[0].value == 1.0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda result: replace(result, verdicts=()), "can't be kept as it is"),
        (
            lambda result: replace(result, evidence=(replace(result.evidence[0], devices=(a_device("gpu7"),)),)),
            r"evidence on n1 \['gpu7'\], but verdicts on n1 \['gpu0'\]",
        ),
        (lambda result: replace(result, info=replace(result.info, started_at="yesterday")), "yesterday"),
        (
            lambda result: replace(
                result, evidence=(replace(result.evidence[0], measurements=(a_measurement(1.0, "gpu9"),)),)
            ),
            "a measurement of 'gpu9', which is no device of this node",
        ),
    ],
)
def test_a_result_that_contradicts_itself_is_refused_and_can_still_be_spooled(
    store: Store, tmp_path: Path, spoil: Any, said: str
) -> None:
    result = spoil(a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    with pytest.raises(StoreError, match=said):
        save(store, result)
    assert store.runs() == []
    assert unspool(spool(result, tmp_path)) == result


def test_a_command_line_that_is_no_text_is_kept_escaped(store: Store) -> None:
    result = a_result("r1", "2026-01-01T00:00:00Z", 1.0)
    save(store, replace(result, info=replace(result.info, command="fryer run --json \udcff")))
    assert load(store, "r1").info.command == r"fryer run --json \udcff"


def values(past: Any) -> list[float]:
    return sorted(figure.value for figure in past)


def test_the_past_of_a_device_is_its_newest_figure_of_each_burn_and_case(store: Store) -> None:
    save(store, a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    save(store, a_result("r2", "2026-01-02T00:00:00+00:00", 2.0, burn="hbm"))
    save(store, a_result("r3", "2026-01-03T00:00:00.5Z", 3.0))
    save(store, a_result("r4", "2026-01-04T00:00:00Z", 4.0, device=a_device(uuid="GPU-2")))
    past = own_past(store, ["GPU-1", "GPU-none"])
    assert [(p.burn, p.value, p.run_id, p.at) for p in past] == [
        ("hbm", 2.0, "r2", "2026-01-02T00:00:00+00:00"),
        ("gemm", 3.0, "r3", "2026-01-03T00:00:00.5Z"),
    ]
    assert (past[0].node, past[0].part, past[0].uuid, past[0].case, past[0].metric) == (
        "n1",
        "H100",
        "GPU-1",
        "bf16",
        FLOPS,
    )


def test_a_short_run_does_not_hide_the_steady_figure_before_it(store: Store) -> None:
    save(store, a_result("r1", "2026-01-01T00:00:00Z", 10.0))
    short = a_result("r2", "2026-01-02T00:00:00Z", 7.0)
    (evidence,) = short.evidence
    (found,) = evidence.measurements
    found = replace(found, steady_from_seconds=None, digest="00ff")
    save(store, replace(short, evidence=(replace(evidence, measurements=(found,)),)))
    past = own_past(store, ["GPU-1"])
    assert {(p.value, p.is_steady, p.digest) for p in past} == {(10.0, True, None), (7.0, False, "00ff")}


def test_the_past_says_of_what_seed_and_software_its_products_are(store: Store) -> None:
    result = a_result("r1", "2026-01-01T00:00:00Z", 1.0)
    versions = {"fryer": "0.1.0", "torch": "2.13.0", "cuda": "13.0"}
    save(store, replace(result, evidence=(replace(result.evidence[0], versions=versions),)))
    save(store, a_result("r2", "2026-01-01T00:00:00Z", 1.0, device=a_device(uuid="GPU-2")))
    (known,), (unknown,) = own_past(store, ["GPU-1"]), own_past(store, ["GPU-2"])
    assert (known.seed, known.software) == (PLAN.seed, "fryer 0.1.0, torch 2.13.0, cuda 13.0, driver -")
    assert unknown.software is None


@pytest.mark.parametrize("verdict", [v for v in Verdict if v not in (Verdict.PASS, Verdict.WARN)])
def test_a_device_that_did_not_qualify_is_no_yardstick(store: Store, verdict: Verdict) -> None:
    """A card that grew slow and failed must not become the baseline of its next run."""
    save(store, a_result("r1", "2026-01-01T00:00:00Z", 10.0, verdict=Verdict.WARN))
    save(store, a_result("r2", "2026-01-02T00:00:00Z", 7.0, verdict=verdict))
    assert values(own_past(store, ["GPU-1"])) == [10.0]
    assert values(fleet_past(store, ["H100"], [])) == [10.0]


def test_simulated_and_real_devices_are_no_yardstick_for_each_other(store: Store) -> None:
    save(store, a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    save(store, a_result("r2", "2026-01-02T00:00:00Z", 2.0, device=a_device(kind="simulated")))
    assert values(own_past(store, ["GPU-1"])) == [1.0]
    assert values(own_past(store, ["GPU-1"], is_simulated=True)) == [2.0]
    assert values(fleet_past(store, ["H100"], [])) == [1.0]
    assert values(fleet_past(store, ["H100"], [], is_simulated=True)) == [2.0]


def test_the_fleet_is_every_other_device_of_the_same_part(store: Store) -> None:
    for index, (uuid, part) in enumerate([("GPU-1", "H100"), ("GPU-2", "H100"), ("GPU-3", "H100"), ("GPU-4", "A100")]):
        save(
            store,
            a_result(
                f"r{index}", f"2026-01-0{index + 1}T00:00:00Z", float(index), device=a_device(uuid=uuid, part=part)
            ),
        )
    save(store, a_result("r9", "2026-01-09T00:00:00Z", 9.0, device=a_device(uuid="GPU-2")))
    assert values(fleet_past(store, ["H100"], ["GPU-1"])) == [2.0, 9.0]
    assert values(fleet_past(store, ["A100", "B200"], [])) == [3.0]


def test_a_kept_run_is_judged_again_against_what_came_before_it(store: Store) -> None:
    save(store, a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    save(store, a_result("r2", "2026-01-02T00:00:00Z", 2.0))
    assert values(own_past(store, ["GPU-1"], before="2026-01-02T00:00:00Z")) == [1.0]
    assert values(own_past(store, ["GPU-1"], before="2026-01-01T00:00:00Z")) == []


def test_a_result_that_names_a_field_of_another_fryer_is_refused_by_name(tmp_path: Path) -> None:
    document = result_to_json(a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    document["evidence"][0]["aura"] = 1
    with pytest.raises(DocumentError, match=r"result.evidence\[0\] has a field 'aura'"):
        result_from_json(document)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("schema", "fryer/other", "its schema is 'fryer/other', not 'fryer/result'"),
        ("version", 2, "its version is 2, and this Fryer reads version 1"),
        ("seconds", "long", "result.seconds is 'long', no number"),
        ("verdicts", {}, "result.verdicts is {}, no list"),
        (
            "verdicts",
            [{"node": "n", "verdict": "GOOD", "devices": [], "reasons": []}],
            r"result.verdicts\[0\].verdict is 'GOOD', none of PASS, WARN, FAIL",
        ),
    ],
)
def test_a_document_that_is_no_result_says_where(key: str, value: object, said: str) -> None:
    document = result_to_json(a_result("r1", "2026-01-01T00:00:00Z", 1.0)) | {key: value}
    with pytest.raises(DocumentError, match=said):
        result_from_json(document)


def test_a_field_that_an_older_fryer_did_not_have_gets_its_default() -> None:
    document = result_to_json(a_result("r1", "2026-01-01T00:00:00Z", 1.0))
    del document["evidence"][0]["interrupted"]
    del document["evidence"][0]["node"]
    with pytest.raises(DocumentError, match=r"evidence\[0\] has no field 'node'"):
        result_from_json(document)
    document["evidence"][0]["node"] = "n1"
    assert result_from_json(document).evidence[0].interrupted is None


def test_a_spooled_result_is_this_users_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    result = a_result("r1", "2026-01-01T00:00:00Z", math.inf)
    path = spool(result, tmp_path / "spool")
    assert path == tmp_path / "spool" / "fryer-r1.json"
    assert [found.name for found in path.parent.iterdir()] == ["fryer-r1.json"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert unspool(path) == result


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "no JSON document"),
        (b"\xff\xfe\xfd", "no JSON document"),
        (b"[]", "holds no result of `fryer run`"),
        (b"[" * 100_000, "no JSON document"),
    ],
)
def test_a_file_that_is_no_spooled_result_says_so(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        unspool(tmp_path / "x.json")


def test_a_missing_spool_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can't read .*x.json: No such file or directory"):
        unspool(tmp_path / "x.json")


def test_a_spool_on_a_full_disk_says_so_and_leaves_no_half_file(tmp_path: Path) -> None:
    with full_disk(tmp_path / "full") as directory:
        with pytest.raises(StoreError, match="No space left on device"):
            spool(a_result("r1", "2026-01-01T00:00:00Z", 1.0), directory)
        assert [path.name for path in directory.iterdir()] == ["filler"]


@contextmanager
def full_disk(directory: Path) -> Iterator[Path]:
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], check=False)
    if mounted.returncode:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("can't mount a tmpfs here (not root)")
    try:
        (directory / "filler").write_bytes(bytes(64 << 10))
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
