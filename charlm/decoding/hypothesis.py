"""Hypotheses of a search: continuations of a prompt."""

from dataclasses import dataclass
from typing import Literal, Self

from charlm.decoding.rules import Rules, TextWatch

End = Literal["<stop>", "stop string", "length"]
"""What ends a text; length: it has max_new_tokens and might go on."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Continuation of a prompt, without `<stop>`."""

    tokens: tuple[int, ...]
    log_prob: float  # in nats, including <stop> if it was reached
    score: float  # value that hypotheses are ranked by
    end: End


class Node:
    """Partial hypothesis: a token and its parent node, so that prefixes are shared."""

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
        self.log_prob = log_prob  # of all tokens up to this one, in nats
        self.score = score
        self.length: int = 0 if parent is None else parent.length + 1
        self.stopped = stopped  # by `<stop>` or a stop string
        self.watch = watch

    @classmethod
    def root(cls, rules: Rules) -> Self:
        """Return the node of the prompt alone, of length 0."""
        watch = None if rules.watch is None else rules.watch()
        return cls(None, -1, 0.0, 0.0, False, watch)

    def follow(self, token: int, log_prob: float, score: float, rules: Rules) -> "Node":
        """Return a child node with one more token; it is stopped by `<stop>` or a stop string."""
        if token == rules.stop_id:
            return Node(self, token, log_prob, score, True, None)
        if self.watch is None:
            return Node(self, token, log_prob, score, False, None)
        watch = self.watch.copy()
        return Node(self, token, log_prob, score, watch.push(token), watch)

    def path(self) -> tuple[int, ...]:
        """Return all tokens after the prompt, including `<stop>`."""
        tokens = []
        node = self
        while node.parent is not None:
            tokens.append(node.token)
            node = node.parent
        return tuple(reversed(tokens))

    def hypothesis(self, rules: Rules) -> Hypothesis:
        """Return the finished hypothesis."""
        tokens = self.path()
        if self.token == rules.stop_id:
            return Hypothesis(tokens[:-1], self.log_prob, self.score, "<stop>")
        end: End = "stop string" if self.stopped else "length"
        return Hypothesis(tokens, self.log_prob, self.score, end)
