"""The formats that are read: an explicit list. A new one is one parser, one judge, and one line here. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fryer.imports import (
    dcgm_json,
    dcgm_judge,
    dcgm_text,
    gpu_fryer,
    gpu_fryer_judge,
    nccl_json,
    nccl_judge,
    nccl_sweep,
    nccl_text,
    nvbandwidth_json,
    nvbandwidth_judge,
    nvbandwidth_text,
    smi_judge,
    smi_text,
    smi_xml,
)
from fryer.imports.facts import Facts
from fryer.judges.conclusion import Conclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of one tool."""

    name: str
    """A word for scripts: ``nccl-tests text``."""
    recognise: Callable[[str], bool]
    parse: Callable[[str], Facts]
    """May raise `fryer.imports.facts.Malformed`."""
    judge: Callable[[Facts, float | None], Sequence[Conclusion]]
    """Of the facts, and of the bus bandwidth that somebody expects, bytes a second."""


FORMATS: tuple[Format, ...] = (
    Format(name="nccl-tests JSON", recognise=nccl_json.recognise, parse=nccl_json.parse, judge=nccl_judge.judge),
    Format(name="NCCL sweep JSON", recognise=nccl_sweep.recognise, parse=nccl_sweep.parse, judge=nccl_judge.judge),
    Format(name="dcgmi diag JSON", recognise=dcgm_json.recognise, parse=dcgm_json.parse, judge=dcgm_judge.judge),
    Format(name="dcgmi diag text", recognise=dcgm_text.recognise, parse=dcgm_text.parse, judge=dcgm_judge.judge),
    Format(name="nvidia-smi -q XML", recognise=smi_xml.recognise, parse=smi_xml.parse, judge=smi_judge.judge),
    Format(name="nvidia-smi -q text", recognise=smi_text.recognise, parse=smi_text.parse, judge=smi_judge.judge),
    Format(
        name="nvbandwidth JSON",
        recognise=nvbandwidth_json.recognise,
        parse=nvbandwidth_json.parse,
        judge=nvbandwidth_judge.judge,
    ),
    Format(
        name="nvbandwidth text",
        recognise=nvbandwidth_text.recognise,
        parse=nvbandwidth_text.parse,
        judge=nvbandwidth_judge.judge,
    ),
    Format(name="gpu-fryer NDJSON", recognise=gpu_fryer.recognise, parse=gpu_fryer.parse, judge=gpu_fryer_judge.judge),
    Format(name="nccl-tests text", recognise=nccl_text.recognise, parse=nccl_text.parse, judge=nccl_judge.judge),
)
"""In the order in which people are told of them."""


def recognised(text: str) -> list[Format]:
    """The formats that `text` has signs of: none for an unknown one, several where tools wrote into one file."""
    return [each for each in FORMATS if each.recognise(text)]
