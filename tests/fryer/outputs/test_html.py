"""The page as a browser would read it: nothing loaded, nothing injected, everything said."""

import json
import os
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from fryer.outputs import html, pages
from fryer.outputs.wording import headline
from watchdog.vocabulary.errors import UsageError

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text of all that is shown."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    @property
    def figures(self):
        return json.loads(
            next(text for text in self.texts["script"] if text.startswith(("[", "{"))),
            parse_constant=lambda word: pytest.fail(f"{word} is no JSON"),
        )


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture(scope="module")
def source(sample) -> str:
    return html.render(sample.result)


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def hostile(sample):
    """The run with a hostile name wherever a machine or a user may choose one."""
    evidence, verdict = sample.result.evidence[0], sample.result.verdicts[0]
    devices = tuple(replace(d, name=HOSTILE if d.name == "gpu0" else d.name, part=HOSTILE) for d in evidence.devices)
    rename = {"gpu0": HOSTILE}
    measurements = tuple(replace(m, device=rename.get(m.device, m.device), case=HOSTILE) for m in evidence.measurements)
    evidence = replace(
        evidence,
        node=HOSTILE,
        devices=devices,
        measurements=measurements,
        interrupted=HOSTILE,
        versions={HOSTILE: HOSTILE},
        gpu_readings={HOSTILE: evidence.gpu_readings["gpu0"]},
    )
    verdict = replace(
        verdict,
        node=HOSTILE,
        devices=tuple(
            replace(
                d,
                device=rename.get(d.device, d.device),
                reasons=tuple(
                    replace(r, message=HOSTILE, remedy=HOSTILE, repeat=HOSTILE, evidence={HOSTILE: HOSTILE})
                    for r in d.reasons
                ),
            )
            for d in verdict.devices
        ),
    )
    info = replace(
        sample.result.info, command=HOSTILE, plan=replace(sample.result.info.plan, nodes=(HOSTILE,), scenario=HOSTILE)
    )
    return replace(sample.result, info=info, evidence=(evidence,), verdicts=(verdict,))


def test_no_element_loads_anything(page) -> None:
    loading = [
        (tag, name, value)
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "srcset", "href", "data", "action", "poster") and not (value or "").startswith("#")
    ]
    assert loading == []
    assert not {tag for tag, _ in page.elements} & {"link", "img", "iframe", "object", "embed", "base"}


def test_the_page_forbids_itself_to_load_anything(page) -> None:
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.split(";")[0] == "default-src 'none'"
    assert "http" not in policy


def test_plotly_is_in_it_exactly_once(source) -> None:
    from plotly.offline import get_plotlyjs

    assert source.count(get_plotlyjs()) == 1


def test_the_verdict_comes_first_in_words(page, sample) -> None:
    shown = [text.strip() for text in page.texts["h1"] if text.strip()]
    assert shown == [headline(sample.result)]
    assert next(tag for tag, _ in page.elements if tag in ("h1", "h2", "p")) == "h1"


