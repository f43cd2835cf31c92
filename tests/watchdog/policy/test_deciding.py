"""Incidents in, at most one signal out: which, when, how often, and what is only watched."""

import json
from dataclasses import dataclass, replace

import pytest

from watchdog.policy import DailyCaps, Decision, History, PolicySettings, acked, bad_ratio, decide, drained, remember
from watchdog.policy.history import from_json, to_json, undrained
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.signals import Action
from watchdog.vocabulary.subjects import Subject

ALL = PolicySettings(allow=("exclude", "drain", "stop"))
WATCH = PolicySettings()


@dataclass(frozen=True)
class Run:
    run: str = "big"
    step: int | None = 5000
    ended_at: float | None = None


def incident(code: str = "xid_79", action: str = "reboot_node", *, index: int = 0, **more: object) -> Incident:
    node = str(more.pop("node", "node1"))
    given = {
        "id": f"i{index}-{node}-{code}",
        "node": node,
        "opened_at": 100.0 + index,
        "updated_at": 100.0,
        "state": IncidentState.OPEN,
        "severity": Severity.FAIL,
        "root": Subject(node, "gpu", f"GPU-{index}"),
        "root_code": code,
        "title": f"{code} on gpu {index}",
        "action": action,
        "codes": (code,),
        **more,
    }
    return Incident(**given)


def verdict(action: str, index: int = 0) -> Finding:
    return Finding(
        source="recovery_action",
        subject=Subject("node1", "gpu", f"GPU-{index}"),
        severity=Severity.FAIL,
        code="recovery_action",
        message="field 230",
        action=action,
        since=100.0,
    )


def decided(*incidents: Incident, settings: PolicySettings = ALL, **more: object) -> Decision:
    given = {"findings": (), "runs": (Run(),), "history": History(), "now": 1000.0, **more}
    return decide(incidents=incidents, settings=settings, **given)


def outcomes(decision: Decision) -> list[tuple[str, str, str]]:
    return [(record.incident, record.action.value, record.outcome) for record in decision.records]


@pytest.mark.parametrize(
    ("code", "action", "severity", "expected"),
    [
        ("xid_79", "reboot_node", Severity.FAIL, Action.DRAIN),
        ("xid_48", "reset_gpu", Severity.FAIL, Action.DRAIN),
        ("xid_95", "reset_gpu", Severity.FAIL, Action.DRAIN),
        ("xid_119", "reset_gpu", Severity.FAIL, Action.DRAIN),
        ("xid_120", "reset_gpu", Severity.FAIL, Action.DRAIN),
        ("xid_64", "reset_gpu", Severity.FAIL, Action.DRAIN),
        ("xid_63", "none", Severity.WARN, Action.SAVE),
        ("row_remap_pending", "reset_gpu", Severity.WARN, Action.SAVE),
        ("xid_94", "restart_app", Severity.FAIL, Action.SAVE),
        ("xid_94", "inspect", Severity.FAIL, Action.DRAIN),
        ("sxid_20034", "reset_gpu", Severity.FAIL, Action.DRAIN),
        ("thermal_margin", "inspect", Severity.WARN, None),
        ("drift", "inspect", Severity.FAIL, Action.EXCLUDE),
        ("pcie_width", "reset_gpu", Severity.WARN, Action.SAVE),
        ("pcie_narrow", "inspect", Severity.FAIL, Action.EXCLUDE),
        ("disk_full", "inspect", Severity.FAIL, None),
        ("kernel_panic", "reboot_node", Severity.FAIL, Action.DRAIN),
        ("loss_diverged", "stop_job", Severity.FAIL, Action.STOP),
        ("loss_spike", "inspect", Severity.FAIL, None),
        ("xid_13", "restart_app", Severity.FAIL, None),
        ("xid_31", "inspect", Severity.FAIL, None),
        ("xid_43", "reset_gpu", Severity.FAIL, None),
        ("xid_45", "reboot_node", Severity.FAIL, None),
        ("unknown", "none", Severity.UNKNOWN, None),
        ("xid_79", "reboot_node", Severity.UNKNOWN, None),
    ],
)
def test_what_each_fault_asks_of_a_run(code, action, severity, expected):
    signal = decided(incident(code, action, severity=severity)).signal
    assert (signal.action if signal else None) is expected


