"""Generation with a neural cache: recent tokens become more probable."""

import torch
from torch import Tensor

from charlm.model import HiddenStepModel, State

NOTHING = -1  # marks a cache entry that is empty or was followed by <start>


class CachedSteps:
    """Step model that adds a cache of the last `size` tokens to a model (Grave et al. 2017).

    The probabilities equal those of `charlm.evaluation.CachedPredictor`, which explains size,
    flatness and weight; the logits are their logarithms. The state is the model's state and one
    more tuple: the cached hidden vectors, (batch, size, hidden_size), the tokens that followed
    them, (batch, size), and the hidden vectors after the last token, (batch, hidden_size).
    """

    def __init__(
        self, model: HiddenStepModel, start_id: int, *, size: int, flatness: float, weight: float
    ) -> None:
        self._model = model
        self._start_id = start_id
        self._size = size
        self._flatness = flatness
        self._weight = weight

    def initial_state(self, batch_size: int) -> State:
        state = self._model.initial_state(batch_size)
        hidden = self._model.hidden(state)
        places = hidden.new_zeros(batch_size, self._size, hidden.shape[1])
        followers = torch.full(places.shape[:2], NOTHING, device=hidden.device)
        return (*state, (places, followers, hidden))

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        *inner, (places, followers, hidden) = state
        places = torch.cat([places[:, 1:], hidden.unsqueeze(1)], dim=1)
        # <start> does not follow from the text before it.
        came = torch.where(tokens == self._start_id, NOTHING, tokens)
        followers = torch.cat([followers[:, 1:], came.unsqueeze(1)], dim=1)
        logits, after = self._model.step(tokens, tuple(inner))
        hidden = self._model.hidden(after)
        mixed = self._mix(logits, hidden, places, followers)
        return mixed, (*after, (places, followers, hidden))

    def _mix(self, logits: Tensor, hidden: Tensor, places: Tensor, followers: Tensor) -> Tensor:
        # On the CPU, as decoding is: not every device supports float64.
        probs = logits.cpu().double().softmax(-1)
        # Not a matrix product, whose rounding could depend on the number of rows.
        scores = self._flatness * (places * hidden.unsqueeze(1)).sum(-1).cpu().double()
        followers = followers.cpu()
        filled = followers != NOTHING
        shares = scores.masked_fill(~filled, -torch.inf).softmax(-1).nan_to_num(nan=0.0)
        recalled = torch.zeros_like(probs).scatter_add_(1, followers.clamp(min=0), shares)
        mixed = (1 - self._weight) * probs + self._weight * recalled
        return torch.where(filled.any(-1, keepdim=True), mixed, probs).log().to(logits)
