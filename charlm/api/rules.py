"""Conversion of bans and biases from text to token ids."""

from charlm.data import Direction
from charlm.decoding import Bans, DecodingConfig, Rules, tokens_with
from charlm.errors import ConfigError
from charlm.text import OTHER, START, STOP, Tokenizer


def token_rules(
    config: DecodingConfig, tokenizer: Tokenizer, direction: Direction = "forward"
) -> Rules:
    """Return the bans and biases of a configuration, which are texts, as token ids.

    For a backward model, banned strings and spellings are reversed.

    Raises:
        ConfigError: a ban or bias has a text that the model does not know, or has no effect, or a
            bias is on a text of several tokens.
    """
    special = special_tokens(tokenizer)
    barred = {tokenizer.start_id}
    if not config.allow_other:
        barred.add(tokenizer.other_id)
    for text in config.ban:
        if text in special and special[text] in barred:
            raise ConfigError(f"a ban on {text} has no effect: it is never written.")
    barred |= {special[text] for text in config.ban if text in special}
    strings = [spell(text, tokenizer) for text in config.ban if text not in special]
    spellings = tokenizer.spellings() if strings else []
    for string in strings:
        barred |= set(tokens_with(string, spellings))
    bias: dict[int, float] = {}
    for text, value in config.bias.items():
        token = single_token(text, tokenizer, config)
        if token in barred or token in bias:
            why = "it is banned" if token in barred else "another one is on the same token"
            raise ConfigError(f"the bias on {text!r} has no effect: {why}.")
        bias[token] = value
    longer = [string for string in strings if len(string) > 1]
    if direction == "backward":
        longer = [string[::-1] for string in longer]
        spellings = [spelling[::-1] for spelling in spellings]
    return Rules(
        vocab_size=tokenizer.vocab_size,
        stop_id=tokenizer.stop_id,
        barred=tuple(sorted(barred)),
        bias=bias,
        bans=Bans(longer, spellings) if longer else None,
    )


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """Return the ids of `<start>`, `<stop>` and `<other>` by name."""
    return {START: tokenizer.start_id, STOP: tokenizer.stop_id, OTHER: tokenizer.other_id}


def spell(text: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the symbols of a text.

    Raises:
        ConfigError: the text is empty, or has symbols that the model does not know.
    """
    symbols = tokenizer.spell(text)
    if tokenizer.unknown(text) or not symbols:
        raise ConfigError(
            f"{text!r} is no token of this {tokenizer.level} model; "
            "`charlm vocab show` lists its tokens."
        )
    return symbols


def single_token(text: str, tokenizer: Tokenizer, config: DecodingConfig) -> int:
    """Return the id of the single token of a text.

    Raises:
        ConfigError: the text is unknown, is several tokens, or is a token that is never written.
    """
    special = special_tokens(tokenizer)
    if text == START or (text == OTHER and not config.allow_other):
        hint = "; add --allow-other" if text == OTHER else ""
        raise ConfigError(f"a bias on {text} has no effect: it is never written{hint}.")
    if text in special:
        return special[text]
    spell(text, tokenizer)
    tokens = tokenizer.encode(text)
    if len(tokens) > 1:
        raise ConfigError(
            f"{text!r} is {len(tokens)} tokens of this {tokenizer.level} model; a bias takes one."
        )
    return tokens[0]
