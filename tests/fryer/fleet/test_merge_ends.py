"""What a node's end makes of its verdict: an ERROR with the node's own words, and what to do that fits its launcher."""

import pytest
from fleet_results import info_of

from fryer.fleet.merge import Gathered, merge
from fryer.fleet.orders import Ended
from watchdog.vocabulary.verdicts import Verdict


@pytest.mark.parametrize(
    ("remedy", "shown"),
    [
        ("see sinfo -R", "see sinfo -R"),
        ("", "see whether the node is up, and whether its launcher gets there: ssh without a question, or Slurm"),
    ],
    ids=["the launcher's own", "of the code"],
)
def test_what_to_do_is_the_launcher_s_own_word_where_it_has_one(remedy: str, shown: str) -> None:
    ended = Ended(node="node001", code="unreachable", message="node001 is DOWN", stderr="why", remedy=remedy)
    result = merge(info_of(("node001",)), 1.0, Gathered(ended={"node001": ended}), {})
    (verdict,) = result.verdicts
    (reason,) = verdict.reasons
    assert (verdict.verdict, reason.code, reason.message, reason.remedy) == (
        Verdict.ERROR,
        "unreachable",
        "node001 is DOWN",
        shown,
    )
    assert reason.evidence == {"stderr": "why", "exit_code": None}
