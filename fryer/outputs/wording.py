"""How figures and verdicts are said to people: one wording for the live view, the table and the report.

Pure: it formats what it is given. It must not judge, and must not know a terminal or a page.
"""

from collections.abc import Mapping, Sequence
from math import isfinite

from fryer.evidence import DeviceInfo, NodeVerdict, Reason
from fryer.records import BYTES, FLOPS
from fryer.result import RunResult
from watchdog.vocabulary.units import show_duration, show_quantity
from watchdog.vocabulary.verdicts import Verdict, gravest

THERMAL_BITS = 0x08 | 0x20 | 0x40
"""Slowdown by hardware, thermal by software, thermal by hardware."""
POWER_BRAKE_BIT = 0x80

_CLOCK_LIMITS = (
    (0x40, "hw thermal"),
    (0x20, "sw thermal"),
    (0x80, "power brake"),
    (0x08, "hw slowdown"),
    (0x04, "power cap"),
    (0x10, "sync boost"),
    (0x02, "set clocks"),
    (0x100, "display"),
    (0x01, "idle"),
)
"""Gravest first. Source: NVML, nvmlClocksEventReasons constants."""

_MARKS = {
    Verdict.PASS: "✓",
    Verdict.WARN: "!",
    Verdict.FAIL: "✕",
    Verdict.INCONCLUSIVE: "?",
    Verdict.SKIPPED: "-",
    Verdict.ERROR: "⚠",
}

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNITS = (
    ("flops_per_second", "FLOP/s"),
    ("bytes_per_second", "B/s"),
    ("hertz", "Hz"),
    ("watts", "W"),
    ("bytes", "B"),
    ("joules", "J"),
)


def mark_of(verdict: Verdict) -> str:
    """A sign that tells verdicts apart without colour."""
    return _MARKS[verdict]


def unit_of(metric: str, case: str = "") -> str:
    """The unit of a rate: ``FLOP/s``, ``OP/s`` for integer products, ``B/s``."""
    if metric == FLOPS:
        return "OP/s" if case.startswith("int8") else "FLOP/s"
    return "B/s" if metric == BYTES else metric


def show_rate(value: float, metric: str, case: str = "") -> str:
    """``7.29e14`` of `FLOPS` -> ``729 TFLOP/s``; what is no number is said to be none."""
    return show_quantity(value, unit_of(metric, case)) if isfinite(value) else "no number"


def show_rate_beside(value: float, others: Sequence[float], metric: str, case: str = "") -> str:
    """A rate with the prefix of the largest of `others`, so that those under each other compare at a glance."""
    factor, unit = scale_of([value, *others], metric, case)
    return f"{value / factor:.3f} {unit}" if abs(value / factor) < 1 else show_rate(value, metric, case)


def scale_of(values: Sequence[float], metric: str, case: str = "") -> tuple[float, str]:
    """What to divide `values` by so that the largest reads well, and the unit then: ``(1e12, "TFLOP/s")``."""
    unit = unit_of(metric, case)
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    return next(((factor, prefix + unit) for factor, prefix in _PREFIXES if largest >= factor), (1.0, unit))


def show_ratio(ratio: float) -> str:
    """``0.0042`` -> ``0.4%``."""
    return f"{ratio:.1%}" if isfinite(ratio) else "no number"


def clock_limits(mask: int | None) -> tuple[str, ...]:
    """What holds the clock back, gravest first: ``("hw thermal", "power cap")``; empty when nothing does or unknown."""
    if mask is None:
        return ()
    return tuple(words for bit, words in _CLOCK_LIMITS if mask & bit)


