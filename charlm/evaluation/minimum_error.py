"""Minimum error rate training of scale and length bonus: Och's exact line search.

Settings move along a line: gamma is the distance from a point. The combined score of each
hypothesis is then linear in gamma, and the hypothesis that ranks first in a list follows the upper
envelope of these lines. The total number of errors is therefore a step function of gamma whose
breakpoints are known exactly (Och 2003, Minimum Error Rate Training in Statistical Machine
Translation, sec. 4, aclanthology.org/P03-1021).

    errors  7   7   4   4   4   9   9
            --------|-----------|-------- gamma
                    low   ^     high        take the middle of the best interval
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.evaluation.rescoring import Floats, Integers, NbestLists, RescoringConfig

START_SCALES = (0.0, 0.25, 1.0, 4.0)
SAFE_DISTANCE = 1.0  # from a breakpoint; a larger distance is no more robust
SMALLEST_WIDTH = 1e-9  # relative width of an interval; narrower ones are rounding errors
DIGITS = range(3, 16)  # number of decimal places

Point = Floats
"""Scale and length bonus, shape (2,)."""


@dataclass(frozen=True, slots=True)
class ErrorSteps:
    """Errors along a line, as a step function of gamma.

    There are `errors[i]` errors between `low[i]` and `high[i]`; all arrays are (num_steps,).
    Adjacent steps differ in their errors. The outermost steps may be infinitely wide.
    """

    low: Floats
    high: Floats
    errors: Integers

    def best(self) -> float:
        """Return a gamma with the fewest errors.

        Among intervals with the fewest errors the widest is chosen, because it is the least
        sensitive to the data. Widths above twice the safe distance count as equal; a tie goes to
        the interval nearest to 0. Within the interval the result is the point nearest to 0 that
        keeps the safe distance from both ends, or the middle if the interval is too narrow.
        """
        fewest = self.errors.min()
        low, high = self.low[self.errors == fewest], self.high[self.errors == fewest]
        margins = np.minimum((high - low) / 2, SAFE_DISTANCE)
        away = np.maximum(np.maximum(low, -high), 0)
        chosen = np.lexsort((away, -margins))[0]
        margin = margins[chosen]
        return float(max(low[chosen] + margin, min(0.0, high[chosen] - margin)))


def minimize_errors(
    lists: NbestLists,
    errors: Integers,
    start: RescoringConfig,
    *,
    fit_scale: bool = True,
    fit_bonus: bool = True,
) -> RescoringConfig:
    """Return the settings with the fewest errors that the search finds.

    The search starts from `start` and from some fixed points. From each point, line searches along
    both settings and both diagonals are repeated until none of them reduces the errors. Each line
    search is exact; the search over both settings is not. The result is rounded to the fewest
    decimal places that do not increase its errors. If nothing is better, `start` is returned.

    Args:
        lists: hypotheses of a development set.
        errors: errors of each hypothesis, (num_hypotheses,).
        start: initial settings; a setting that is not fitted keeps its value.
        fit_scale: whether the scale may change. It stays 0 or more.
        fit_bonus: whether the length bonus may change.
    """
    assert fit_scale or fit_bonus
    free = np.array([fit_scale, fit_bonus])
    directions = [d for d in all_directions(lists) if not d[~free].any()]
    begin = np.array([start.scale, start.length_bonus])
    found, fewest = begin, lists.total_errors(errors, start)
    for other in start_points(lists, begin, free):
        point, count = descend(lists, errors, other, directions)
        if count < fewest:
            found, fewest = point, count
    if found is begin:
        return start
    return shortest(found, free, lambda config: lists.total_errors(errors, config) <= fewest)


def all_directions(lists: NbestLists) -> list[Point]:
    """Return the search directions: scale, length bonus, and both diagonals."""
    nats = nats_per_unit(lists)
    return [np.array(d) for d in ([1.0, 0.0], [0.0, 1.0], [1.0, nats], [1.0, -nats])]


def nats_per_unit(lists: NbestLists) -> float:
    """Return the length bonus that offsets a scale of 1: mean nats per word or character."""
    return float(-lists.log_probs.sum() / max(lists.lengths.sum(), 1))


def start_points(lists: NbestLists, start: Point, free: NDArray[np.bool_]) -> Iterator[Point]:
    """Yield `start`, then several scales, each with an offsetting bonus and with none."""
    yield start
    nats = nats_per_unit(lists)
    others = [(scale, bonus) for scale in START_SCALES for bonus in {0.0, scale * nats}]
    yield from np.unique(np.where(free, others, start), axis=0)


def descend(
    lists: NbestLists, errors: Integers, point: Point, directions: list[Point]
) -> tuple[Point, int]:
    """Search along each direction in turn until none of them reduces the errors.

    Returns: the final point and its number of errors.
    """
    fewest = lists.total_errors(errors, config_at(point))
    improved = True
    while improved:
        improved = False
        for direction in directions:
            moved = point + errors_along(lists, errors, point, direction).best() * direction
            count = lists.total_errors(errors, config_at(moved))
            if count < fewest:
                point, fewest, improved = moved, count, True
    return point, fewest


def errors_along(lists: NbestLists, errors: Integers, point: Point, direction: Point) -> ErrorSteps:
    """Return the errors of the best hypotheses at `point + gamma * direction` for every gamma.

    All envelopes are followed at once, from the lowest gamma upwards. The next hypothesis of a
    list is the one whose line is steeper than the current line and crosses it first. The time is
    proportional to the number of hypotheses times the length of the longest envelope.

    Args:
        lists: hypotheses of a development set.
        errors: errors of each hypothesis, (num_hypotheses,).
        point: scale and length bonus at gamma 0.
        direction: change of both per unit of gamma; that of the scale is 0 or more. gamma starts
            where the scale is 0.
    """
    intercepts = lists.combined(config_at(point))
    slopes = direction[0] * lists.log_probs + direction[1] * lists.lengths
    lowest = -point[0] / direction[0] if direction[0] else -np.inf
    leftmost = (intercepts + lowest * slopes,) if direction[0] else (-slopes, intercepts)
    best = lists.best(*leftmost, slopes)
    total = errors[best].sum()
    gamma = np.full(len(best), lowest)
    gammas, changes = [gamma[:0]], [errors[:0]]
    while True:
        crossings = crossing_points(intercepts, slopes, best[lists.list_index])
        following = lists.best(-crossings)
        crossed = np.isfinite(crossings[following])
        if not crossed.any():
            return make_steps(lowest, total, np.concatenate(gammas), np.concatenate(changes))
        gamma = np.where(crossed, np.maximum(gamma, crossings[following]), gamma)
        gammas.append(gamma[crossed])
        changes.append((errors[following] - errors[best])[crossed])
        best = np.where(crossed, following, best)


def crossing_points(intercepts: Floats, slopes: Floats, best: NDArray[np.intp]) -> Floats:
    """Return the gamma at which each line overtakes the best one of its list, or infinity."""
    rises = slopes - slopes[best]
    crossings = np.full(len(slopes), np.inf)
    np.divide(intercepts[best] - intercepts, rises, out=crossings, where=rises > 0)
    return crossings


def make_steps(lowest: float, total: int, gammas: Floats, changes: Integers) -> ErrorSteps:
    """Return the step function that starts with `total` errors and changes at each gamma."""
    order = np.argsort(gammas)
    edges = np.concatenate([[lowest], gammas[order], [np.inf]])
    totals = total + np.concatenate([[0], np.cumsum(changes[order])])
    wide = edges[1:] - edges[:-1] > SMALLEST_WIDTH * np.maximum(np.abs(edges[1:]), 1)
    wide[-1] = True
    low, totals = edges[:-1][wide], totals[wide]
    differs = np.diff(totals, prepend=-1) != 0
    low = low[differs]
    low[0] = lowest
    return ErrorSteps(low, np.append(low[1:], np.inf), totals[differs])


def config_at(point: Point) -> RescoringConfig:
    """Return the settings at a point. A scale below 0, from rounding errors, becomes 0."""
    return RescoringConfig(scale=max(float(point[0]), 0.0), length_bonus=float(point[1]))


def shortest(
    point: Point, free: NDArray[np.bool_], fits: Callable[[RescoringConfig], bool]
) -> RescoringConfig:
    """Round the point to the fewest decimal places for which `fits` is true."""
    for digits in DIGITS:
        config = config_at(np.where(free, point.round(digits), point))
        if fits(config):
            return config
    return config_at(point)
