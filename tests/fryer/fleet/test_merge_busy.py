"""A network that wobbles on a machine that is busy proves nothing; on a quiet one, or where it is slow, it does."""

from dataclasses import replace

import pytest

from fryer.evidence import DeviceVerdict, NodeVerdict, Reason
from fryer.fleet.merge import excuse_unsteady
from watchdog.vocabulary.verdicts import Verdict

WOBBLES = Reason(
    code="intermittent_network", verdict=Verdict.FAIL, message="n1 gave 40 to 110 MB/s", evidence={"least": 4e7}
)
BUSY = Reason(code="busy_host", verdict=Verdict.WARN, message="others took 60%", evidence={}, remedy="end it")


def own(*reasons: Reason) -> NodeVerdict:
    device = DeviceVerdict(device="cpu0", verdict=Verdict.WARN, reasons=reasons)
    return NodeVerdict(node="n1", verdict=Verdict.WARN, devices=(device,), reasons=())


@pytest.mark.parametrize(("was", "is_now"), [(Verdict.FAIL, Verdict.INCONCLUSIVE), (Verdict.WARN, Verdict.WARN)])
def test_a_busy_machine_explains_an_unsteady_network(was: Verdict, is_now: Verdict) -> None:
    assert excuse_unsteady(replace(WOBBLES, verdict=was), own(BUSY)) == Reason(
        code="busy_host",
        verdict=is_now,
        message="n1 gave 40 to 110 MB/s; but others took 60%: this machine is too busy to tell",
        evidence={"least": 4e7, "instead_of": "intermittent_network"},
        remedy="end it",
    )


def test_a_quiet_machine_explains_nothing_and_a_busy_one_no_slow_link() -> None:
    slow = replace(WOBBLES, code="slow_network")
    assert excuse_unsteady(WOBBLES, own()) is WOBBLES
    assert excuse_unsteady(WOBBLES, None) is WOBBLES
    assert excuse_unsteady(slow, own(BUSY)) is slow
