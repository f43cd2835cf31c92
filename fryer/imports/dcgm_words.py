"""Words that the text and the JSON of ``dcgmi diag`` share. Pure."""

import re
from collections.abc import Iterator

from fryer.imports.facts import Fact, Outcome

_OUTCOMES = {
    "pass": Outcome.PASS,
    "warn": Outcome.WARN,
    "warning": Outcome.WARN,
    "fail": Outcome.FAIL,
    "skip": Outcome.SKIP,
    "skipped": Outcome.SKIP,
    "not run": Outcome.SKIP,
    "notrun": Outcome.SKIP,
    "error": Outcome.ERROR,
}
_BANDWIDTH = re.compile(r"GPU (\d{1,4}) (GPU to Host|Host to GPU) bandwidth:\s*([\d.]{1,12}) GB/s")
_METRICS = {
    "GPU to Host": "device_to_host_bytes_per_second",
    "Host to GPU": "host_to_device_bytes_per_second",
}


def outcome(word: str) -> Outcome:
    """What DCGM's word for a result means; UNKNOWN for one that it never used."""
    return _OUTCOMES.get(word.strip().lower(), Outcome.UNKNOWN)


def gpu(index: int) -> str:
    """The name of a GPU here: ``gpu3``."""
    return f"gpu{index}"


def bandwidth_facts(info: str) -> Iterator[Fact]:
    """Rates of the host link in a line of information, bytes a second."""
    for index, way, rate in _BANDWIDTH.findall(info):
        if rate.replace(".", "", 1).isdigit():
            yield Fact(subject=gpu(int(index)), metric=_METRICS[way], value=float(rate) * 1e9)
