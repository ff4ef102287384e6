"""Texts that take steps together."""

from collections.abc import Sequence
from copy import copy
from typing import Self

import torch
from torch import Tensor

from charlm.decoding.config import DecodingConfig
from charlm.decoding.constraints import Constraints, check_choice
from charlm.decoding.rules import Rules
from charlm.device import arithmetic
from charlm.model import ChunkModel, State, StepModel, concat_states, select_state


class Batch:
    """Some texts: what the model expects next in each, and what constrains them.

    `logits` (rows, vocab_size) are the model's own. What is computed with them is on the CPU, in
    float64, inside `arithmetic()`.
    """

    def __init__(
        self,
        model: StepModel,
        prompts: Sequence[Sequence[int]],
        config: DecodingConfig,
        rules: Rules,
    ) -> None:
        self.model = model
        # A length that is told in place of `<start>` is no token. How earlier frames of a prompt
        # ended must not keep this one from ending.
        tokens = [
            [token for token in p if token < rules.vocab_size and token != rules.stop_id]
            for p in prompts
        ]
        self.constraints = Constraints(config, rules, tokens)
        with arithmetic():
            self.logits, self._state = read_prompts(model, prompts)

    def allowed_logits(self) -> Tensor:
        """The logits, barred and penalized.

        Raises:
            ConfigError: a row has no token left.
        """
        logits = self.constraints.apply(self.logits.cpu().double())
        if self.constraints.may_bar_all:
            check_choice(logits)
        return logits

    def allowed_log_probs(self, *, as_greedy: bool = False) -> Tensor:
        """The log-probabilities, barred and penalized: what is barred leaves its share unused.

        A repetition penalty depends on where 0 is. It acts on log-probabilities, as in Hugging
        Face's beam search, or on the logits, as in greedy decoding.
        """
        logits = self.logits.cpu().double()
        if as_greedy:
            return self.constraints.apply(logits) - logits.logsumexp(-1, keepdim=True)
        return self.constraints.apply(logits.log_softmax(-1))

    def advance(self, tokens: Tensor, rows: list[int] | None = None) -> None:
        """Go on by one token each: with all rows, or those named, as often as they are named."""
        if rows is not None:
            self._select(torch.tensor(rows))
        self.constraints.append(tokens)
        self.logits, self._state = self.model.step(tokens.to(self.logits.device), self._state)

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows, in their order, as often as they are named."""
        kept = torch.tensor(rows)
        self._select(kept)
        self.logits = self.logits[kept.to(self.logits.device)]

    def _select(self, rows: Tensor) -> None:
        self.constraints.select(rows)
        self._state = select_state(self._state, rows.to(self.logits.device))

    def write(self, count: int, temperature: float, uniforms: Tensor | None) -> Tensor:
        """Go on by several tokens that no constraint but `added` decides: (count, rows)."""
        assert isinstance(self.model, ChunkModel)
        added = self.constraints.added.float()
        tokens, self.logits, self._state = self.model.write(
            self.logits, self._state, count, added, temperature, uniforms
        )
        return tokens

    def branch(self, tokens: Tensor, rows: list[int]) -> Self:
        """A batch that has advanced, while this one stays where it is."""
        other = copy(self)
        other.constraints = copy(self.constraints)
        other.advance(tokens, rows)
        return other


def read_prompts(model: StepModel, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, State]:
    """Logits (prompts, vocab_size) of what follows each prompt, and the states after them.

    Equal prompts are read once, and the longest ones first, so that at every step those still to
    be read are the first rows of the batch:

        step       0  1  2  3 | 4
        prompts    a  b  c  d | e       the states of the last two rows are put aside after step 3,
                   f  g  h  i |         that of the first after step 4
                   j  k  l  m |
    """
    distinct = sorted({tuple(prompt) for prompt in prompts}, key=len, reverse=True)
    finished: list[tuple[Tensor, State]] = []
    state = model.initial_state(len(distinct))
    device = state[0][0].device
    rows = len(distinct)
    for position in range(len(distinct[0])):
        tokens = torch.tensor([prompt[position] for prompt in distinct[:rows]], device=device)
        logits, state = model.step(tokens, state)
        going = rows
        while going > 0 and len(distinct[going - 1]) == position + 1:
            going -= 1
        if going < rows:
            over = torch.arange(going, rows, device=device)
            finished.append((logits[going:], select_state(state, over)))
            state = select_state(state, torch.arange(going, device=device))
            rows = going
    finished.reverse()
    row_of = {prompt: row for row, prompt in enumerate(distinct)}
    wanted = torch.tensor([row_of[tuple(prompt)] for prompt in prompts], device=device)
    all_logits = torch.cat([logits for logits, _ in finished])
    all_states = concat_states([state for _, state in finished])
    return all_logits[wanted], select_state(all_states, wanted)
