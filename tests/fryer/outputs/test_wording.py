import math
from dataclasses import replace

import pytest

from fryer.evidence import DeviceVerdict, NodeVerdict, Reason
from fryer.outputs.wording import (
    clock_limits,
    headline,
    last_line,
    node_line,
    scale_of,
    show_figure,
    show_rate,
    show_rate_beside,
)
from fryer.records import BYTES, FLOPS
from watchdog.vocabulary.verdicts import Verdict, gravest


def node(name, verdicts, reasons=()):
    devices = tuple(DeviceVerdict(device=f"gpu{i}", verdict=verdict, reasons=()) for i, verdict in enumerate(verdicts))
    return NodeVerdict(
        node=name, verdict=gravest([*verdicts, *(r.verdict for r in reasons)]), devices=devices, reasons=tuple(reasons)
    )


def run(sample, *nodes):
    return replace(sample.result, evidence=(sample.evidence,) * len(nodes), verdicts=nodes)


def about_node(verdict):
    return Reason(code="busy", verdict=verdict, message="", evidence={})


P, F, W, E, I = Verdict.PASS, Verdict.FAIL, Verdict.WARN, Verdict.ERROR, Verdict.INCONCLUSIVE  # noqa: E741


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ([P] * 8, "n: PASS (8 devices)"),
        ([P, F, P], "n: FAIL (1 of 3 devices)"),
        ([F], "n: FAIL (1 device)"),
        ([E, P], "n: ERROR (1 of 2 devices)"),
        ([], "n: SKIPPED (no device is known)"),
    ],
)
def test_the_line_of_a_node_counts_the_devices_that_made_its_verdict(verdicts, words):
    assert node_line(node("n", verdicts)) == words


def test_the_line_of_a_node_says_when_it_is_the_node_and_no_device():
    assert (
        node_line(node("n", [P, P], [about_node(F)])) == "n: FAIL (for the node itself, not for one of its 2 devices)"
    )


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("n1", [P] * 8)], "Fit to join a job: n1, 8 devices measured and within every limit."),
        (
            [node("n1", [P, P]), node("n2", [P])],
            "Fit to join a job: 2 nodes, 3 devices measured and within every limit.",
        ),
        ([node("n1", [P, F, F])], "Do not use: gpu1 and gpu2 of n1."),
        ([node("n1", [P, P]), node("n2", [F, P], [about_node(F)])], "Do not use: n2 (and its gpu0)."),
        ([node("n1", [W, P])], "Usable, but worth a look: gpu0 of n1."),
        ([node("n1", [I, P])], "Not settled: gpu0 of n1."),
        ([node("n1", [E, E])], "Cannot tell: the measurement itself failed on gpu0 and gpu1 of n1."),
        ([], "Nothing was measured, so nothing is known."),
    ],
)
def test_the_headline_says_what_to_do_with_what(sample, nodes, words):
    assert headline(run(sample, *nodes)) == words


def test_many_failed_devices_are_counted_and_not_all_named(sample):
    assert headline(run(sample, node("n", [F] * 16))) == (
        "Do not use: gpu0, gpu1, gpu2, gpu3, gpu4, gpu5, gpu6, gpu7 and 8 more of n."
    )


def test_several_nodes_end_with_one_line_for_all(sample):
    assert last_line(run(sample, node("n1", [P]), node("n2", [F]))) == "all nodes: FAIL (1 of 2 nodes)"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (None, ()),
        (0, ()),
        (0x04, ("power cap",)),
        (0x24, ("sw thermal", "power cap")),
        (0x48, ("hw thermal", "hw slowdown")),
        (0x80, ("power brake",)),
        (0x200, ()),
    ],
)
def test_a_mask_of_clock_limits_is_decoded_bit_by_bit_gravest_first(mask, words):
    assert clock_limits(mask) == words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sm_clock_hertz", 1.41e9, "1.41 GHz"),
        ("power_watts", 697.2, "697 W"),
        ("temperature_celsius", 64.0, "64 °C"),
        ("share_ratio", 0.297, "29.7%"),
        ("counter_seconds", None, "unknown"),
        ("for_seconds", 90.0, "1m30s"),
        ("is_nan", False, "no"),
        ("count", 118764, "118,764"),
        ("drift", math.nan, "no number"),
        ("digest", "3f9d", "3f9d"),
        ("against", ["gpu0", "gpu1"], "gpu0, gpu1"),
        ("first", [{"seed": 7, "at_seconds": 9.4}], "seed 7, at_seconds 9.4s"),
    ],
)
def test_a_figure_is_shown_in_the_unit_that_ends_its_name(name, value, words):
    assert show_figure(name, value) == words


def test_a_rate_is_shown_in_its_unit_and_integer_products_are_no_flops():
    assert show_rate(7.29e14, FLOPS, "bf16 8192x8192x8192") == "729 TFLOP/s"
    assert show_rate(1.9e15, FLOPS, "int8 8192x8192x8192") == "1.90 POP/s"
    assert show_rate(2.93e12, BYTES) == "2.93 TB/s"
    assert show_rate(math.nan, BYTES) == "no number"


def test_figures_under_each_other_have_one_prefix():
    assert [show_rate_beside(value, [1.24e15, 9.4e14], FLOPS) for value in (1.24e15, 9.4e14)] == [
        "1.24 PFLOP/s",
        "0.940 PFLOP/s",
    ]
    assert show_rate_beside(0.0, [0.0], BYTES) == "0.000 B/s"


def test_one_scale_serves_all_values_of_a_plot():
    assert scale_of([5.98e14, 1.2e9], FLOPS) == (1e12, "TFLOP/s")
    assert scale_of([], BYTES) == (1.0, "B/s")
    assert scale_of([math.inf, 12.0], BYTES) == (1.0, "B/s")
