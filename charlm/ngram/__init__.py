"""N-gram models over token ids: interpolated modified Kneser-Ney, and ARPA files."""

from charlm.ngram.arpa_read import read_arpa
from charlm.ngram.arpa_write import arpa_lines, write_arpa
from charlm.ngram.kneser_ney import build_kneser_ney
from charlm.ngram.model import NgramModel

__all__ = ["NgramModel", "arpa_lines", "build_kneser_ney", "read_arpa", "write_arpa"]
