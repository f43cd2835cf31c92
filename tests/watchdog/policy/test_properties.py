"""What the policy never does, whatever comes."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from watchdog.policy import DailyCaps, History, PolicySettings, acked, decide, drained, remember
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject

APPLICATION = ("xid_13", "xid_31", "xid_43", "xid_45")
CODES = (*APPLICATION, "xid_48", "xid_63", "xid_79", "xid_94", "xid_154", "thermal", "drift", "loss_spike", "unknown")
WORDS = ("none", "save", "restart_app", "reset_gpu", "drain_reset", "reboot_node", "inspect", "stop_job", "new_word")
GUARDED = (Action.EXCLUDE, Action.DRAIN, Action.STOP)


@dataclass(frozen=True)
class Run:
    run: str
    step: int | None
    ended_at: float | None


def incident(number: int, code: str, node: int, word: str, severity: Severity, state: IncidentState) -> Incident:
    subject = Subject(f"node{node}", "gpu", f"GPU-{number}")
    return Incident(
        id=f"i{number}-{code}-{node}",
        node=subject.node,
        opened_at=float(number),
        updated_at=float(number),
        state=state,
        severity=severity,
        root=subject,
        root_code=code,
        title=f"{code}",
        action=word,
        codes=(code,),
    )


incidents = st.lists(
    st.builds(
        incident,
        st.integers(0, 9),
        st.sampled_from(CODES),
        st.integers(0, 3),
        st.sampled_from(WORDS),
        st.sampled_from(Severity),
        st.sampled_from(IncidentState),
    ),
    max_size=8,
    unique_by=lambda one: one.id,
)
verdicts = st.lists(
    st.builds(
        lambda number, node, word: Finding(
            source="recovery_action",
            subject=Subject(f"node{node}", "gpu", f"GPU-{number}"),
            severity=Severity.FAIL,
            code="recovery_action",
            message="",
            action=word,
            since=0.0,
        ),
        st.integers(0, 9),
        st.integers(0, 3),
        st.sampled_from(WORDS),
    ),
    max_size=3,
)
runs = st.lists(st.builds(Run, st.just("r"), st.none() | st.integers(0, 9), st.none() | st.just(1.0)), max_size=2)
caps = st.builds(DailyCaps, save=st.integers(0, 3), exclude=st.integers(0, 2), drain=st.integers(0, 2))
settings = st.builds(
    PolicySettings,
    allow=st.lists(st.sampled_from(["drain", "exclude", "stop", "drain:xid_79", "exclude:drift"])).map(tuple),
    caps=caps,
)
life = st.lists(st.tuples(incidents, st.floats(1, 40_000), st.booleans(), st.booleans()), min_size=1, max_size=5)


@hypothesis_settings(max_examples=60, deadline=None)
@given(incidents, verdicts, runs, settings, st.floats(0, 1))
def test_there_is_one_signal_at_most_and_each_incident_is_accounted_for(some, found, training, chosen, ratio):
    decision = decide(
        incidents=some, findings=found, runs=training, history=History(), settings=chosen, now=50.0, fleet_ratio=ratio
    )
    assert decision.signal is None or isinstance(decision.signal, Signal)
    assert sum(record.outcome == "signalled" for record in decision.records) <= 1
    standing = sorted(one.id for one in some if one.state in (IncidentState.OPEN, IncidentState.ACTED))
    assert sorted(record.incident for record in decision.records) == standing
    assert len({drain.node for drain in decision.drains}) == len(decision.drains)
    if decision.is_breaker_open:
        assert (decision.signal, decision.drains, decision.acts) == (None, (), ())


@hypothesis_settings(max_examples=60, deadline=None)
@given(incidents, verdicts, runs)
def test_application_errors_never_take_a_node_or_a_run_away(some, found, training):
    everything = PolicySettings(allow=("drain", "exclude", "stop"))
    decision = decide(incidents=some, findings=found, runs=training, history=History(), settings=everything, now=50.0)
    application = {one.id for one in some if one.root_code in APPLICATION}
    assert decision.signal is None or decision.signal.incident not in application
    assert not application & {drain.incident for drain in decision.drains}


@hypothesis_settings(max_examples=60, deadline=None)
@given(incidents, verdicts, runs, settings)
def test_what_is_not_opened_is_only_watched(some, found, training, chosen):
    decision = decide(incidents=some, findings=found, runs=training, history=History(), settings=chosen, now=50.0)
    by_id = {one.id: one for one in some}
    for drain in decision.drains:
        assert chosen.is_allowed(Action.DRAIN, by_id[drain.incident].root_code)
    if decision.signal is not None and decision.signal.action in GUARDED:
        root = by_id[decision.signal.incident or ""].root_code
        assert decision.signal.is_observed_only is not chosen.is_allowed(decision.signal.action, root)


@hypothesis_settings(max_examples=60, deadline=None)
@given(life, settings)
def test_caps_hold_over_any_day_and_answered_signals_do_not_come_back(moments, chosen):
    history, now, answered = History(), 0.0, set()
    spent: list[tuple[float, Action, str]] = []
    for some, pause, is_acked, is_drained in moments:
        now += pause
        decision = decide(incidents=some, findings=(), runs=(), history=history, settings=chosen, now=now)
        signal = decision.signal
        assert signal is None or (signal.id not in answered and signal.expires_at > now)
        history = remember(history, decision.acts, signal, now)
        spent += [(act.at, act.action, act.signal_id) for act in decision.acts]
        day = [(action, id_) for at, action, id_ in spent if at > now - 86_400]
        for action in set(Action) - {Action.NONE}:
            assert sum(one is action for one, _ in day) <= chosen.caps.of(action)
        if signal is not None and not signal.is_observed_only:
            assert (signal.action, signal.id) in day
        if signal is not None and is_acked:
            history = acked(history, signal.id, "done")
            answered.add(signal.id)
        if is_drained:
            for drain in decision.drains:
                history = drained(history, drain.node, drain.incident, now)


@hypothesis_settings(max_examples=60, deadline=None)
@given(incidents, verdicts, runs, settings)
def test_deciding_twice_gives_the_same_signal_and_uses_no_cap_again(some, found, training, chosen):
    history, signals = History(), []
    for now in (50.0, 60.0):
        decision = decide(incidents=some, findings=found, runs=training, history=history, settings=chosen, now=now)
        signals.append(decision.signal)
        before, history = history, remember(history, decision.acts, decision.signal, now)
    assert signals[0] == signals[1]
    assert before.acts == history.acts
