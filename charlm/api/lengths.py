"""Choice of the length of a text, for models that predict lengths."""

import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.model import LanguageModel, LengthHead

MOST = 1 << 16  # tokens; lengths from here on are not considered


class Lengths:
    """Distribution of a model over text lengths, in tokens."""

    def __init__(self, head: LengthHead, first_id: int) -> None:
        """Take the head that holds the distribution, and the input id of a length of 0."""
        with torch.no_grad():
            self._log_probs: Tensor = head.length_log_probs(
                torch.arange(MOST, device=head.projection.weight.device)
            ).cpu()
        self._first_id = first_id

    def likeliest(self, least: int) -> int:
        """Return the id of the most probable length of at least `least` tokens."""
        return self._first_id + least + int(self._from(least).argmax())

    def draw(self, least: int, seed: int) -> int:
        """Return the id of a length drawn from those of at least `least` tokens."""
        generator = torch.Generator().manual_seed(seed)
        shares = self._from(least).double().softmax(0)
        return self._first_id + least + int(shares.multinomial(1, generator=generator))

    def _from(self, least: int) -> Tensor:
        """Return log P of the lengths from `least` to `MOST` - 1 tokens.

        Raises:
            ConfigError: `least` is `MOST` or more.
        """
        if least >= MOST:
            raise ConfigError(
                f"lengths are foretold below {MOST:,} tokens, prompt and --min-new-tokens together;"
                f" here they are {least:,}."
            )
        return self._log_probs[least:]


def find_lengths(model: object) -> Lengths | None:
    """Return the length distribution of a model; None if it does not predict lengths."""
    if not isinstance(model, LanguageModel) or not isinstance(model.head, LengthHead):
        return None
    return Lengths(model.head, model.config.vocab_size)
