"""Line drawing with braille characters, each two dots wide and four dots high."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Offset of each dot from U+2800, the empty braille character.
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
DOTS_HIGH, DOTS_WIDE = DOTS.shape
EMPTY = 0x2800
NO_INK = -1
DIGITS = 9  # decimals of a coordinate in dots; points on an edge are exact, or off by < SLACK
SLACK = 1e-6


class Canvas:
    """Drawing area of braille characters.

    Coordinates are relative: (0, 0) is the bottom left, (1, 1) the top right. An ink is a number
    that the caller maps to a colour. Each character has one ink, the last one drawn there.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._dots = np.zeros((rows * DOTS_HIGH, columns * DOTS_WIDE), dtype=np.bool_)
        self._marks = np.full((rows, columns), "", dtype="<U1")
        self._inks = np.full((rows, columns), NO_INK)

    def draw(self, x: Floats, y: Floats, ink: int, *, dotted: bool = False) -> None:
        """Draw straight lines between consecutive points, clipped to the canvas.

        Args:
            x: horizontal coordinates, 0 at the left, shape (points,).
            y: vertical coordinates, 0 at the bottom, shape (points,).
            ink: number of the line's colour, at least 0.
            dotted: leave gaps of two dots.
        """
        high, wide = self._dots.shape
        x, y = np.round(x * (wide - 1), DIGITS), np.round(y * (high - 1), DIGITS)
        x, y = sampled(x, y, wide - 1, high - 1)
        if dotted:
            steps = np.maximum(np.abs(np.diff(x, prepend=x[:1])), np.abs(np.diff(y, prepend=y[:1])))
            kept = np.cumsum(steps) % 4 < 2
            x, y = x[kept], y[kept]
        rows, columns = high - 1 - np.rint(y).astype(int), np.rint(x).astype(int)
        self._dots[rows, columns] = True
        self._inks[rows // DOTS_HIGH, columns // DOTS_WIDE] = ink

    def put(self, x: float, y: float, mark: str, ink: int) -> None:
        """Write one character over the drawing at (x, y); do nothing outside the canvas."""
        if 0 <= x <= 1 and 0 <= y <= 1:
            place = self.cell(x, y)
            self._marks[place], self._inks[place] = mark, ink

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Return the row, counted from the top, and the column of the character at (x, y)."""
        high, wide = self._dots.shape
        return round((1 - y) * (high - 1)) // DOTS_HIGH, round(x * (wide - 1)) // DOTS_WIDE

    def rows(self) -> Iterator[list[tuple[str, int]]]:
        """Yield each row from top to bottom as a list of (text, ink) runs."""
        rows, columns = self._marks.shape
        cells = self._dots.reshape(rows, DOTS_HIGH, columns, DOTS_WIDE)
        codes = np.einsum("rycx,yx->rc", cells, DOTS)
        for marks, code, inks in zip(self._marks, codes, self._inks, strict=True):
            text = [m or (chr(EMPTY + c) if c else " ") for m, c in zip(marks, code, strict=True)]
            pairs = groupby(zip(text, inks.tolist(), strict=True), key=lambda pair: pair[1])
            yield [("".join(character for character, _ in part), ink) for ink, part in pairs]


def sampled(x: Floats, y: Floats, width: float, height: float) -> tuple[Floats, Floats]:
    """Return points along the lines, at most 1 apart in x and y, without those outside the area.

    Args:
        x: horizontal coordinates of the line ends, in dots, shape (points,).
        y: vertical coordinates of the line ends, in dots, shape (points,).
        width: of the area, which starts at 0.
        height: of the area, which starts at 0.
    """
    corner = np.array([[width], [height]])
    start, step = np.stack([x[:-1], y[:-1]]), np.stack([np.diff(x), np.diff(y)])
    first, last = within(start, step, corner)
    counts = np.ceil(np.abs(step).max(axis=0) * (last - first)).astype(int) + 1
    line = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = first[line] + (last - first)[line] * place / np.maximum(counts - 1, 1)[line]
    samples = start[:, line] + step[:, line] * share
    samples = np.append(samples, [x[-1:], y[-1:]], axis=1)
    inside = ((samples > -SLACK) & (samples < corner + SLACK)).all(axis=0)
    return samples[0, inside], samples[1, inside]


def within(start: Floats, step: Floats, corner: Floats) -> tuple[Floats, Floats]:
    """Clip lines to the area from (0, 0) to `corner` (Liang & Barsky 1984).

    Args:
        start: start of each line, shape (2, lines).
        step: end minus start of each line, shape (2, lines).
        corner: upper right corner of the area, shape (2, 1).

    Returns:
        The fractions of each line, from 0 to 1, at which it enters and leaves the area, each of
        shape (lines,). They are equal if the line is outside.
    """
    with np.errstate(all="ignore"):  # a horizontal or vertical line divides by zero
        edges = np.stack([-start / step, (corner - start) / step])
    first = np.minimum(np.fmax.reduce(edges.min(axis=0), axis=0, initial=0.0), 1.0)
    last = np.fmin.reduce(edges.max(axis=0), axis=0, initial=1.0)
    return first, np.maximum(first, last)
