import torch

from charlm.model import ModelConfig
from charlm.training import TrainingConfig, measure
from charlm.training.measure import measure_step


def test_measuring_takes_steps_and_leaves_the_random_numbers_alone(monkeypatch):
    monkeypatch.setattr(measure, "MEASURE_SECONDS", 0.05)
    model = ModelConfig(vocab_size=9, hidden_size=8, embedding_size=8)
    training = TrainingConfig(steps=1, batch_size=2, bptt=4)
    before = torch.get_rng_state()

    seconds = measure_step(model, training, torch.device("cpu"))

    assert 0 < seconds < 0.1
    assert torch.equal(torch.get_rng_state(), before)
