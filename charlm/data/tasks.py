"""Synthetic memory tasks: some symbols of a line are determined by symbols long before them.

The determined symbols are the answers. A random number of filler symbols, within the gap, separates
them from the symbols that they depend on.
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
    """Line of a task, and the places of the symbols that those before them determine."""

    symbols: tuple[str, ...]
    answers: tuple[int, ...]  # indices into symbols
    separator: str = ""  # between symbols; a space if they are words

    @property
    def text(self) -> str:
        """Text of the line, as in a corpus."""
        return self.separator.join(self.symbols)


class Line:
    """Builder of an exercise."""

    def __init__(self, random: Random, gap: tuple[int, int]) -> None:
        self.symbols: list[str] = []
        self.answers: list[int] = []
        self._random = random
        self._gap = gap

    def say(self, *symbols: str) -> None:
        """Add symbols that cannot be predicted."""
        self.symbols += symbols

    def answer(self, *symbols: str) -> None:
        """Add symbols that the previous ones determine."""
        begin = len(self.symbols)
        self.answers += range(begin, begin + len(symbols))
        self.symbols += symbols

    def wait(self, filler: str = FILLER) -> None:
        """Add a random number of fillers, uniformly distributed over the gap."""
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

    The order of the dishes is pie, burger, chicken, then pie again. `-` is a day without cooking.
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
    """Yield an endless sequence of exercises, the same for the same seed.

    Args:
        name: one of `TASKS`.
        seed: any integer.
        gap: minimum and maximum number of fillers at each place that has them.
    """
    random = Random(f"{name} {seed}")  # a string gives the same seed on every machine
    while True:
        yield TASKS[name](random, gap)