def show_figure(name: str, value: object) -> str:
    """One figure of a reason's evidence, in the unit that ends its name."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    if isinstance(value, float | int):
        return _show_number(name, value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show_figure(str(key), inner)}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(show_figure(name, inner) for inner in value)
    return str(value)


def _show_number(name: str, value: float) -> str:
    if not isfinite(value):
        return "no number"
    if name.endswith(("ratio", "share")):
        return show_ratio(value)
    if name.endswith("celsius"):
        return f"{value:.0f} °C"
    for ending, unit in _UNITS:
        if name.endswith(ending):
            return show_quantity(value, unit)
    if name.endswith("_seconds") or name == "seconds":
        return show_duration(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def count_of(number: int, noun: str) -> str:
    """``1 device``, ``8 devices``, ``1,024 products``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def subject_of(node: str, device: str | None, *, with_node: bool) -> str:
    """Who a reason is about: ``gpu3``, ``node001 gpu3``, ``node001``."""
    if device is None:
        return node
    return f"{node} {device}" if with_node else device


def one_line(text: str) -> str:
    """`text` without line ends and control characters: an error's message must not move the cursor of a terminal."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def reason_line(subject: str, reason: Reason) -> str:
    """``gpu3 FAIL below_floor: bf16 at 612 TFLOP/s, floor 650``."""
    return one_line(f"{subject} {reason.verdict} {reason.code}: {reason.message}")


def node_line(node: NodeVerdict) -> str:
    """``node001: FAIL (1 of 8 devices)``."""
    total = len(node.devices)
    if total == 0:
        return f"{node.node}: {node.verdict} (no device is known)"
    same = sum(device.verdict == node.verdict for device in node.devices)
    if same == 0:
        return f"{node.node}: {node.verdict} (for the node itself, not for one of its {count_of(total, 'device')})"
    share = count_of(total, "device") if same == total else f"{same} of {count_of(total, 'device')}"
    return f"{node.node}: {node.verdict} ({share})"


def last_line(result: RunResult) -> str:
    """The line that ends a run: of its node, or of all its nodes together."""
    if not result.verdicts:
        return f"{result.verdict} (no node was reached)"
    if len(result.verdicts) == 1:
        return node_line(result.verdicts[0])
    same = sum(node.verdict == result.verdict for node in result.verdicts)
    if same == 0:
        is_path = any(link.verdict is result.verdict for link in result.links)
        what = "paths between nodes" if is_path else "collectives over all of them"
        return f"all nodes: {result.verdict} (for {what}, not for one of {len(result.verdicts):,} nodes)"
    return f"all nodes: {result.verdict} ({same} of {count_of(len(result.verdicts), 'node')})"


def headline(result: RunResult) -> str:
    """The verdict in one plain sentence."""
    verdict = result.verdict
    named = _named(result, verdict)
    num_devices = sum(len(node.devices) for node in result.verdicts)
    if verdict is Verdict.PASS:
        where = result.verdicts[0].node if len(result.verdicts) == 1 else count_of(len(result.verdicts), "node")
        return f"Fit to join a job: {where}, {count_of(num_devices, 'device')} measured and within every limit."
    return {
        Verdict.WARN: f"Usable, but worth a look: {named}.",
        Verdict.FAIL: f"Do not use: {named}.",
        Verdict.INCONCLUSIVE: f"Not settled: {named}.",
        Verdict.SKIPPED: "Nothing was measured, so nothing is known.",
        Verdict.ERROR: f"Cannot tell: the measurement itself failed on {named}.",
    }[verdict]


def _named(result: RunResult, verdict: Verdict) -> str:
    parts = []
    for node in result.verdicts:
        if node.verdict != verdict:
            continue
        devices = [device.device for device in node.devices if device.verdict == verdict]
        if gravest(reason.verdict for reason in node.reasons) == verdict or not devices:
            parts.append(f"{node.node}{f' (and its {_listed(devices)})' if devices else ''}")
        else:
            parts.append(f"{_listed(devices)} of {node.node}")
    return "; ".join(parts) if parts else "the run"


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def devices_line(devices: Sequence[DeviceInfo]) -> str:
    """``8 x NVIDIA H100 80GB HBM3``; several parts are all named."""
    counts: dict[str, int] = {}
    for device in devices:
        counts[device.part] = counts.get(device.part, 0) + 1
    return ", ".join(f"{count} x {part}" for part, count in counts.items()) or "no device"


def short_id(run_id: str) -> str:
    """The first part of a run id: enough to name it to `fryer report`."""
    return run_id[:8]
