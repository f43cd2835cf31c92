"""The page of a run over many nodes as a browser would read it: nothing loaded, nothing injected, small, in order."""

import re
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fleet_results import PAIR, evidence_of, make_fleet, names, unreachable, verdict_of

from fryer.evidence import NodeEvidence
from fryer.localise import Round, Trial
from fryer.outputs import fleet_html
from fryer.outputs.html import render
from fryer.result import Network

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"
VOID = {"meta", "br", "input", "rect", "line"}


class Page(HTMLParser):
    """Elements with attributes, and which were left open or closed out of turn."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.astray: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.astray.append(tag)

    def all(self, tag, **attributes):
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in attributes.items())]


@pytest.fixture(scope="module")
def source() -> str:
    return render(make_fleet(48))


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def text_of(source: str) -> str:
    """What a person reads, without scripts and styles."""
    bare = re.sub(r"(?s)<(script|style)[^>]*>.*?</\1>", "", source)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare))


def heat_row(source: str, node: str) -> list[str]:
    row = re.search(rf'<tr class="[A-Z]+"><th scope="row">(?:<a [^>]*>)?{node}.*?</tr>', source)
    assert row is not None
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row[0])]


def test_every_element_is_closed_in_turn(page) -> None:
    assert (page.open, page.astray) == ([], [])


def test_no_element_loads_anything_and_the_page_forbids_itself_to(page) -> None:
    loading = [
        (tag, name, value)
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "srcset", "href", "data", "action", "poster") and not (value or "").startswith("#")
    ]
    assert loading == []
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy.startswith("default-src 'none'; ")


def test_every_link_leads_to_something_on_the_page(page) -> None:
    targets = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for a in page.all("a")} <= targets


def test_the_page_says_verdict_then_what_to_do_tests_pairs_distributions_evidence(source) -> None:
    verdict, *headings = re.findall(r"<h[12][^>]*>(.*?)</h[12]>", source)
    assert re.sub(r"<[^>]+>", "", verdict) == (
        "✕ FAIL Do not use node[003,019]; cannot tell of node035; 1 path between nodes to look at; "
        "45 of 48 nodes are fit."
    )
    assert [re.sub(r"<[^>]+>", "", heading) for heading in headings] == [
        "What to do",
        "Nodes and tests",
        "Between nodes",
        "Distributions",
        "Evidence of each node that is not fit",
        "Versions and plan",
    ]


def test_the_heat_map_has_every_node_worst_first_and_its_worst_device_beside_the_median(source) -> None:
    nodes = re.findall(r'<th scope="row">(?:<a [^>]*>)?(node\d+)', source)
    assert len(nodes) == 48
    assert nodes[:3] == ["node019", "node003", "node035"]
    assert heat_row(source, "node019")[-1] == "-44✕"
    assert heat_row(source, "node003")[:3] == ["✕ below_floor", "-18✕", "-18"]
    assert heat_row(source, "node035") == ["⚠ unreachable", *"·········"]
    assert heat_row(source, "node001")[0] == "✓"


def test_a_cell_far_below_says_which_device_gave_what(source) -> None:
    assert re.search(r'<td class="h2 marked" title="gpu3 59\d TFLOP/s">-18✕</td>', source)


def test_the_matrix_has_each_measured_pair_twice_and_no_other(page, source) -> None:
    svg = re.search(r'(?s)<svg class="pairs".*?</svg>', source)[0]
    shades = re.findall(r'<rect class="(\w*)"[^>]*><title>', svg)
    assert len(shades) == 2 * len({tuple(sorted(t.nodes)) for t in make_fleet(48).network.trials})
    assert shades.count("h3") == 2 * 4
    assert set(re.findall(r'<text class="bad"[^>]*>(\w+)<', svg)) == {"node003", "node007", "node008", "node019"}
    assert "node007-node008: 188 GB/s (187 GB/s to 189 GB/s of 5), -50 %" in svg


def test_above_128_nodes_the_worst_pairs_are_listed_and_none_drawn() -> None:
    source = render(make_fleet(200))
    assert '<svg class="pairs"' not in source
    assert "The lowest of 199 pairs; a healthy one gives 378 GB/s" in source
    assert "<td>node007-node008</td>" in source


def test_distributions_name_outliers_and_those_with_some_come_first(source) -> None:
    titles = re.findall(r"<figcaption>([^<]+)</figcaption><svg class=\"spread\"", source)
    assert titles[:2] == ["gemm bf16 8192x8192x8192", "gemm fp8 8192x8192x8192"]
    assert set(titles[5:]) == {"hbm copy", "hbm triad", "pcie h2d", "pcie d2h"}
    assert re.findall(r'<p class="outliers">(.*?)</p>', source) == [
        "node003 -18 % (gpu3)",
        "node003 -18 % (gpu3)",
        "node003 -15 % (gpu3)",
        "node003 -15 % (gpu3)",
        "node019 -44 %",
    ]


def test_only_nodes_that_are_not_fit_have_evidence(page) -> None:
    assert [a["id"] for a in page.all("details", **{"class": "node"})] == [
        "node-node003",
        "node-node019",
        "node-node035",
    ]


def test_wrong_results_of_a_node_are_shown_with_their_bits() -> None:
    assert "<code>3f9d</code>" in render(make_fleet(64))


def test_plotly_is_in_the_page_only_where_something_is_drawn() -> None:
    from plotly.offline import get_plotlyjs

    assert render(make_fleet(48)).count(get_plotlyjs()) == 1
    pairs = [(e, verdict_of(e)) for e in (evidence_of(n) for n in names(4))]
    evidence, verdicts = zip(*pairs, strict=True)
    healthy = render(replace(make_fleet(4), evidence=evidence, verdicts=verdicts))
    assert get_plotlyjs() not in healthy
    assert len(healthy) < 60_000
    assert "Nothing: nothing spoke against any node." in text_of(healthy)


def test_a_fleet_that_nobody_reached_still_has_a_page() -> None:
    evidence = tuple(NodeEvidence(node=node, devices=(), versions={}) for node in names(3))
    verdicts = tuple(verdict_of(e, of_node=(unreachable(e.node),)) for e in evidence)
    text = text_of(
        render(replace(make_fleet(2), evidence=evidence, verdicts=verdicts, network=None, proof=(), links=()))
    )
    assert "No node gave a figure." in text
    assert "Nothing was measured between nodes." in text
    assert "ssh: connect to host node001 port 22: No route to host" in text
    assert "--html" not in text


def test_a_pair_that_broke_is_told_with_its_reason() -> None:
    result = make_fleet(4)
    trial = Trial(round=1, nodes=("node001", "node002"), values=(), problem="node002 died", missing=("node002",))
    rounds = (Round(number=1, groups=(trial.nodes,), repeats=5, why="first matching"),)
    source = render(replace(result, network=Network(rounds=rounds, trials=(trial,), expected_bytes_per_second=PAIR)))
    assert source.count('<rect class="broken"') == 2
    assert "node002 died" in text_of(source)


def test_words_of_machines_and_people_are_text_and_no_markup() -> None:
    result = make_fleet(4)
    bad = replace(result.evidence[2], node=HOSTILE, versions={HOSTILE: HOSTILE})
    devices = tuple(
        replace(d, reasons=tuple(replace(r, message=HOSTILE, remedy=HOSTILE, code=HOSTILE) for r in d.reasons))
        for d in result.verdicts[2].devices
    )
    verdict = replace(result.verdicts[2], node=HOSTILE, devices=devices)
    network = Network(
        rounds=(Round(number=1, groups=(("node001", HOSTILE),), repeats=1, why=HOSTILE),),
        trials=(Trial(round=1, nodes=("node001", HOSTILE), values=(1e9,), problem=HOSTILE),),
    )
    result = replace(
        result,
        info=replace(result.info, command=HOSTILE),
        evidence=(*result.evidence[:2], bad, result.evidence[3]),
        verdicts=(*result.verdicts[:2], verdict, result.verdicts[3]),
        proof=(HOSTILE,),
        network=network,
    )
    page = Page(render(result))
    assert not page.all("img")
    assert (page.open, page.astray) == ([], [])


def test_the_page_of_2048_nodes_is_a_few_megabytes_and_takes_little_memory() -> None:
    result = make_fleet(2048, every=20)
    tracemalloc.start()
    source = render(result)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(source) < 8e6
    assert peak < 150 * 2**20
    assert source.count('<th scope="row">') == 2048
    assert source.count('class="plot"') <= fleet_html.MOST_WITH_SERIES * 20
