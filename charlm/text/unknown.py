"""Warning about texts with too many `<other>` tokens for meaningful scores."""

from charlm.text.tokenizer import Level

MANY_OTHER = 0.2  # share of a text's tokens


def other_note(name: str, num_other: int, num_tokens: int, level: Level) -> str | None:
    """Return a note if more than a fifth of the tokens are `<other>`, otherwise None.

    Args:
        name: description of the text, such as `the validation part`.
        num_other: number of `<other>` tokens.
        num_tokens: number of tokens in the text.
        level: level of the tokenizer.
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
