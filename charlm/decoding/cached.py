"""Writing with a neural cache: what the text holds already is likelier to come again."""

import torch
from torch import Tensor

from charlm.model import HiddenStepModel, State

NOTHING = -1  # follows a place of the memory that has not been filled


class CachedSteps:
    """A model and a cache of its last `size` tokens as one step model (Grave et al. 2017).

    The probabilities are those with which `charlm.evaluation.CachedPredictor` reads a text, where
    size, flatness and weight are explained; the logits are their logarithms. To the model's state
    come the memory, (batch, size, hidden_size), what followed, (batch, size), and the hidden
    vectors after the last token.
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
        # What comes before <start> is another text's end, or nothing.
        came = torch.where(tokens == self._start_id, NOTHING, tokens)
        followers = torch.cat([followers[:, 1:], came.unsqueeze(1)], dim=1)
        logits, after = self._model.step(tokens, tuple(inner))
        hidden = self._model.hidden(after)
        mixed = self._mix(logits, hidden, places, followers)
        return mixed, (*after, (places, followers, hidden))

    def _mix(self, logits: Tensor, hidden: Tensor, places: Tensor, followers: Tensor) -> Tensor:
        # On the CPU, where decoding chooses: not every device has float64.
        probs = logits.cpu().double().softmax(-1)
        # Not a matrix product: a row's sums must not depend on how many rows there are.
        scores = self._flatness * (places * hidden.unsqueeze(1)).sum(-1).cpu().double()
        followers = followers.cpu()
        filled = followers != NOTHING
        shares = scores.masked_fill(~filled, -torch.inf).softmax(-1).nan_to_num(nan=0.0)
        recalled = torch.zeros_like(probs).scatter_add_(1, followers.clamp(min=0), shares)
        mixed = (1 - self._weight) * probs + self._weight * recalled
        return torch.where(filled.any(-1, keepdim=True), mixed, probs).log().to(logits)
