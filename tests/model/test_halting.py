"""A halting unit: whether the text goes on, and with what if it does, are told apart."""

import pytest
import torch

from charlm.errors import ConfigError
from charlm.model import LanguageModel, ModelConfig, count_parameters
from charlm.model.halting import HaltingHead

SIZE, VOCAB, STOP = 5, 9, 7


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = HaltingHead(SIZE, VOCAB, STOP)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return head


HIDDEN = torch.randn(2, 4, SIZE, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([[0, STOP, -100, 3], [8, 2, STOP, -100]])


def by_hand(head, hidden):
    """Probabilities, as the equations have them."""
    halts = torch.sigmoid(hidden @ head.halt.weight[0] + head.halt.bias)
    words = (hidden @ head.projection.weight.T + head.projection.bias).exp()
    words[..., STOP] = 0
    probabilities = (1 - halts).unsqueeze(-1) * words / words.sum(-1, keepdim=True)
    probabilities[..., STOP] = halts
    return probabilities


def test_it_is_a_distribution_over_all_the_vocabulary(head):
    found = head(HIDDEN).exp()

    torch.testing.assert_close(found.sum(-1), torch.ones(2, 4))
    torch.testing.assert_close(found, by_hand(head, HIDDEN))


def test_nats_and_loss_are_those_of_the_distribution(head):
    predicted = TARGETS >= 0
    own = by_hand(head, HIDDEN).gather(-1, TARGETS.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    expected = -own.log() * predicted

    torch.testing.assert_close(head.nats(HIDDEN, TARGETS), expected)
    torch.testing.assert_close(head.loss(HIDDEN, TARGETS), expected.sum() / predicted.sum())


def test_a_window_of_stops_alone_has_a_loss(head):
    targets = torch.full((2, 4), STOP)

    found = head.loss(HIDDEN, targets)

    torch.testing.assert_close(found, -by_hand(head, HIDDEN)[..., STOP].log().mean())


def test_gradients_are_those_of_the_distribution(head):
    hidden = HIDDEN.double().requires_grad_()
    head = head.double()

    assert torch.autograd.gradcheck(lambda x: head.loss(x, TARGETS), hidden)
    head.loss(hidden, TARGETS).backward()
    assert not head.projection.bias.grad[STOP] and head.halt.bias.grad.all()


@pytest.mark.parametrize("tied", [True, False])
def test_its_weights_are_counted(tied):
    config = ModelConfig(
        vocab_size=VOCAB, hidden_size=6, embedding_size=6, stop_by="halt", tie_embeddings=tied
    )

    counted = {part.part: part.count for part in count_parameters(config)}

    assert counted == LanguageModel(config).parameters_by_part()
    assert counted["halting unit"] == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"softmax": "adaptive", "softmax_cutoffs": (3,)}, "stop_by halt needs a full softmax"),
        ({"cell": "jordan"}, "feeds all outputs back; use --stop-by symbol"),
    ],
)
def test_what_does_not_go_with_it(settings, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(vocab_size=VOCAB, stop_by="halt", **settings)