@pytest.mark.parametrize(
    ("codes", "action", "severity", "expected"),
    [
        (("xid_63", "xid_94", "ecc_uncorrected", "row_remap_pending", "xid_43"), "reset_gpu", "FAIL", Action.SAVE),
        (("row_remap_pending", "row_remap_few_spares"), "inspect", "WARN", Action.SAVE),
        (("xid_48", "xid_63", "xid_94"), "reset_gpu", "FAIL", Action.DRAIN),
        (("xid_63", "xid_64"), "reset_gpu", "FAIL", Action.DRAIN),
        (("xid_94", "ecc_sram_threshold"), "contact_support", "FAIL", Action.DRAIN),
        (("ecc_uncorrected",), "reset_gpu", "FAIL", Action.DRAIN),
    ],
)
def test_a_memory_error_waits_for_a_checkpoint_only_when_nothing_graver_goes_with_it(codes, action, severity, expected):
    signal = decided(incident(codes[0], action, codes=codes, severity=Severity[severity])).signal
    assert signal is not None
    assert signal.action is expected


def test_a_signal_says_what_why_for_whom_and_until_when():
    signal = decided(incident("xid_63", "none", severity=Severity.WARN)).signal
    assert signal is not None
    assert signal.reason == "xid_63 on gpu 0: a row is to be remapped; save, and reset the GPU at the next checkpoint"
    assert (signal.run, signal.not_after_step, signal.incident) == ("big", 6000, "i0-node1-xid_63")
    assert (signal.created_at, signal.expires_at, signal.is_observed_only) == (1000.0, 4600.0, False)
    drain = decided(incident(), runs=(Run("old", ended_at=5.0), Run("new"))).signal
    assert drain is not None
    assert (drain.run, drain.not_after_step, drain.expires_at) == ("new", None, 2800.0)


def test_the_drivers_verdict_goes_before_the_catalogue():
    contained = incident("xid_94", "restart_app")
    decision = decided(contained, findings=(verdict("reset_gpu"),))
    assert decision.signal is not None
    assert (decision.signal.action, decision.signal.confidence) == (Action.DRAIN, 1.0)
    assert decided(contained, findings=(verdict("reset_gpu", 1),)).signal.action is Action.SAVE
    assert decided(contained, findings=(verdict("none"),)).signal.action is Action.SAVE
    told = replace(contained, codes=("xid_94", "xid_154"), action="drain_reset")
    assert decided(told).signal.confidence == 1.0


def test_exclude_drain_and_stop_are_only_watched_unless_they_are_opened():
    decision = decided(incident(), settings=WATCH)
    assert decision.signal is not None
    assert (decision.signal.action, decision.signal.is_observed_only) == (Action.DRAIN, True)
    assert (decision.drains, decision.acts) == ((), ())
    assert outcomes(decision) == [("i0-node1-xid_79", "drain", "observed")]


def test_an_action_may_be_opened_for_one_fault_alone():
    one = PolicySettings(allow=("drain:xid_79",))
    assert decided(incident("xid_79"), settings=one).signal.is_observed_only is False
    assert decided(incident("xid_48", "reset_gpu"), settings=one).signal.is_observed_only is True


def test_what_is_only_watched_does_not_stand_before_what_may_act():
    save = incident("xid_63", "none", index=1, severity=Severity.WARN)
    decision = decided(incident(), save, settings=WATCH)
    assert decision.signal is not None
    assert (decision.signal.action, decision.signal.is_observed_only) == (Action.SAVE, False)
    assert outcomes(decision) == [(incident().id, "drain", "observed"), (save.id, "save", "signalled")]


def test_the_gravest_is_the_signal_and_covers_lesser_ones_of_the_same_node():
    save = incident("xid_63", "none", index=1, severity=Severity.WARN)
    elsewhere = incident("xid_63", "none", index=2, severity=Severity.WARN, node="node2")
    decision = decided(save, elsewhere, incident())
    assert decision.signal is not None
    assert decision.signal.action is Action.DRAIN
    assert [(drain.node, drain.reason) for drain in decision.drains] == [("node1", "xid_79 on gpu 0")]
    assert [outcome for _, _, outcome in outcomes(decision)] == ["signalled", "covered", "outranked"]


def test_the_same_incident_gives_the_same_signal_while_it_stands():
    first = decided(incident())
    history = remember(History(), first.acts, first.signal, 1000.0)
    again = decided(incident(), history=history, now=1500.0)
    assert again.signal == first.signal
    assert again.acts == ()
    late = decided(incident(), history=history, now=2801.0)
    assert late.signal is not None
    assert late.signal.id == first.signal.id
    assert late.signal.expires_at == 4601.0


def test_an_answered_signal_is_not_repeated_but_its_drain_is_until_it_is_done():
    first = decided(incident())
    history = acked(remember(History(), first.acts, first.signal, 1000.0), first.signal.id, "done")
    save = incident("xid_63", "none", index=1, severity=Severity.WARN)
    decision = decided(incident(), save, history=history)
    assert decision.signal is None
    assert [drain.node for drain in decision.drains] == ["node1"]
    assert [outcome for _, _, outcome in outcomes(decision)] == ["acked", "covered"]
    assert decided(incident(), history=drained(history, "node1", "i", 1000.0)).drains == ()


