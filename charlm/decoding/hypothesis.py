"""Continuations of a prompt that a search keeps apart."""

from dataclasses import dataclass
from typing import Literal, Self

from charlm.decoding.rules import Rules, TextWatch

End = Literal["<stop>", "stop string", "length"]
"""What ends a text; length: it has max_new_tokens and might go on."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A continuation of the prompt, without `<stop>`."""

    tokens: tuple[int, ...]
    log_prob: float  # natural logarithm, of <stop> too if it was reached
    score: float  # what it is ranked by
    end: End


class Node:
    """A hypothesis on its way: a token and the node it follows, so that beginnings are shared."""

    __slots__ = ("length", "log_prob", "parent", "score", "stopped", "token", "watch")

    def __init__(
        self,
        parent: "Node | None",
        token: int,
        log_prob: float,
        score: float,
        stopped: bool,
        watch: TextWatch | None,
    ) -> None:
        self.parent = parent
        self.token = token
        self.log_prob = log_prob  # of all tokens up to here
        self.score = score
        self.length: int = 0 if parent is None else parent.length + 1
        self.stopped = stopped  # by `<stop>` or a stop string
        self.watch = watch

    @classmethod
    def root(cls, rules: Rules) -> Self:
        """The prompt alone."""
        watch = None if rules.watch is None else rules.watch()
        return cls(None, -1, 0.0, 0.0, False, watch)

    def follow(self, token: int, log_prob: float, score: float, rules: Rules) -> "Node":
        """One token more; it may stop here."""
        if token == rules.stop_id:
            return Node(self, token, log_prob, score, True, None)
        if self.watch is None:
            return Node(self, token, log_prob, score, False, None)
        watch = self.watch.copy()
        return Node(self, token, log_prob, score, watch.push(token), watch)

    def path(self) -> tuple[int, ...]:
        """All tokens after the prompt, `<stop>` included."""
        tokens = []
        node = self
        while node.parent is not None:
            tokens.append(node.token)
            node = node.parent
        return tuple(reversed(tokens))

    def hypothesis(self, rules: Rules) -> Hypothesis:
        """What was found."""
        tokens = self.path()
        if self.token == rules.stop_id:
            return Hypothesis(tokens[:-1], self.log_prob, self.score, "<stop>")
        end: End = "stop string" if self.stopped else "length"
        return Hypothesis(tokens, self.log_prob, self.score, end)
