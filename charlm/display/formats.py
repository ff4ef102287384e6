"""Evaluation results in the output formats of KenLM and SRILM, for scripts that parse those."""

import math

from charlm.api import Measured

LOG10 = math.log(10)


def kenlm_summary(measured: Measured) -> str:
    """Return the summary in the format of KenLM's `query -v summary`."""
    found = measured.evaluation
    return "\n".join(
        (
            f"Perplexity including OOVs:\t{found.perplexity:.6g}",
            f"Perplexity excluding OOVs:\t{found.perplexity_excluding_other:.6g}",
            f"OOVs:\t{found.num_other}",
            f"Tokens:\t{found.num_tokens}",
        )
    )


def srilm_line(measured: Measured) -> str:
    """Return the lines of SRILM's `ngram -unk -ppl`: `<other>` counts as an ordinary word."""
    found = measured.evaluation
    words = found.num_tokens - found.num_stop
    return (
        f"file {measured.text}: {found.num_stop} sentences, {words} words, 0 OOVs\n"
        f"0 zeroprobs, logprob= {-found.total_nats / LOG10:.6g} "
        f"ppl= {found.perplexity:.6g} ppl1= {found.ppl1:.6g}"
    )
