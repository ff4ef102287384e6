"""How fast text becomes tokens at each level, beside the bare `tokenizers` call on all cores.

python benchmarks/encoding.py warandpeace.txt --megabytes 100
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from charlm.data import CorpusConfig, read_corpus, write_token_file
from charlm.text import TextConfig, build_tokenizer


def main() -> None:
    """Repeat the text to the size asked for, encode it, print MB/s and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    content = options.text.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.txt"
        copies = -(-options.megabytes * 10**6 // len(content))
        with large.open("wb") as file:
            for _ in range(copies):
                file.write(content)
        size = large.stat().st_size / 1e6
        for level in ("char", "byte", "word", "bpe"):
            config = TextConfig(level=level)
            small = read_corpus(CorpusConfig(paths=(str(options.text),)), config)
            tokenizer = build_tokenizer(config, small.parts["train"])
            start = time.perf_counter()
            corpus = read_corpus(CorpusConfig(paths=(str(large),), split=(100, 0, 0)), config)
            read = time.perf_counter() - start
            start = time.perf_counter()
            write_token_file(Path(folder) / "tokens", corpus.parts["train"].pieces(), tokenizer)
            encode = time.perf_counter() - start
            pieces = [p.text for p in small.parts["train"].pieces()]
            start = time.perf_counter()
            tokenizer.backend.encode_batch_fast(pieces, add_special_tokens=False)
            bare = sum(map(len, pieces)) / 1e6 / (time.perf_counter() - start)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{level:5} read and hash {size / read:7.1f} MB/s  encode to file "
                f"{size / encode:7.1f} MB/s  bare tokenizers {bare:6.1f} MB/s  "
                f"peak so far {peak:5.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
