"""How long a text is to be, for models that foretell it."""

import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.model import LanguageModel, LengthHead

MOST = 1 << 16  # tokens; longer texts are not foretold


class Lengths:
    """The lengths that a model gives texts, by their probability."""

    def __init__(self, head: LengthHead, first_id: int) -> None:
        """Take the distribution, and the id that tells a length of 0."""
        with torch.no_grad():
            self._log_probs: Tensor = head.length_log_probs(
                torch.arange(MOST, device=head.projection.weight.device)
            ).cpu()
        self._first_id = first_id

    def likeliest(self, least: int) -> int:
        """The id of the most probable length of so many tokens or more."""
        return self._first_id + least + int(self._from(least).argmax())

    def draw(self, least: int, seed: int) -> int:
        """The id of a length drawn among those of so many tokens or more."""
        generator = torch.Generator().manual_seed(seed)
        shares = self._from(least).double().softmax(0)
        return self._first_id + least + int(shares.multinomial(1, generator=generator))

    def _from(self, least: int) -> Tensor:
        """Log P of lengths of so many tokens and more.

        Raises:
            ConfigError: so long a text is not foretold.
        """
        if least >= MOST:
            raise ConfigError(
                f"lengths are foretold below {MOST:,} tokens, prompt and --min-new-tokens together;"
                f" here they are {least:,}."
            )
        return self._log_probs[least:]


def find_lengths(model: object) -> Lengths | None:
    """The lengths of a model, if it foretells them."""
    if not isinstance(model, LanguageModel) or not isinstance(model.head, LengthHead):
        return None
    return Lengths(model.head, model.config.vocab_size)
