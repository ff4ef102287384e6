import pytest

from charlm.errors import ConfigError
from charlm.training import TrainingConfig


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"bptt": -1}, "bptt must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"clip_value": 1.0}, "exclude each other"),
        ({"patience": 0}, "patience must be above 0"),
        ({"precision": "float8"}, "precision must be float32 or bfloat16"),
    ],
)
def test_settings_out_of_range_are_one_clear_line(bad, said):
    with pytest.raises(ConfigError, match=said):
        TrainingConfig(**{"steps": 1, **bad})
