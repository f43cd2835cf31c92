import pytest

from fryer.collectives.witnesses import agree_on_missing


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ({"a": ("c",), "b": ("c",)}, ("c",)),
        ({"a": ("c",), "b": ("c",), "c": ("a",)}, ("c",)),
        ({"a": ("b", "c"), "b": ("a",), "c": ("a",)}, ("a",)),
        ({"a": ("c", "d"), "b": ("c", "d"), "c": ("a",), "d": ("a",)}, ("a", "c", "d")),
        ({"a": ("b",), "b": ("a",)}, ("a", "b")),
        ({"a": ("c",), "b": ()}, ("c",)),
        ({"a": (), "b": ()}, ()),
        ({"a": ("a",)}, ()),
        ({}, ()),
    ],
)
def test_the_larger_party_is_believed(told: dict[str, tuple[str, ...]], missing: tuple[str, ...]) -> None:
    assert agree_on_missing(told) == missing