def test_headings_never_skip_a_level(page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_figure_has_its_place_and_every_place_its_figure(page) -> None:
    places = [int(a["data-figure"]) for _, a in page.elements if "data-figure" in a]
    assert places == list(range(len(page.figures)))


def test_every_series_is_drawn_whole(page, sample) -> None:
    drawn = sorted(len(trace["y"]) for figure in page.figures for trace in figure["data"] if trace["mode"] == "lines")
    evidence = sample.evidence
    rates = [len(m.series) for m in evidence.measurements if m.burn != "p2p"]
    telemetry = [len(readings) for readings in evidence.gpu_readings.values()] * 4
    assert drawn == sorted(rates + telemetry + [len(evidence.host_readings)] * 3)


def test_every_reason_is_there_with_the_command_that_repeats_it(page, sample) -> None:
    reasons = [r for d in sample.result.verdicts[0].devices for r in d.reasons if r.verdict != "PASS"]
    paragraphs, commands = page.texts["p"], page.texts["code"]
    assert [r.message for r in reasons if r.message not in paragraphs] == []
    assert [r.repeat for r in reasons if r.repeat and r.repeat not in commands] == []


def test_figures_of_a_reason_are_in_the_unit_of_its_metric() -> None:
    evidence = {
        "burn": "p2p",
        "metric": "bytes_per_second",
        "limit": 3.52e11,
        "pairs": {"gpu6 to gpu7": 1.2e11},
        "power_watts": 561.2,
    }
    assert pages._figures(evidence) == [
        ("burn", "p2p"),
        ("limit", "352 GB/s"),
        ("pairs", "gpu6 to gpu7 120 GB/s"),
        ("power_watts", "561 W"),
    ]


def test_hostile_names_are_text_and_never_markup(sample) -> None:
    page = Page(html.render(hostile(sample)))
    assert "img" not in {tag for tag, _ in page.elements}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert HOSTILE in page.texts["code"]
    names = {trace["name"] for figure in page.figures for trace in figure["data"]}
    assert not any("<" in name for name in names)
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;\"'" in names


def test_a_figure_that_is_no_number_is_a_gap_in_strict_json(sample) -> None:
    evidence = sample.result.evidence[0]
    first = evidence.measurements[0]
    broken = replace(
        first,
        value=float("nan"),
        spread_ratio=float("inf"),
        series=(replace(first.series[0], value=float("nan")), *first.series[1:]),
    )
    result = replace(sample.result, evidence=(replace(evidence, measurements=(broken, *evidence.measurements[1:])),))
    page = Page(html.render(result))
    drawn = next(trace["y"] for trace in page.figures[0]["data"] if trace["name"] == first.device)
    assert drawn[0] is None
    assert None not in drawn[1:]
    assert "no number" in page.texts["td"]


def test_a_run_that_reached_no_node_still_has_a_page(sample) -> None:
    page = Page(html.render(replace(sample.result, evidence=(), verdicts=())))
    assert page.figures == []
    assert "No node was reached." in page.texts["p"]


def test_a_simulated_run_says_that_no_hardware_was_measured(sample) -> None:
    plan = replace(sample.result.info.plan, scenario="slow_gpu.toml")
    source = html.render(replace(sample.result, info=replace(sample.result.info, plan=plan)))
    assert "scenario slow_gpu.toml, no hardware was measured" in source


def test_write_replaces_the_file_and_leaves_nothing_beside_it(sample, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    html.write(sample.result, path)
    assert path.read_text() == html.render(sample.result)
    assert names_in(tmp_path) == ["report.html"]


def test_a_link_keeps_pointing_where_it_did(sample, tmp_path: Path) -> None:
    link = tmp_path / "latest.html"
    link.symlink_to("real.html")
    html.write(sample.result, link)
    assert link.is_symlink()
    assert (tmp_path / "real.html").read_text() == html.render(sample.result)


def test_an_argument_that_is_no_text_is_shown_escaped(sample, tmp_path: Path) -> None:
    info = replace(sample.result.info, command="fryer run --nodes \udcff")
    html.write(replace(sample.result, info=info), tmp_path / "report.html")
    assert "fryer run --nodes \\udcff" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/report.html", "there is no directory"),
        (".", "it is a directory"),
        ("file/report.html", "irectory"),
        ("pipe", "it is no plain file"),
        ("loop", "link"),
        ("x" * 300, "too long"),
        ("nul\0", "null"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    before = names_in(tmp_path)
    with pytest.raises(UsageError) as caught:
        html.check_path(tmp_path / name)
    assert str(caught.value).startswith("can't write the report to ")
    assert why in str(caught.value)
    assert names_in(tmp_path) == before


def test_checking_a_good_path_leaves_it_as_it_was(tmp_path: Path) -> None:
    html.check_path(tmp_path / "report.html")
    assert names_in(tmp_path) == []