def test_a_daily_cap_leaves_further_nodes_to_people():
    nodes = [incident(index=index, node=f"node{index}") for index in range(4)]
    decision = decided(*nodes)
    assert [drain.node for drain in decision.drains] == ["node0", "node1"]
    assert [outcome for _, _, outcome in outcomes(decision)] == ["signalled", "drained", "capped", "capped"]
    assert decision.records[-1].why.endswith("the cap of 2 a day is used up")
    history = remember(History(), decision.acts, decision.signal, 1000.0)
    assert [drain.node for drain in decided(*nodes, history=history, now=87_000.0).drains] == ["node0", "node1"]
    assert decided(nodes[3], history=history, now=87_000.0).drains == ()
    assert [drain.node for drain in decided(nodes[3], history=history, now=87_400.0).drains] == ["node3"]


def test_two_failures_of_one_node_use_one_drain():
    decision = decided(incident(), incident("xid_48", "reset_gpu", index=1))
    assert (len(decision.drains), len(decision.acts)) == (1, 1)


def test_a_capped_drain_leaves_room_for_a_checkpoint():
    settings = PolicySettings(allow=("drain",), caps=DailyCaps(drain=0))
    save = incident("xid_63", "none", index=1, severity=Severity.WARN)
    assert decided(incident(), save, settings=settings).signal.action is Action.SAVE


def test_when_half_of_the_fleet_is_bad_at_once_nothing_is_done():
    decision = decided(incident(), fleet_ratio=0.5)
    assert (decision.signal, decision.drains, decision.acts, decision.is_breaker_open) == (None, (), (), True)
    assert outcomes(decision) == [("i0-node1-xid_79", "drain", "breaker")]
    assert decided(incident(), fleet_ratio=0.49).is_breaker_open is False
    assert decided(incident("xid_13", "restart_app"), fleet_ratio=1.0).is_breaker_open is False


def test_bad_gpus_are_counted_by_root_and_only_where_half_means_something():
    cascade = incident(victims=tuple(Subject("node1", "gpu", f"GPU-{i}") for i in range(1, 8)))
    assert bad_ratio([cascade], 8) == 0.125
    four = [incident(index=index) for index in range(4)]
    assert bad_ratio([*four, incident("xid_48", index=0)], 8) == 0.5
    assert bad_ratio([incident("xid_13", index=index) for index in range(8)], 8) == 0.0
    assert bad_ratio([replace(one, state=IncidentState.VERIFIED) for one in four], 8) == 0.0
    assert bad_ratio([incident()], 1) == 0.0


def test_what_is_verified_or_closed_asks_for_nothing():
    for state in (IncidentState.VERIFIED, IncidentState.CLOSED):
        assert decided(incident(state=state)) == Decision()


def test_a_drained_node_is_given_back_after_a_qualification_and_only_then():
    history = drained(History(), "node1", "i0", 500.0)
    over = incident(state=IncidentState.VERIFIED)
    assert decided(over, history=history).undrains == ()
    assert decided(over, history=history, qualified={"node1": 499.0}).undrains == ()
    (undrain,) = decided(over, history=history, qualified={"node1": 600.0}).undrains
    assert (undrain.node, undrain.reason) == ("node1", "passed a qualification after incident i0")
    assert decided(incident(), history=history, qualified={"node1": 600.0}).undrains == ()
    assert undrained(history, "node1") == History()


def test_a_history_survives_json_exactly():
    decision = decided(incident())
    history = remember(History(), decision.acts, decision.signal, 1000.0)
    history = drained(acked(history, "s", "done"), "node1", "i0", 1.5)
    assert from_json(json.loads(json.dumps(to_json(history)))) == history
    with pytest.raises(StoreError, match="not a policy history of version 1"):
        from_json({})
    with pytest.raises(StoreError, match="damaged"):
        from_json({**to_json(history), "acts": [{}]})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"allow": ("drian",)}, "allow has 'drian'; allowed: ACTION or ACTION:CODE; did you mean 'drain'"),
        ({"allow": ("save",)}, "allow has 'save'"),
        ({"breaker_ratio": 0.0}, "breaker_ratio is 0"),
        ({"save_expires_seconds": 0.0}, "save_expires_seconds is 0"),
        ({"save_within_steps": -1}, "save_within_steps is -1"),
    ],
)
def test_wrong_settings_say_what_is_allowed(wrong, says):
    with pytest.raises(ValueError, match=says):
        PolicySettings(**wrong)


def test_a_negative_cap_is_refused():
    with pytest.raises(ValueError, match="drain is -1; allowed: 0 and more"):
        DailyCaps(drain=-1)
