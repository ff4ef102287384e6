"""What a saved state says is checked before it is used."""

import pytest
import torch

from charlm.checkpoint import load_state, save_state
from charlm.errors import CheckpointError
from charlm.training import resume_run

DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (DEEP, "nested more than 100 levels deep"),
        (f'{{"training": {{}}, "progress": {DEEP}}}', "nested more than 100 levels deep"),
        ("", "cannot be read"),
        ("[]", "has no settings of training"),
        ('{"training": []}', "has no settings of training"),
        ('{"training": {}, "progress": null}', "has no settings of progress"),
    ],
    ids=["deep", "deep within", "empty", "a list", "no settings", "no progress"],
)
def test_a_state_whose_settings_cannot_be_read_is_one_line(train, content, said):
    folder = train(steps=2)
    save_state(folder, load_state(folder)[0], content)

    with pytest.raises(CheckpointError, match=said) as error:
        resume_run(folder, torch.device("cpu"))

    assert "\n" not in str(error.value)
