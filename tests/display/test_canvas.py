"""Braille: dots are where they should be, and nothing is drawn outside."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.display.canvas import NO_INK, Canvas, sampled


def text(canvas):
    return ["".join(part for part, _ in row) for row in canvas.rows()]


def dots(canvas):
    """Every dot as (x from the left, y from the bottom), decoded as Unicode numbers them."""
    lines = text(canvas)
    order = [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 2),
        (0, 3),
        (1, 3),
    ]  # U+2801, 2802, 2804...
    return {
        (2 * column + x, 4 * (len(lines) - row) - 1 - y)
        for row, line in enumerate(lines)
        for column, character in enumerate(line)
        for bit, (x, y) in enumerate(order)
        if character != " " and ord(character) - 0x2800 >> bit & 1
    }


def draw(canvas, points, ink=0, **settings):
    x, y = np.array(points, dtype=float).T
    canvas.draw(x, y, ink, **settings)
    return canvas


def test_a_straight_line_is_drawn_from_corner_to_corner():
    assert text(draw(Canvas(2, 1), [(0, 0), (1, 1)])) == ["⡠⠊"]
    assert dots(draw(Canvas(4, 2), [(0, 0), (1, 1)])) == {(i, i) for i in range(8)}
    assert dots(draw(Canvas(4, 2), [(0, 1), (1, 0)])) == {(i, 7 - i) for i in range(8)}


def test_level_and_upright_lines_and_points_are_drawn():
    assert text(draw(Canvas(3, 1), [(0, 0), (1, 0)])) == ["⣀⣀⣀"]
    assert text(draw(Canvas(3, 1), [(0, 1), (1, 1)])) == ["⠉⠉⠉"]
    assert text(draw(Canvas(1, 2), [(1, 0), (1, 1)])) == ["⢸", "⢸"]
    assert text(draw(Canvas(2, 1), [(1, 1)])) == [" ⠈"]


@pytest.mark.parametrize("far", [2, 1e6])
def test_what_is_outside_is_cut_off_where_the_line_leaves(far):
    found = dots(draw(Canvas(4, 2), [(-far, -far), (1 + far, 1 + far)]))

    assert found == {(i, i) for i in range(8)}
    assert dots(draw(Canvas(4, 2), [(0, 1.5), (1, 1.5), (1.5, 0)])) == set()


@pytest.mark.parametrize("end", [(1, 0), (1, 1), (0, 1), (1, 0.3)])
@pytest.mark.parametrize("num_points", [2, 100])
def test_a_dotted_line_has_gaps_whichever_way_it_goes(end, num_points):
    points = [(share * end[0], share * end[1]) for share in np.linspace(0, 1, num_points)]
    whole = dots(draw(Canvas(20, 10), points))
    dotted = dots(draw(Canvas(20, 10), points, dotted=True))

    assert dotted < whole
    assert 0.4 <= len(dotted) / len(whole) <= 0.8


def test_the_last_ink_is_that_of_the_character_and_marks_are_above_lines():
    canvas = draw(draw(Canvas(4, 1), [(0, 0), (1, 0)], ink=3), [(0, 1), (0.4, 1)], ink=5)
    canvas.put(1.0, 0.5, "A", 7)
    canvas.put(0.5, 1.2, "B", 7)

    assert list(canvas.rows()) == [[("⣉⣉", 5), ("⣀", 3), ("A", 7)]]
    assert list(Canvas(2, 1).rows()) == [[("  ", NO_INK)]]


places = st.floats(-3, 4)


@given(points=st.lists(st.tuples(places, places), min_size=1, max_size=6))
@settings(max_examples=40)
def test_a_line_is_where_a_fine_walk_along_it_goes(points):
    size = np.array([7 * 2 - 1, 4 * 4 - 1])
    found = dots(draw(Canvas(7, 4), points))

    shares = np.linspace(0, 1, 5000)[:, None]
    lines = pairwise([*np.array(points), np.array(points[-1])])
    walk = np.concatenate([start + shares * (end - start) for start, end in lines]) * size
    found_near, walked = (
        set(map(tuple, np.rint(walk[within(walk, size, slack)]).astype(int).tolist()))
        for slack in (1e-3, -1e-3)
    )
    for some, others in ((found, found_near), (walked, found)):
        assert all(any(abs(a - x) <= 1 and abs(b - y) <= 1 for a, b in others) for x, y in some)


def within(places, size, slack):
    return ((places > -slack) & (places < size + slack)).all(axis=1)


def test_samples_are_a_dot_apart_and_no_more_than_are_needed():
    x, y = sampled(np.array([0.0, 10.0, 10.0]), np.array([0.0, 0.0, 4.0]), 10, 4)

    assert x.tolist() == [*range(11), 10, 10, 10, 10, 10, 10]
    assert y.tolist() == [0] * 11 + [0, 1, 2, 3, 4, 4]
