"""Scale and length bonus of fewest errors: Och's exact line search over n-best lists.

Along a line through the settings, at the distance gamma from a point, each hypothesis has a
combined score that is a straight line in gamma. The one that ranks first is the upper envelope of
its list's lines, so the errors of all lists together are a step function of gamma, and every
breakpoint of it is known exactly (Och 2003, Minimum Error Rate Training in Statistical Machine
Translation, sec. 4, aclanthology.org/P03-1021).

    errors  7   7   4   4   4   9   9
            --------|-----------|-------- gamma
                    low   ^     high        the middle of the best interval is taken
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.evaluation.rescoring import Floats, Integers, NbestLists, RescoringConfig

START_SCALES = (0.0, 0.25, 1.0, 4.0)
SAFE_DISTANCE = 1.0  # from a breakpoint: farther off is no safer
SMALLEST_WIDTH = 1e-9  # of an interval, beside its place: narrower ones are rounding
DIGITS = range(3, 16)  # after the point

Point = Floats
"""Scale and length bonus, shape (2,)."""


@dataclass(frozen=True, slots=True)
class ErrorSteps:
    """Errors along a line: `errors[i]` from `low[i]` to `high[i]`, all of shape (num_steps,).

    Neighbours differ in their errors; the outermost may be infinitely long.
    """

    low: Floats
    high: Floats
    errors: Integers

    def best(self) -> float:
        """The gamma to take: one where the errors are fewest.

        Of several intervals the widest is taken, as the one that other data shift least; a width
        of more than two safe distances counts no more, and then the nearest to 0 is taken. In it,
        the point nearest to 0 that is in the middle or at a safe distance from both ends.
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
    """The settings whose best hypotheses have the fewest errors that the search finds.

    From `start` and some fixed points: line searches along both settings and both diagonals, again
    and again until none finds fewer errors. Along each line the result is exact; over both
    settings no search of this kind is. What is found is rounded to the fewest digits that keep its
    errors. `start` comes back where nothing is better.

    Args:
        lists: the hypotheses of a development set.
        errors: of each hypothesis, (num_hypotheses,).
        start: also holds the setting that is not to be fitted.
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
    """Along the scale, the bonus, and the diagonals between them."""
    nats = nats_per_unit(lists)
    return [np.array(d) for d in ([1.0, 0.0], [0.0, 1.0], [1.0, nats], [1.0, -nats])]


def nats_per_unit(lists: NbestLists) -> float:
    """The bonus that makes up for a scale of 1 in a text of average words or characters."""
    return float(-lists.log_probs.sum() / max(lists.lengths.sum(), 1))


def start_points(lists: NbestLists, start: Point, free: NDArray[np.bool_]) -> Iterator[Point]:
    """`start`; then several scales, with the bonus that makes up for them and without."""
    yield start
    nats = nats_per_unit(lists)
    others = [(scale, bonus) for scale in START_SCALES for bonus in {0.0, scale * nats}]
    yield from np.unique(np.where(free, others, start), axis=0)


def descend(
    lists: NbestLists, errors: Integers, point: Point, directions: list[Point]
) -> tuple[Point, int]:
    """Search along the directions in turn until none of them finds fewer errors."""
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
    """Errors of the best hypotheses at `point + gamma * direction`, for all gamma allowed.

    All envelopes are walked at once, from the lowest gamma on: the next best hypothesis of a list
    is the one whose line is steeper and crosses the present one first. Takes time in proportion to
    the hypotheses and the longest envelope.

    Args:
        lists: the hypotheses.
        errors: of each, (num_hypotheses,).
        point: scale and length bonus at gamma 0.
        direction: what they grow by with gamma; the scale does not fall and never is below 0.
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
    """Where each line overtakes the best one of its list; infinite where it never does."""
    rises = slopes - slopes[best]
    crossings = np.full(len(slopes), np.inf)
    np.divide(intercepts[best] - intercepts, rises, out=crossings, where=rises > 0)
    return crossings


def make_steps(lowest: float, total: int, gammas: Floats, changes: Integers) -> ErrorSteps:
    """The step function that begins with `total` errors and changes at each gamma."""
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
    """The settings there; rounding may have brought the scale a little below 0."""
    return RescoringConfig(scale=max(float(point[0]), 0.0), length_bonus=float(point[1]))


def shortest(
    point: Point, free: NDArray[np.bool_], fits: Callable[[RescoringConfig], bool]
) -> RescoringConfig:
    """The point with the fewest digits after the point that `fits`."""
    for digits in DIGITS:
        config = config_at(np.where(free, point.round(digits), point))
        if fits(config):
            return config
    return config_at(point)
