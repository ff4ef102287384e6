"""Adaptive softmax against a derivation by hand, torch's own, and itself without shortcuts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck
from torch.nn.functional import embedding

from charlm.device import threads
from charlm.model import cross_entropy
from charlm.model.adaptive import AdaptiveHead, log_probs
from charlm.model.clusters import Clusters
from charlm.model.cross_entropy import IGNORED

SIZE, VOCAB_SIZE = 5, 17
CUTOFFS = [(1,), (13,), (4, 9), (2, 3, 8), (6, 12, 13)]


def random_head(cutoffs=(4, 9), size=SIZE, vocab_size=VOCAB_SIZE, seed=0):
    """A head whose every weight matters, in float64."""
    torch.manual_seed(seed)
    head = AdaptiveHead(size, vocab_size, cutoffs).double()
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    return head


def hidden_and_targets(*shape):
    hidden = torch.randn(*shape, SIZE, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(VOCAB_SIZE, shape)
    targets[torch.rand(shape) < 0.2] = IGNORED
    return hidden, targets


def naive_log_prob(head, hidden, word):
    """The two steps for one hidden vector and one word, in numpy."""
    weight, bias, cluster_weight, cluster_bias = (
        parameter.detach().numpy()
        for part in (head.projection, head.cluster_projection)
        for parameter in (part.weight, part.bias)
    )
    scores, cluster_scores = weight @ hidden + bias, cluster_weight @ hidden + cluster_bias
    cuts, specials = [*head.clusters.cutoffs, VOCAB_SIZE - 3], VOCAB_SIZE - 3
    normaliser = np.exp(scores[: cuts[0]]).sum() + np.exp(scores[specials:]).sum()
    normaliser += np.exp(cluster_scores).sum()
    if word < cuts[0] or word >= specials:
        return scores[word] - np.log(normaliser)
    cluster = max(i for i, cut in enumerate(cuts) if cut <= word)
    inside = scores[cuts[cluster] : cuts[cluster + 1]]
    within = scores[word] - np.log(np.exp(inside).sum())
    return cluster_scores[cluster] - np.log(normaliser) + within


@pytest.mark.parametrize("cutoffs", CUTOFFS)
def test_log_probabilities_are_those_of_the_two_steps_by_hand(cutoffs):
    head, hidden = random_head(cutoffs), torch.randn(3, SIZE, dtype=torch.float64)

    log_probs = head(hidden)

    assert log_probs.dtype == torch.float32
    expected = [
        [naive_log_prob(head, row, word) for word in range(VOCAB_SIZE)] for row in hidden.numpy()
    ]
    np.testing.assert_allclose(log_probs.detach(), expected, rtol=1e-5)


@given(
    st.sets(st.integers(1, VOCAB_SIZE - 4), min_size=1),
    st.integers(0, 10**6),
    st.floats(0.01, 30.0),
)
def test_probabilities_sum_to_one(cutoffs, seed, scale):
    head = random_head(tuple(sorted(cutoffs)), seed=seed)

    probs = head(scale * torch.randn(4, SIZE, dtype=torch.float64)).double().exp()

    assert (probs >= 0).all()
    torch.testing.assert_close(probs.sum(-1), torch.ones(4, dtype=torch.float64), rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(), (7,), (2, 30), (2, 3, 4)])
@pytest.mark.parametrize("cutoffs", CUTOFFS)
def test_nats_are_the_negative_log_probabilities_of_the_targets(cutoffs, shape):
    head = random_head(cutoffs)
    hidden, targets = hidden_and_targets(*shape)

    nats = head.nats(hidden, targets)

    picked = head(hidden).double().gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    assert nats.shape == shape
    torch.testing.assert_close(nats, -picked * (targets != IGNORED), rtol=1e-5, atol=1e-6)


def targets_of(name):
    targets = torch.randint(VOCAB_SIZE, (40,))
    targets[::7] = IGNORED
    match name:
        case "one in the last cluster":
            targets[targets >= 9] = 2
            targets[5] = 11
        case "none in a cluster":
            targets[(targets >= 4) & (targets < 9)] = 15
        case "shortlist only":
            targets %= 4
        case "clusters only":
            targets = 4 + targets.clamp(min=0) % 10
        case "all ignored":
            targets[:] = IGNORED
        case "no rows":
            targets = targets[:0]
    return targets


@pytest.mark.parametrize("limit", [1, 100, 10**6])
@pytest.mark.parametrize(
    "name",
    [
        *("anything", "one in the last cluster", "none in a cluster", "shortlist only"),
        *("clusters only", "all ignored", "no rows"),
    ],
)
def test_loss_and_gradients_are_those_of_the_mean_of_the_nats(name, limit, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CPU_LOGITS", limit)
    monkeypatch.setattr(cross_entropy, "NARROWEST", 1)
    head, targets = random_head(), targets_of(name)
    hidden = torch.randn(len(targets), SIZE, dtype=torch.float64, requires_grad=True)
    tensors = [hidden, *head.parameters()]

    loss = head.loss(hidden, targets)

    expected = head.nats(hidden, targets).sum() / max(1, int((targets != IGNORED).sum()))
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(3 * loss, tensors)
    for actual, wanted in zip(gradients, torch.autograd.grad(3 * expected, tensors), strict=True):
        torch.testing.assert_close(actual, wanted)


def test_gradients_are_those_of_finite_differences():
    head = random_head()
    hidden, targets = hidden_and_targets(2, 7)

    def loss(hidden, *weights):
        names = [name for name, _ in head.named_parameters()]
        given = dict(zip(names, weights, strict=True))
        wrapped = nn.Module()
        wrapped.head = head
        wrapped.forward = lambda: head.loss(hidden, targets)
        return torch.func.functional_call(wrapped, {f"head.{n}": w for n, w in given.items()}, ())

    assert gradcheck(loss, (hidden, *head.parameters()))


def test_without_gradients_the_loss_is_the_same():
    head = random_head()
    hidden, targets = hidden_and_targets(2, 7)

    with torch.no_grad():
        loss = head.loss(hidden, targets)

    torch.testing.assert_close(loss, head.loss(hidden, targets).detach())


@pytest.mark.parametrize("cutoffs", CUTOFFS)
def test_torchs_adaptive_softmax_with_these_weights_says_the_same(cutoffs):
    head = random_head(cutoffs)
    first, cuts = cutoffs[0] + 3, [cut + 3 for cut in cutoffs]  # the specials behind the shortlist
    theirs = nn.AdaptiveLogSoftmaxWithLoss(
        SIZE, VOCAB_SIZE, cuts, div_value=1, head_bias=True, dtype=torch.float64
    )
    order = [*range(cutoffs[0]), *range(VOCAB_SIZE - 3, VOCAB_SIZE)]
    order += range(cutoffs[0], VOCAB_SIZE - 3)
    with torch.no_grad():
        head.projection.bias[cutoffs[0] : -3] = 0  # its clusters have no biases
        weight = head.projection.weight[order]
        theirs.head.weight.copy_(torch.cat([weight[:first], head.cluster_projection.weight]))
        bias = head.projection.bias[order][:first]
        theirs.head.bias.copy_(torch.cat([bias, head.cluster_projection.bias]))
        ends = [*cuts[1:], VOCAB_SIZE]
        for tail, start, end in zip(theirs.tail, cuts, ends, strict=True):
            tail[0].weight.copy_(torch.eye(SIZE))
            tail[1].weight.copy_(weight[start:end])
    hidden, targets = hidden_and_targets(30)
    targets = targets.clamp(min=0)

    log_probs, loss = head(hidden), head.loss(hidden, targets)

    torch.testing.assert_close(log_probs[:, order], theirs.log_prob(hidden).float())
    torch.testing.assert_close(loss, theirs(hidden, torch.tensor(order).argsort()[targets]).loss)


def test_a_matrix_that_is_the_embeddings_too_gets_both_gradients():
    tokens, (_, targets) = torch.randint(VOCAB_SIZE, (2, 30)), hidden_and_targets(2, 30)
    tied, free = random_head(), random_head()
    tied.projection.weight = weight = nn.Parameter(tied.projection.weight.detach().clone())
    table = weight.detach().clone().requires_grad_()

    tied.loss(embedding(tokens, weight).tanh(), targets).backward()

    free.loss(embedding(tokens, table).tanh(), targets).backward()
    assert table.grad.any() and free.projection.weight.grad.any()
    torch.testing.assert_close(weight.grad, table.grad + free.projection.weight.grad)


def test_under_autocast_it_errs_as_little_as_bfloat16_lets_it():
    torch.manual_seed(0)
    head = AdaptiveHead(64, 300, (30, 100))
    hidden, targets = torch.randn(200, 64, requires_grad=True), torch.randint(300, (200,))
    tensors = [hidden, *head.parameters()]
    exact = head.loss(hidden, targets)

    with torch.autocast("cpu", torch.bfloat16):
        loss = head.loss(hidden, targets)

    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=1e-3, atol=0)
    gradients = torch.autograd.grad(loss, tensors)
    for actual, wanted in zip(gradients, torch.autograd.grad(exact, tensors), strict=True):
        assert actual.dtype == torch.float32
        assert 0 < (actual - wanted).norm() < 0.03 * wanted.norm()


def test_log_probabilities_are_float32_whatever_the_weights_are():
    head = AdaptiveHead(SIZE, VOCAB_SIZE, (4, 9)).to(torch.bfloat16)

    assert head(torch.randn(2, SIZE, dtype=torch.bfloat16)).dtype == torch.float32


def test_as_far_as_the_biases_go_all_words_begin_alike():
    head = AdaptiveHead(SIZE, VOCAB_SIZE, (4, 9))

    probs = head(torch.zeros(SIZE)).exp()

    torch.testing.assert_close(probs, torch.full((VOCAB_SIZE,), 1 / VOCAB_SIZE))


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_rows_log_probabilities_are_the_same_bits_in_any_batch(num_threads):
    division = Clusters(40_003, (300, 5_000))
    torch.manual_seed(0)
    words, clusters = 9 * torch.randn(13, 40_003), 9 * torch.randn(13, 2)
    together = log_probs(words, clusters, division)

    with threads(num_threads):
        for size in (1, 2, 3, 12):
            rows = torch.randperm(13)[:size]
            assert log_probs(words[rows], clusters[rows], division).equal(together[rows])


def test_extreme_scores_are_no_trouble():
    division = Clusters(8, (2, 4))
    words = torch.tensor([3e4, -3e4, 0.0, 9e3, 5.0, -8e8, 7.0, 1e4])

    result = log_probs(words, torch.tensor([2e4, -1e6]), division)

    assert not result.isnan().any()
    assert result.exp().sum().item() == pytest.approx(1)
    assert result[0] == 0
    assert result[2].item() == pytest.approx(2e4 - 3e4 - 9e3)
    assert math.isclose(result[4].item(), -1e6 - 3e4, rel_tol=1e-6)
