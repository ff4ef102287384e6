"""Texts of which too much is `<other>` for their figures to mean what they say."""

from charlm.text.tokenizer import Level

MANY_OTHER = 0.2  # of a text's tokens


def other_note(name: str, num_other: int, num_tokens: int, level: Level) -> str | None:
    """Say that more than a fifth of a text is `<other>` and what follows; None: less is.

    Args:
        name: what the text is called, such as `the validation part`.
        num_other: tokens that are `<other>`.
        num_tokens: of the text.
        level: of the tokens.
    """
    if num_other <= MANY_OTHER * num_tokens:
        return None
    kind, instead = {
        "word": ("words", "--level bpe or --level char"),
        "char": ("characters", "--level bpe or --level byte"),
    }.get(level, ("symbols", "another text"))
    return (
        f"{num_other / num_tokens:.0%} of the tokens of {name} are <other>: perplexity means "
        f"little, and bits per character are too low, since unknown {kind} are not spelled out; "
        f"train with {instead}."
    )
