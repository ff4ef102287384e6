"""Exercises for a memory: what comes at some places follows from what came long before.

Each is a line. The symbols that can be known are its answers; between what must be kept and where
it is needed lie symbols that say nothing, as many as the gap allows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

FILLER = "."
SUMS, PAIRS, COPIED, DEPTH, DAYS = 4, 5, 5, 8, 8
LETTERS = "abcdefgh"
BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}
DISHES = ("pie", "burger", "chicken")


@dataclass(frozen=True, slots=True)
class Exercise:
    """A line and which of its symbols follow from those before."""

    symbols: tuple[str, ...]
    answers: tuple[int, ...]  # places among the symbols
    separator: str = ""  # between symbols: a space makes words of them

    @property
    def text(self) -> str:
        """As it stands in a corpus."""
        return self.separator.join(self.symbols)


class Line:
    """Symbols in the making."""

    def __init__(self, random: Random, gap: tuple[int, int]) -> None:
        self.symbols: list[str] = []
        self.answers: list[int] = []
        self._random = random
        self._gap = gap

    def say(self, *symbols: str) -> None:
        """Add what cannot be known."""
        self.symbols += symbols

    def answer(self, *symbols: str) -> None:
        """Add what can."""
        begin = len(self.symbols)
        self.answers += range(begin, begin + len(symbols))
        self.symbols += symbols

    def wait(self, filler: str = FILLER) -> None:
        """Add what says nothing, as often as chance will have it."""
        self.symbols += [filler] * self._random.randint(*self._gap)

    def done(self, separator: str = "") -> Exercise:
        return Exercise(tuple(self.symbols), tuple(self.answers), separator)


def running_total(random: Random, gap: tuple[int, int]) -> Exercise:
    """`+3...+4..=7.+9....=6`: after `=` the sum so far, of which the last digit."""
    line, total = Line(random, gap), 0
    for number in range(SUMS):
        digit = random.randrange(10)
        total = (total + digit) % 10
        line.say("+", str(digit))
        line.wait()
        if number == SUMS - 1 or random.random() < 0.5:
            line.say("=")
            line.answer(str(total))
            line.wait()
    return line.done()


def delayed_xor(random: Random, gap: tuple[int, int]) -> Exercise:
    """`1....0..=1;0.1...=1`: whether the two bits differ, some times over."""
    line = Line(random, gap)
    for number in range(PAIRS):
        if number:
            line.say(";")
        bits = random.randrange(2), random.randrange(2)
        for bit in bits:
            line.say(str(bit))
            line.wait()
        line.say("=")
        line.answer(str(bits[0] ^ bits[1]))
    return line.done()


def copying(random: Random, gap: tuple[int, int]) -> Exercise:
    """`gaech.....=gaech`: the letters again (Hochreiter & Schmidhuber 1997, experiment 2)."""
    line = Line(random, gap)
    letters = random.choices(LETTERS, k=COPIED)
    line.say(*letters)
    line.wait()
    line.say("=")
    line.answer(*letters)
    return line.done()


def brackets(random: Random, gap: tuple[int, int]) -> Exercise:
    """`([..{.}].)`: a bracket that closes is of the kind of the last that is open."""
    line, left = Line(random, gap), DEPTH
    is_open: list[str] = []
    while left or is_open:
        if left and (not is_open or random.random() < 0.5):
            is_open.append(random.choice(list(BRACKETS)))
            line.say(is_open[-1])
            left -= 1
        else:
            line.answer(BRACKETS[is_open.pop()])
        line.wait()
    return line.done()


def cook(random: Random, gap: tuple[int, int]) -> Exercise:
    """`pie sunny pie rainy - - burger`: when it is sunny the last dish again, else the next one.

    The dishes are pie, burger, chicken, and pie again. On days of `-` nothing is cooked.
    """
    line, dish = Line(random, gap), random.randrange(len(DISHES))
    line.say(DISHES[dish])
    for _ in range(DAYS):
        weather = random.choice(("sunny", "rainy"))
        dish = (dish + (weather == "rainy")) % len(DISHES)
        line.say(weather)
        line.wait("-")
        line.answer(DISHES[dish])
    return line.done(" ")


Task = Callable[[Random, tuple[int, int]], Exercise]
TASKS: dict[str, Task] = {
    "running-total": running_total,
    "delayed-xor": delayed_xor,
    "copying": copying,
    "brackets": brackets,
    "cook": cook,
}


def exercises(name: str, *, seed: int, gap: tuple[int, int]) -> Iterator[Exercise]:
    """Exercises without end, the same for the same seed.

    Args:
        name: of one of `TASKS`.
        seed: any whole number.
        gap: the least and the most symbols that say nothing, each time there are any.
    """
    random = Random(f"{name} {seed}")  # a string seeds alike on every machine
    while True:
        yield TASKS[name](random, gap)
