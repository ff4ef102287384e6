"""Models prepared for single decoding steps, packed where possible."""

from copy import deepcopy

from torch import Tensor

from charlm.cells import State
from charlm.device import threads
from charlm.kernels import load_kernel
from charlm.model.adaptive import AdaptiveHead
from charlm.model.language_model import HiddenStepModel, LanguageModel
from charlm.model.packed import PackedAdaptiveModel, PackedModel, can_pack


class DoubleModel:
    """Step model in float64 with torch, for CPUs without a compiled kernel for the model.

    Matrix products round differently for each batch size, but in float64 the differences are so
    small that a generated text does not depend on the batch size.
    """

    def __init__(self, model: LanguageModel, num_threads: int) -> None:
        self._model = deepcopy(model).double().eval()
        self._num_threads = num_threads

    def initial_state(self, batch_size: int) -> State:
        return self._model.initial_state(batch_size)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        with threads(self._num_threads):
            return self._model.step(tokens, state)

    def hidden(self, state: State) -> Tensor:
        return self._model.hidden(state)


def fastest_steps(model: LanguageModel, num_threads: int) -> HiddenStepModel:
    """Return the fastest step model for decoding on the model's device.

    On a CPU it holds a copy of the current weights; elsewhere it is the model itself.
    """
    if model.device.type != "cpu":
        return model
    if load_kernel() is None or not can_pack(model):
        return DoubleModel(model, num_threads)
    if isinstance(model.head, AdaptiveHead):
        return PackedAdaptiveModel(model, num_threads)
    return PackedModel(model, num_threads)
