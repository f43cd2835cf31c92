import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.checkpoints.boxes import Box, boxes


@given(shape=st.lists(st.integers(1, 5), max_size=4).map(tuple), data=st.data())
def test_boxes_hold_each_element_of_the_stretch_once_and_in_order(shape, data):
    whole = np.arange(int(np.prod(shape))).reshape(shape)
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, whole.size)] * 2)))

    found = list(boxes(shape, begin, end))

    held = [whole[tuple(slice(b, b + s) for b, s in zip(box.begin, box.size, strict=True))] for box in found]
    assert [int(each) for part in held for each in part.ravel()] == list(range(begin, end))
    assert len(found) <= max(1, 2 * len(shape) - 1)


def test_a_stretch_from_the_middle_of_a_row_to_the_middle_of_another_is_three_boxes():
    assert list(boxes((5, 10), 7, 33)) == [Box((0, 7), (1, 3)), Box((1, 0), (2, 10)), Box((3, 0), (1, 3))]


def test_whole_rows_are_one_box():
    assert list(boxes((5, 10), 10, 40)) == [Box((1, 0), (3, 10))]
