"""Dashboards: every panel asks a real Prometheus, and gets something for a page that has everything."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from watchdog.exporter.metrics import METRICS

ROOT = Path(__file__).parents[2]
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "deploy/grafana").glob("*.json")}
PAGE = ROOT / "tests" / "watchdog" / "exporter" / "golden.prom"
VARIABLES = {
    "$instance": "node007",
    "$gpu": ".*",
    "$run": "pretrain-3b",
    "$__rate_interval": "1m",
}


def expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title of the panel, and what it asks."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def filled(expr: str) -> str:
    """With values in place of the board's variables."""
    return re.sub(r"\$\w+", lambda found: VARIABLES[found.group()], expr)


def test_there_is_one_for_each_audience() -> None:
    assert set(BOARDS) == {"fleet", "node", "run"}


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_board_is_plain_json_with_a_datasource_to_choose(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == f"fryer-{name}"
    assert board["templating"]["list"][0]["type"] == "datasource"
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_panels_lie_in_the_grid_without_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert cells & taken == set()
        taken |= cells


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_boards_use_only_metrics_and_variables_that_exist(name: str) -> None:
    known = {family.name for family in METRICS}
    text = json.dumps(BOARDS[name])
    assert set(re.findall(r"\bfryer_\w+", text)) - known == set()
    given = {f"${one['name']}" for one in BOARDS[name]["templating"]["list"]} | {"$__rate_interval"}
    used = {found for _, expr in expressions(BOARDS[name]) for found in re.findall(r"\$\w+", expr)}
    assert used - given == set()


def test_every_panel_shows_something_for_a_page_that_has_everything(monitoring: Any) -> None:
    xid = r"(fryer_gpu_xid_last_timestamp_seconds\{.*\}) .*"  # boards show those of the last day
    page = re.sub(xid, rf"\1 {time.time()}", PAGE.read_text(encoding="utf-8"))
    monitoring.page = lambda: page
    monitoring.wait_for_samples("fryer_run_step", 3)
    silent = []
    for name, board in BOARDS.items():
        for title, expr in expressions(board):
            if not monitoring.query(filled(expr)):
                silent.append(f"{name}: {title}: {expr}")
    assert silent == []
