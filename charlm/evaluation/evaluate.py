"""Exact evaluation of a text: sums over the scores of its tokens."""

from collections.abc import Iterable

from charlm.data import TextCounts
from charlm.errors import TextError
from charlm.evaluation.result import Evaluation
from charlm.evaluation.token_scores import TokenScores
from charlm.text import Tokenizer


def evaluate(scores: Iterable[TokenScores], counts: TextCounts, tokenizer: Tokenizer) -> Evaluation:
    """Sum the scores of a text's tokens, which must contain each predicted token exactly once.

    Args:
        scores: scores of all tokens except `<start>`, in parts of any size.
        counts: number of words, characters and bytes of the text.
        tokenizer: the tokenizer of the text.

    Raises:
        TextError: the text has no token to predict.
    """
    total_nats = total_nats_other = sum_squared_nats = 0.0
    num_tokens = num_other = num_stop = 0
    for part in scores:
        other = part.targets == tokenizer.other_id
        total_nats += float(part.nats.sum())
        total_nats_other += float(part.nats[other].sum())
        sum_squared_nats += float((part.nats**2).sum())
        num_tokens += len(part)
        num_other += int(other.sum())
        num_stop += int((part.targets == tokenizer.stop_id).sum())
    if num_tokens == 0:
        raise TextError("there is no token to predict in the text; name a longer one.")
    return Evaluation(
        total_nats=total_nats,
        total_nats_other=total_nats_other,
        sum_squared_nats=sum_squared_nats,
        num_tokens=num_tokens,
        num_other=num_other,
        num_stop=num_stop,
        num_words=counts.num_words,
        num_chars=counts.num_chars,
        num_bytes=counts.num_bytes,
    )
