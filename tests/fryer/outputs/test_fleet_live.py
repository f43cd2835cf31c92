"""The live view of a run over many nodes: what stands on the screen, and that it always fits."""

import io

import pytest
from fleet_results import info_of, make_fleet, names
from rich.console import Console

from fryer.fleet.orders import Collected, Ended, Hello, Progress
from fryer.localise import Round
from fryer.outputs.fleet_live import FleetLive
from fryer.outputs.fleet_progress import FleetProgress
from fryer.outputs.fleet_table import fleet_text


@pytest.fixture
def clock():
    return [0.0]


def live(clock, *, width=100, height=24, out=None):
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None, legacy_windows=False
    )
    return FleetLive(console, out or io.StringIO(), lambda: clock[0])


def frame(output, width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(output.draw())
    return [
        line.rstrip().replace("━", "").replace("╸", "").replace("╺", "")
        for line in console.file.getvalue().splitlines()
    ]


def squeezed(lines):
    return [" ".join(line.split()) for line in lines]


def progress(node, what, seconds, *problems):
    return Progress(node=node, order="1", what=what, seconds=seconds, problems=problems)


def test_it_says_how_many_nodes_are_in_which_state_and_what_they_are_at(clock):
    output = live(clock)
    output.start(info_of(names(48)))
    for node in names(48)[:40]:
        output.state(node, "burning")
        output.message(progress(node, "gemm" if node < "node030" else "hbm", 50.0))
    output.state("node041", "connected")
    output.state("node048", "left out", "no connection to node048")
    lines = squeezed(frame(output))
    output.close()
    assert lines == [
        "run 3f2a91c4 48 nodes node[001-048]",
        "burns 44% of 1m40s a node",
        "waiting 6 connected 1 burning 40 qualified 0 collecting 0 left out 1 done 0",
        "at work: gemm 29, hbm 11",
        "node048: left out: no connection to node048",
    ]


def test_a_round_between_nodes_has_a_bar_of_the_nodes_that_have_answered(clock):
    output = live(clock)
    output.start(info_of(names(4)))
    for node in names(4):
        output.state(node, "collecting")
    output.round(Round(number=2, groups=(("node001", "node002"), ("node003", "node004")), repeats=5, why="suspects"))
    output.message(Collected(node="node001", order="2"))
    output.message(Collected(node="node002", order="2"))
    lines = squeezed(frame(output))
    assert lines[1:3] == ["burns 100% of 1m40s a node", "round 2 50% of 2 groups, suspects"]
    output.round(Round(number=3, groups=(("node001", "node003"),), repeats=10, why="once more"))
    assert squeezed(frame(output))[2] == "round 3 0% of 1 group, once more"
    output.close()


def test_nodes_at_work_that_have_fallen_silent_are_named_with_the_longest_first(clock):
    output = live(clock)
    output.start(info_of(names(4)))
    for node in names(4):
        output.state(node, "burning")
    clock[0] = 30.0
    output.message(progress("node002", "gemm", 30.0))
    output.state("node003", "qualified")
    lines = squeezed(frame(output))
    output.close()
    assert "silent: 2 nodes, node001 for 30.0s: node[001,004]" in lines


def test_2048_nodes_that_all_fail_fit_a_terminal_of_24_lines_and_80_columns(clock):
    output = live(clock, width=80)
    nodes = names(2048)
    output.start(info_of(nodes))
    for node in nodes:
        output.state(node, "left out", "its GPUs\x1b[2J are hot\nand so on " * 5)
    lines = frame(output, 80)
    output.close()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert "and 2,033 earlier lines, in the final text" in lines
    assert not any("\x1b" in line for line in lines)


def test_at_the_end_the_final_text_is_written(clock):
    out, result = io.StringIO(), make_fleet(4)
    output = live(clock, out=out)
    output.start(result.info)
    output.finish(result)
    assert out.getvalue() == fleet_text(result)


def test_a_view_that_cannot_be_drawn_does_not_end_the_run(clock):
    output = live(clock)
    output.start(info_of(names(2)))
    output.round("no round")
    assert frame(output)[0].startswith("the live view can't be drawn")
    output.close()


class TestProgress:
    def started(self):
        made = FleetProgress(plan=info_of(names(4)).plan, run_id="r")
        made.begin()
        return made

    def test_a_sign_of_life_after_the_burns_counts_no_more_time(self):
        made = self.started()
        made.move("node001", "burning", "", 0.0)
        made.take(progress("node001", "gemm", 25.0), 25.0)
        assert made.burn_ratio() == pytest.approx(0.25 / 4)
        made.move("node001", "qualified", "", 100.0)
        made.take(progress("node001", "all_reduce 64 MiB", 3.0), 103.0)
        assert made.burn_ratio() == pytest.approx(1 / 4)

    def test_a_node_is_at_nothing_once_its_state_changes(self):
        made = self.started()
        made.move("node001", "burning", "", 0.0)
        made.take(progress("node001", "gemm", 5.0), 5.0)
        assert made.tasks() == [("gemm", 1)]
        made.move("node001", "qualified", "", 9.0)
        assert made.tasks() == []

    def test_trouble_is_noted_once_and_an_orderly_end_not_at_all(self):
        made = self.started()
        for seconds in (5.0, 10.0):
            made.take(progress("node001", "gemm", seconds, "gpu3: a wrong product"), seconds)
        made.take(Ended(node="node002", code="done", message=""), 11.0)
        made.take(Hello(node="node003", protocol=1, versions={}, addresses=(), num_gpus=8), 12.0)
        assert list(made.notes) == ["node001 gemm: gpu3: a wrong product"]

    def test_nothing_is_done_of_no_round(self):
        assert self.started().round_ratio() == 0.0
