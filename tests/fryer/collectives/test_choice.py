import json

import pytest

from fryer.collectives.cases import OPERATIONS
from fryer.collectives.choice import Choice, parse_choice, wanted
from fryer.exchange import decode, encode
from fryer.plan import Plan, make_plan
from watchdog.vocabulary.errors import UsageError


def test_nothing_asked_for_is_no_choice() -> None:
    assert parse_choice([], "") is None


@pytest.mark.parametrize(
    ("names", "operations"),
    [
        (["all_reduce", "alltoall", "all_reduce"], ("all_reduce", "alltoall")),
        (["all"], OPERATIONS),
        (["none"], ()),
    ],
)
def test_operations_are_named_one_by_one_or_all_or_none(names: list[str], operations: tuple[str, ...]) -> None:
    assert parse_choice(names, "") == Choice(operations=operations)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("8:8G:4", (8, 8 << 30, 4)),
        ("1M:64M", (1 << 20, 64 << 20, 2)),
        ("512K", (512 << 10, 512 << 10, 2)),
    ],
)
def test_sizes_are_begin_end_and_factor_of_nccl_tests(text: str, span: tuple[int, int, int]) -> None:
    found = parse_choice([], text)
    assert found is not None
    assert (found.begin_bytes, found.end_bytes, found.factor) == span
    assert found.operations is None


@pytest.mark.parametrize(
    ("names", "text", "words"),
    [
        (["all_redcue"], "", "'all_redcue' is no collective; did you mean 'all_reduce'"),
        (["all", "alltoall"], "", "'all' stands alone"),
        (["none"], "8:8G", "--sizes is of no use with --collectives none"),
        ([], "8:8G:2:1", "has more than BEGIN:END:FACTOR"),
        ([], "8:8G:x", "the factor 'x' is no whole number"),
        ([], "8:8G:1", "by factor 1 does not get anywhere"),
        ([], "8G:8", "has no size"),
        ([], "8X", "'8X' is no size"),
    ],
)
def test_a_wrong_choice_is_refused_with_what_to_write(names: list[str], text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_choice(names, text)


def test_a_run_in_which_nobody_asked_sweeps_all_reduce_over_few_sizes_up_to_the_plateau() -> None:
    gpus = wanted(None, has_gpus=True)
    assert (gpus.operations, gpus.begin_bytes, gpus.end_bytes, gpus.factor) == (("all_reduce",), 8, 8 << 30, 8)
    cpus = wanted(None, has_gpus=False)
    assert (cpus.begin_bytes, cpus.end_bytes, cpus.places) == (1 << 10, 8 << 20, (False,))


def test_what_was_asked_for_has_the_factor_of_nccl_tests() -> None:
    assert wanted(parse_choice(["alltoall"], ""), has_gpus=True).factor == 2
    found = wanted(parse_choice([], "1M:4M:4"), has_gpus=True)
    assert (found.operations, found.begin_bytes, found.end_bytes, found.factor) == (
        ("all_reduce",),
        1 << 20,
        4 << 20,
        4,
    )


def test_a_plan_that_was_written_down_still_knows_what_was_asked_for() -> None:
    plan = make_plan(
        nodes=("a", "b"),
        seconds=10.0,
        dtypes=(),
        burns=(),
        seed=1,
        memory_ratio=None,
        scenario=None,
        collectives=parse_choice(["alltoall"], "8:8G:4"),
    )
    assert decode(Plan, json.loads(json.dumps(encode(plan)))) == plan
