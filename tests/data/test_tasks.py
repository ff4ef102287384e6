"""Exercises: every answer follows from what comes before it, and the same seed makes the same."""

from itertools import islice, pairwise

import pytest

from charlm.data import TASKS, exercises
from charlm.data.tasks import BRACKETS, DISHES

SAID = {  # of seed 5
    "running-total": "+4...=4.+7...=1.+3.=4..+7..=1...",
    "delayed-xor": "0..1.=1;0.0..=0;0...1...=1;1...1.=0;1...0...=1",
    "copying": "abdac...=abdac",
    "brackets": "[.]..<..>...<...(..{...}.)..[..(...{...}.).].>..",
    "cook": "pie rainy - - - burger rainy - - - chicken rainy - - pie sunny - pie "
    "sunny - - pie rainy - burger rainy - chicken rainy - - pie",
}
GAPS = [(0, 0), (0, 4), (3, 3)]


def some(name, gap, seed=1, count=200):
    return list(islice(exercises(name, seed=seed, gap=gap), count))


def known_total(symbols, place):
    """What must stand at a place, from the symbols before it."""
    added = [int(s) for before, s in pairwise(symbols[:place]) if before == "+"]
    return str(sum(added) % 10)


def known_xor(symbols, place):
    before = list(symbols[:place])
    begin = max((at for at, s in enumerate(before) if s == ";"), default=-1) + 1
    one, other = (s for s in before[begin:] if s in "01")
    return str(int(one != other))


def known_copy(symbols, place):
    return symbols[place - list(symbols).index("=") - 1]


def known_bracket(symbols, place):
    is_open = []
    for symbol in symbols[:place]:
        if symbol in BRACKETS:
            is_open.append(symbol)
        elif symbol != ".":
            assert BRACKETS[is_open.pop()] == symbol
    return BRACKETS[is_open[-1]]


def known_dish(symbols, place):
    dishes = [s for s in symbols[:place] if s in DISHES]
    weather = next(s for s in reversed(symbols[:place]) if s in ("sunny", "rainy"))
    last = DISHES.index(dishes[-1])
    return DISHES[last if weather == "sunny" else (last + 1) % 3]


KNOWN = {
    "running-total": known_total,
    "delayed-xor": known_xor,
    "copying": known_copy,
    "brackets": known_bracket,
    "cook": known_dish,
}


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("name", TASKS)
def test_every_answer_follows_from_what_comes_before(name, gap):
    for exercise in some(name, gap):
        assert exercise.answers
        for place in exercise.answers:
            assert exercise.symbols[place] == KNOWN[name](exercise.symbols, place)


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("name", TASKS)
def test_a_gap_is_as_long_as_it_may_be(name, gap):
    filler = "-" if name == "cook" else "."
    runs = set()
    for exercise in some(name, gap):
        for place, symbol in enumerate(exercise.symbols):
            if symbol != filler and place + 1 < len(exercise.symbols):
                rest = exercise.symbols[place + 1 :]
                runs.add(next((i for i, s in enumerate(rest) if s != filler), len(rest)))

    assert max(runs) == gap[1]
    assert runs - {0} <= set(range(max(gap[0], 1), gap[1] + 1))


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_about_equally_likely(name):
    found = [e.symbols[place] for e in some(name, (0, 2), count=600) for place in e.answers]

    counts = [found.count(symbol) for symbol in set(found)]
    assert min(counts) > 0.75 * len(found) / len(counts)


@pytest.mark.parametrize("name", TASKS)
def test_the_same_seed_makes_the_same_exercises_and_another_one_others(name):
    assert some(name, (0, 5)) == some(name, (0, 5))
    assert some(name, (0, 5)) != some(name, (0, 5), seed=2)
    assert some(name, (0, 5), count=9) == some(name, (0, 5))[:9]


def test_the_exercises_are_the_same_on_every_machine():
    texts = {name: some(name, (1, 3), seed=5, count=1)[0].text for name in TASKS}

    assert texts == SAID


def test_only_the_cook_speaks_in_words():
    words = {name: some(name, (1, 1), count=1)[0].separator for name in TASKS}

    assert words.pop("cook") == " " and set(words.values()) == {""}
