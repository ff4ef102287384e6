"""Batch of texts that are decoded together, one step at a time."""

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
    """Texts with the model's next logits and state, and the constraints on each.

    `logits` (rows, vocab_size) come from the model unchanged. Computation on them is done on the
    CPU in float64, inside `arithmetic()`.
    """

    def __init__(
        self,
        model: StepModel,
        prompts: Sequence[Sequence[int]],
        config: DecodingConfig,
        rules: Rules,
    ) -> None:
        self.model = model
        # A length in place of `<start>` is not a token. The <stop> of earlier frames of a prompt
        # must not penalize or ban the <stop> of this one.
        tokens = [
            [token for token in p if token < rules.vocab_size and token != rules.stop_id]
            for p in prompts
        ]
        self.constraints = Constraints(config, rules, tokens)
        with arithmetic():
            self.logits, self._state = read_prompts(model, prompts)

    def allowed_logits(self) -> Tensor:
        """Return the constrained logits: (rows, vocab_size), float64, on the CPU.

        Raises:
            ConfigError: all tokens of a row are masked.
        """
        logits = self.constraints.apply(self.logits.cpu().double())
        if self.constraints.may_bar_all:
            check_choice(logits)
        return logits

    def allowed_log_probs(self, *, as_greedy: bool = False) -> Tensor:
        """Return the constrained log-probabilities: (rows, vocab_size), float64, on the CPU.

        They are not renormalized: the probability of masked tokens is lost. A repetition penalty
        depends on where 0 is. It acts on log-probabilities, as in Hugging Face's beam search, or if
        `as_greedy` on the logits, as in greedy decoding.
        """
        logits = self.logits.cpu().double()
        if as_greedy:
            return self.constraints.apply(logits) - logits.logsumexp(-1, keepdim=True)
        return self.constraints.apply(logits.log_softmax(-1))

    def advance(self, tokens: Tensor, rows: list[int] | None = None) -> None:
        """Append one token to each row and step the model.

        Args:
            tokens: (rows,), on the CPU.
            rows: rows to continue, in the new order; a row may be repeated. None: all rows.
        """
        if rows is not None:
            self._select(torch.tensor(rows))
        self.constraints.append(tokens)
        self.logits, self._state = self.model.step(tokens.to(self.logits.device), self._state)

    def keep(self, rows: list[int]) -> None:
        """Keep these rows, in this order; a row may be repeated."""
        kept = torch.tensor(rows)
        self._select(kept)
        self.logits = self.logits[kept.to(self.logits.device)]

    def _select(self, rows: Tensor) -> None:
        self.constraints.select(rows)
        self._state = select_state(self._state, rows.to(self.logits.device))

    def write(self, count: int, temperature: float, uniforms: Tensor | None) -> Tensor:
        """Return the next `count` tokens of each row, drawn by the model itself: (count, rows).

        Of the constraints only the constant `added` applies. See `ChunkModel.write`.
        """
        assert isinstance(self.model, ChunkModel)
        added = self.constraints.added.float()
        tokens, self.logits, self._state = self.model.write(
            self.logits, self._state, count, added, temperature, uniforms
        )
        return tokens

    def branch(self, tokens: Tensor, rows: list[int]) -> Self:
        """Return a copy that has advanced as in `advance`; this batch stays unchanged."""
        other = copy(self)
        other.constraints = copy(self.constraints)
        other.advance(tokens, rows)
        return other


def read_prompts(model: StepModel, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, State]:
    """Return the logits after each prompt, (prompts, vocab_size), and the states.

    Equal prompts are read once. Prompts are sorted by length, longest first, so that at every step
    the unfinished ones are the first rows of the batch:

        step       0  1  2  3 | 4
        prompts    a  b  c  d | e       the states of the last two rows are saved after step 3,
                   f  g  h  i |         that of the first row after step 4
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
