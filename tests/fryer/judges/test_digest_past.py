"""Products compared with those of earlier runs: who is wrong, and when nobody can say."""

from dataclasses import replace

import pytest

from fryer.judges import digest_past
from fryer.judges.limits import Limits
from fryer.verdict import judge
from fryer.vote import software_of
from watchdog.vocabulary.verdicts import Verdict

LIMITS = Limits()
VERSIONS = {"fryer": "0.1.0", "torch": "2.13.0", "cuda": "13.0", "driver": "570.86"}
OWN = "GPU-0000"


@pytest.fixture
def run(make, past):
    """A run of GPUs with these digests, after runs of others: UUID -> digest."""

    def build(here, before, **changes):
        devices = [make.gpu(i) for i in range(len(here))]
        found = [replace(make.series(f"gpu{i}", 729e12), digest=digest) for i, digest in enumerate(here)]
        fields = {"digest": "", "seed": 1, "software": software_of(VERSIONS)} | changes
        rows = [past(uuid, 729e12, **fields | {"digest": digest}) for uuid, digest in before.items()]
        return replace(
            make.node(devices, found),
            versions=VERSIONS,
            seed=1,
            own_past=tuple(row for row in rows if row.uuid in {d.uuid for d in devices}),
            fleet_past=tuple(row for row in rows if row.uuid not in {d.uuid for d in devices}),
        )

    return build


@pytest.mark.parametrize(
    ("here", "before", "expected"),
    [
        (["bad"], {"GPU-91": "good", "GPU-92": "good"}, "FAIL"),
        (["bad"], {OWN: "good", "GPU-91": "good"}, "FAIL"),
        (["bad"], {OWN: "bad", "GPU-91": "good", "GPU-92": "good"}, "FAIL"),  # always wrong, and alone with it
        (["bad"], {"GPU-91": "good"}, "INCONCLUSIVE"),
        (["bad"], {OWN: "good"}, "INCONCLUSIVE"),
        (["new", "new"], {"GPU-91": "old", "GPU-92": "old"}, "INCONCLUSIVE"),  # two can't be wrong alike
        (["good"], {"GPU-91": "good", "GPU-92": "bad"}, None),
        (["good", "good", "good"], {"GPU-91": "bad", "GPU-92": "bad"}, None),
        (["good"], {OWN: "good"}, None),
        (["good"], {}, None),
    ],
)
def test_the_minority_is_named_where_two_witnesses_agree(run, here, before, expected):
    found = [c for c in digest_past.judge(run(here, before), LIMITS) if c.device == "gpu0"]
    assert [str(c.reason.verdict) for c in found] == ([expected] if expected else [])


@pytest.mark.parametrize(
    "changes",
    [{"seed": 2}, {"software": "torch 2.12.0"}, {"part": "NVIDIA H200"}, {"case": "fp8 8192x8192x8192"}],
)
def test_products_of_other_seeds_software_parts_and_formats_are_not_compared(run, changes):
    assert digest_past.judge(run(["bad"], {"GPU-91": "good", "GPU-92": "good"}, **changes), LIMITS) == []


def test_the_newest_product_of_a_device_is_its_only_vote(run, past):
    evidence = run(["x"], {"GPU-91": "x"})
    older = tuple(replace(evidence.fleet_past[0], digest="y", at=f"2026-07-0{i}T00:00:00Z") for i in range(1, 4))
    assert digest_past.judge(replace(evidence, fleet_past=(*evidence.fleet_past, *older)), LIMITS) == []


def test_nothing_is_compared_where_seed_or_software_is_unknown(run):
    evidence = run(["bad"], {"GPU-91": "good", "GPU-92": "good"})
    assert digest_past.judge(replace(evidence, seed=None), LIMITS) == []
    assert digest_past.judge(replace(evidence, versions={}), LIMITS) == []


def test_a_processor_is_not_compared_with_its_past(run, make):
    evidence = run(["bad"], {"GPU-91": "good", "GPU-92": "good"})
    assert digest_past.judge(replace(evidence, devices=(make.gpu(0, kind="cpu"),)), LIMITS) == []


def test_a_gpu_alone_in_its_node_fails_for_what_it_always_gets_wrong(run):
    (device,) = judge(run(["bad"], {OWN: "bad", "GPU-91": "good", "GPU-92": "good"})).devices
    assert device.verdict is Verdict.FAIL
    (reason,) = [r for r in device.reasons if r.code == "digest_past"]
    assert "2 devices of the part computed good" in reason.message
