"""The Jordan network: what it said last is what it knows of the past."""

from torch import Tensor, nn
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class JordanCell(RecurrentCell):
    """h' = tanh(W x + b + V softmax(o) + c), o = S h + d the logits of the token before.

    Only the output feeds back (Jordan 1986; Goodfellow et al. 2016, sec. 10.2.1, fig. 10.4): of
    h, which is kept as the state, the next step sees nothing but the probabilities made of it.
    `weight_hh` is V, (hidden_size, vocab_size); S and d are the softmax layer's, see `listen`.
    Before the first token h is zero, so that the probabilities are those of d alone.
    """

    def __init__(self, input_size: int, hidden_size: int, vocab_size: int) -> None:
        super().__init__(input_size, hidden_size, vocab_size)

    def listen(self, projection: nn.Linear) -> None:
        """Take the output from this layer, which is not the cell's own."""
        self._projection = (projection,)  # in a tuple nn.Module does not count it as a part

    def probabilities(self, hidden: Tensor) -> Tensor:
        """What the network said when this was its hidden vector, (batch, vocab_size)."""
        logits: Tensor = self._projection[0](hidden)
        return logits.softmax(-1)

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        fed_back = linear(self.probabilities(hidden), weight_hh, self.bias_hh)
        hidden = (inputs + fed_back).tanh()
        return hidden, (hidden,)


class ElmanJordanCell(JordanCell):
    """h' = tanh(W x + b + U h + V softmax(o) + c): both the hidden vector and the output feed back.

    `weight_hh` is U, (hidden_size, hidden_size), and `weight_oh` is V, (hidden_size, vocab_size).
    """

    def __init__(self, input_size: int, hidden_size: int, vocab_size: int) -> None:
        RecurrentCell.__init__(self, input_size, hidden_size)
        self.weight_oh = nn.Parameter(self.weight_hh.new_empty(hidden_size, vocab_size))
        self.draw(self.weight_oh)

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        from_output = linear(self.probabilities(hidden), self.weight_oh)
        hidden = (inputs + linear(hidden, weight_hh, self.bias_hh) + from_output).tanh()
        return hidden, (hidden,)
