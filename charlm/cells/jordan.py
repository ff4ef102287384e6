"""Jordan networks: cells that feed the previous output back."""

from torch import Tensor, nn
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class JordanCell(RecurrentCell):
    """Jordan cell: h' = tanh(W x + b + V softmax(o) + c), with the previous logits o = S h + d.

    Only the output feeds back (Jordan 1986; Goodfellow et al. 2016, sec. 10.2.1, fig. 10.4). The
    state is h, but the next step sees only the probabilities computed from it. `weight_hh` is V,
    (hidden_size, vocab_size); S and d belong to the softmax layer, see `listen`. Before the first
    token h is zero, so the probabilities depend on d alone.
    """

    def __init__(self, input_size: int, hidden_size: int, vocab_size: int) -> None:
        super().__init__(input_size, hidden_size, vocab_size)

    def listen(self, projection: nn.Linear) -> None:
        """Set the output layer, a linear map to vocab_size that belongs to another module."""
        self._projection = (projection,)  # nn.Module does not register what is in a tuple

    def probabilities(self, hidden: Tensor) -> Tensor:
        """Return the output probabilities, (batch, vocab_size), of a hidden vector."""
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
    """Cell that feeds both the hidden vector and the output back.

        h' = tanh(W x + b + U h + V softmax(o) + c)

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
