"""The cross-entropy in stretches against torch's own with all logits at once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn.functional import cross_entropy, linear
from torch.utils._python_dispatch import TorchDispatchMode

from charlm.model import cross_entropy as module
from charlm.model.cross_entropy import IGNORED, linear_cross_entropy, linear_nats, stretches

ROWS, SIZE, VOCAB_SIZE = 9, 5, 23
LIMITS = [1, ROWS, 4 * ROWS, 11 * ROWS, (VOCAB_SIZE - 1) * ROWS, VOCAB_SIZE * ROWS, 10**6]


@pytest.fixture
def hold(monkeypatch):
    """Have no more than so many logits held at once."""

    def limit(num_logits):
        monkeypatch.setattr(module, "CPU_LOGITS", num_logits)
        monkeypatch.setattr(module, "NARROWEST", 1)

    return limit


def arguments(rows=ROWS, size=SIZE, vocab_size=VOCAB_SIZE, dtype=torch.float64):
    torch.manual_seed(0)
    tensors = [torch.randn(*shape, dtype=dtype) for shape in ((rows, size), (vocab_size, size))]
    tensors.append(torch.randn(vocab_size, dtype=dtype))
    targets = torch.randint(vocab_size, (rows,))
    targets[::4] = IGNORED
    return [tensor.requires_grad_() for tensor in tensors], targets


def plain(hidden, weight, bias, targets):
    return cross_entropy(linear(hidden, weight, bias).float(), targets, ignore_index=IGNORED)


def plain_in_float64(hidden, weight, bias, targets):
    return cross_entropy(linear(hidden, weight, bias), targets, ignore_index=IGNORED)


def assert_same(actual, expected, **tolerances):
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, **tolerances)


@pytest.mark.parametrize("limit", LIMITS)
def test_however_few_logits_are_held_loss_and_gradients_are_torchs(hold, limit):
    hold(limit)
    tensors, targets = arguments()

    loss = linear_cross_entropy(*tensors, targets)

    expected = plain_in_float64(*tensors, targets)
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(loss, tensors)
    assert_same(gradients, torch.autograd.grad(expected, tensors))


@pytest.mark.parametrize("limit", [1, 4 * ROWS])
def test_gradients_are_those_of_finite_differences(hold, limit):
    hold(limit)
    tensors, targets = arguments()

    assert gradcheck(lambda *given: linear_cross_entropy(*given, targets), tensors)


def test_in_float32_loss_and_gradients_are_close_to_float64s(hold):
    hold(10 * 50)
    tensors, targets = arguments(rows=50, size=40, vocab_size=300, dtype=torch.float32)
    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]

    loss = linear_cross_entropy(*tensors, targets)

    expected = plain_in_float64(*exact, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=0)
    gradients = [gradient.double() for gradient in torch.autograd.grad(loss, tensors)]
    assert_same(gradients, torch.autograd.grad(expected, exact), rtol=1e-4, atol=1e-6)


def test_under_autocast_it_errs_no_more_than_torchs_own(hold):
    hold(10 * 50)
    tensors, targets = arguments(rows=50, size=40, vocab_size=300, dtype=torch.float32)
    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
    with torch.autocast("cpu", torch.bfloat16):
        loss, usual = linear_cross_entropy(*tensors, targets), plain(*tensors, targets)

    expected = torch.autograd.grad(plain_in_float64(*exact, targets), exact)

    def errors(gradients):
        assert all(gradient.dtype == torch.float32 for gradient in gradients)
        return [
            float((gradient - wanted).norm() / wanted.norm())
            for gradient, wanted in zip(gradients, expected, strict=True)
        ]

    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, usual)
    ours = errors(torch.autograd.grad(loss, tensors))
    usuals = errors(torch.autograd.grad(usual, tensors))
    for our, other in zip(ours, usuals, strict=True):
        assert 0 < our < 1.25 * other  # above 0: the products were in bfloat16


def test_logits_far_apart_are_no_trouble(hold):
    hold(4 * ROWS)
    (hidden, weight, bias), targets = arguments()
    tensors = [hidden, weight, (1000 * bias.detach()).requires_grad_()]

    loss = linear_cross_entropy(*tensors, targets)

    expected = plain_in_float64(*tensors, targets)
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(loss, tensors)
    assert_same(gradients, torch.autograd.grad(expected, tensors))


@pytest.mark.parametrize("limit", [1, 10**6])
def test_where_nothing_is_predicted_loss_and_gradients_are_zero(hold, limit):
    hold(limit)
    tensors, targets = arguments()

    loss = linear_cross_entropy(*tensors, torch.full_like(targets, IGNORED))

    assert loss.item() == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, tensors))


def test_gradients_are_scaled_by_what_comes_back(hold):
    hold(1)
    tensors, targets = arguments()
    once = torch.autograd.grad(linear_cross_entropy(*tensors, targets), tensors)

    scaled = torch.autograd.grad(-2.5 * linear_cross_entropy(*tensors, targets), tensors)

    assert_same(scaled, [-2.5 * gradient for gradient in once])


def test_the_same_loss_may_go_back_several_times(hold):
    hold(1)
    tensors, targets = arguments()
    loss = linear_cross_entropy(*tensors, targets)
    once = torch.autograd.grad(loss, tensors, retain_graph=True)

    loss.backward(retain_graph=True)
    (2 * loss).backward()

    assert_same([tensor.grad for tensor in tensors], [3 * gradient for gradient in once])


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_one_gradient_alone_is_what_it_is_among_the_others(hold, wanted):
    hold(1)
    tensors, targets = arguments()
    expected = torch.autograd.grad(linear_cross_entropy(*tensors, targets), tensors)[wanted]
    for i, tensor in enumerate(tensors):
        tensor.requires_grad_(i == wanted)

    (gradient,) = torch.autograd.grad(linear_cross_entropy(*tensors, targets), tensors[wanted])

    assert gradient.equal(expected)


@pytest.mark.parametrize("limit", LIMITS)
def test_nats_do_not_depend_on_how_many_logits_are_held(hold, limit):
    hold(limit)
    tensors, targets = arguments()

    nats = linear_nats(*tensors, targets)

    log_probs = linear(*tensors).log_softmax(-1)
    expected = -log_probs.gather(1, targets.clamp(min=0)[:, None])[:, 0] * (targets != IGNORED)
    torch.testing.assert_close(nats, expected)
    gradients = torch.autograd.grad(nats.sum(), tensors)
    assert_same(gradients, torch.autograd.grad(expected.sum(), tensors))


class Watch(TorchDispatchMode):
    """The numbers in the largest tensor that was made, and the names of what made any."""

    def __init__(self):
        super().__init__()
        self.largest, self.names = 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.names.add(function.overloadpacket.__name__)
        made = result if isinstance(result, tuple) else (result,)
        sizes = [x.numel() for x in made if isinstance(x, torch.Tensor)]
        self.largest = max(self.largest, *sizes, 0)
        return result


def test_no_more_logits_are_held_than_are_allowed(hold):
    hold(1000)
    tensors, targets = arguments(rows=40, size=4, vocab_size=200)  # 8,000 logits, 800 weights

    with Watch() as training:
        linear_cross_entropy(*tensors, targets).backward()
    with Watch() as evaluating, torch.no_grad():
        linear_nats(*tensors, targets)
        linear_cross_entropy(*tensors, targets)

    assert 500 < training.largest <= 1000
    assert 500 < evaluating.largest <= 1000


def test_nothing_the_size_of_all_logits_is_kept_for_the_way_back(hold):
    hold(1000)
    tensors, targets = arguments(rows=40, size=4, vocab_size=200)
    kept = []

    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, id):
        linear_cross_entropy(*tensors, targets)

    assert sum(kept) <= 40 * 4 + 200 * 4 + 200 + 1  # the gradients; there are 8,000 logits


@pytest.mark.parametrize("grad_enabled", [True, False])
def test_gradients_that_nobody_wants_are_not_computed(hold, grad_enabled):
    hold(1)
    tensors, targets = arguments()
    tensors = [tensor.requires_grad_(not grad_enabled) for tensor in tensors]

    with Watch() as watch, torch.set_grad_enabled(grad_enabled):
        loss = linear_cross_entropy(*tensors, targets)

    torch.testing.assert_close(loss, plain_in_float64(*tensors, targets).detach())
    assert not loss.requires_grad
    assert "addmm" in watch.names and "mm" not in watch.names


@given(st.integers(1, 3000), st.integers(0, 300), st.integers(1, 10**5))
def test_stretches_cover_the_vocabulary_and_hold_few_logits(vocab_size, num_rows, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CPU_LOGITS", limit)
        parts = stretches(vocab_size, num_rows, torch.device("cpu"))

    covered = [word for part in parts for word in range(part.start, part.stop)]
    assert covered == list(range(vocab_size))
    widths = [part.stop - part.start for part in parts]
    assert max(widths) * num_rows <= max(limit, module.NARROWEST * num_rows)
    assert len(set(widths[:-1])) <= 1
