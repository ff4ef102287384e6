"""Writing speed beside the loop everyone writes, in one run.

python benchmarks/decoding.py TEXT            ratios to plain PyTorch; TEXT gives the vocabularies
python benchmarks/decoding.py TEXT --tokens 1000000     a long text: time and memory as it grows
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from charlm.api import Writer
from charlm.decoding import DecodingConfig
from charlm.model import LanguageModel, ModelConfig, fastest_steps
from charlm.model.stepping import DoubleModel
from charlm.text import Tokenizer
from charlm.text.chars import CharTokenizer
from charlm.text.words import WordTokenizer

ROUNDS = 7
ENDLESS = 10**9


class PlainLoop:
    """nn.LSTM called once a token under no_grad, softmax, multinomial; the model's own weights."""

    def __init__(self, model: LanguageModel) -> None:
        config = model.config
        self.embedding = nn.Embedding.from_pretrained(model.body.embedding.weight.detach())
        self.lstm = nn.LSTM(
            config.embedding_size, config.hidden_size, config.num_layers, batch_first=True
        )
        for index, layer in enumerate(model.body.stack.recurrent_layers()):
            for name, weight in layer.fused.named_parameters():
                getattr(self.lstm, name.replace("_l0", f"_l{index}")).data.copy_(weight)
        self.output = model.head.projection

    def logits(self, tokens: list[int]) -> torch.Tensor:
        """(time, vocab_size) after each token: the same distribution as charlm's."""
        state = None
        rows = []
        with torch.no_grad():
            for token in tokens:
                hidden, state = self.lstm(self.embedding(torch.tensor([[token]])), state)
                rows.append(self.output(hidden[0, -1]))
        return torch.stack(rows)

    def tokens(self, start: int) -> Iterator[int]:
        token, state = torch.tensor([[start]]), None
        while True:
            with torch.no_grad():
                hidden, state = self.lstm(self.embedding(token), state)
                probs = torch.softmax(self.output(hidden[:, -1]), dim=-1)
                token = torch.multinomial(probs, 1)
            yield token.item()


def writing(model: object, tokenizer: Tokenizer, **settings: object) -> Iterator[object]:
    """charlm's texts, as pieces of text, without an end."""
    config = DecodingConfig(max_new_tokens=ENDLESS, ban=("<stop>",), **settings)
    writer = Writer(model, tokenizer, config)
    return writer.pieces([""], seed=1, batch_size=64)


def beaming(model: object, tokenizer: Tokenizer, **settings: object) -> Iterator[object]:
    """charlm's beam search, step by step."""
    config = DecodingConfig(max_new_tokens=ENDLESS, ban=("<stop>",), **settings)
    return Writer(model, tokenizer, config).beam_steps("")


def compare(contestants: dict[str, tuple[Iterator[object], int]], seconds: float) -> None:
    """Tokens a second of each, in turn, as medians; the first is what the others are beside."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(ROUNDS):
        for name, (iterator, chunk) in contestants.items():
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                for _ in islice(iterator, chunk):
                    count += 1
            if round_:  # the first warms up
                rates[name].append(count / (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    base = next(iter(medians.values()))
    for name, rate in medians.items():
        print(f"  {name:34} {rate:10,.0f} tokens/s {rate / base:8.2f}x", flush=True)


def compare_searches(model: object, tokenizer: Tokenizer) -> None:
    """A beam beside greedy decoding, tokens of one text a second."""
    print("  and searched")
    contestants = {
        "greedy": (writing(model, tokenizer, greedy=True), 100),
        "beam 5": (beaming(model, tokenizer, beam=5), 50),
    }
    compare(contestants, 0.7)


def lstm(tokenizer: Tokenizer, hidden_size: int, num_layers: int) -> LanguageModel:
    """A model of random weights: speed does not depend on them."""
    torch.manual_seed(1)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=hidden_size,
        embedding_size=hidden_size,
        num_layers=num_layers,
    )
    return LanguageModel(config).eval()


def check_same(plain: PlainLoop, model: LanguageModel) -> None:
    """The two say the same of a text."""
    tokens = torch.randint(model.config.vocab_size, (50,)).tolist()
    steps = fastest_steps(model, torch.get_num_threads())
    state, rows = steps.initial_state(1), []
    with torch.inference_mode():
        for token in tokens:
            logits, state = steps.step(torch.tensor([token]), state)
            rows.append(logits[0])
    differences = (torch.stack(rows).softmax(-1) - plain.logits(tokens).softmax(-1)).abs()
    print(f"  largest difference of a probability: {differences.max():.1e}")


def characters(text: str) -> None:
    """One character LSTM of 512 units."""
    tokenizer = CharTokenizer.build([text])
    model = lstm(tokenizer, 512, 1)
    plain, steps = PlainLoop(model), fastest_steps(model, torch.get_num_threads())
    print(f"1x512 characters, {tokenizer.vocab_size} in the vocabulary")
    check_same(plain, model)
    filters = {"top_p": 0.9, "min_p": 0.05, "temperature": 0.8, "repetition_penalty": 1.1}
    contestants = {
        "plain loop": (plain.tokens(tokenizer.start_id), 50),
        "charlm": (writing(steps, tokenizer), 500),
        "charlm, one thread": (writing(fastest_steps(model, 1), tokenizer), 500),
        "charlm, 4 filters": (writing(steps, tokenizer, **filters), 500),
        "charlm, 64 texts at once": (writing(steps, tokenizer, num_return_sequences=64), 6400),
        "charlm, not compiled": (
            writing(DoubleModel(model, torch.get_num_threads()), tokenizer),
            50,
        ),
    }
    compare(contestants, 0.7)
    compare_searches(steps, tokenizer)


def words(text: str) -> None:
    """Two layers of 650 units and 10,000 words, as Zaremba et al. 2014."""
    tokenizer = WordTokenizer.build([text], 10_000)
    model = lstm(tokenizer, 650, 2)
    plain, steps = PlainLoop(model), fastest_steps(model, torch.get_num_threads())
    print(f"2x650 words, {tokenizer.vocab_size:,} in the vocabulary")
    check_same(plain, model)
    contestants = {
        "plain loop": (plain.tokens(tokenizer.start_id), 20),
        "charlm": (writing(steps, tokenizer), 100),
        "charlm, 64 texts at once": (writing(steps, tokenizer, num_return_sequences=64), 640),
    }
    compare(contestants, 1.0)
    compare_searches(steps, tokenizer)


def first_character(text: str) -> None:
    """From the command to the first character on the terminal, beside `import torch`."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "text.txt"
        corpus.write_text(text[:200_000])
        command = ["charlm", "train", str(corpus), "--hidden-size", "512", "--steps", "2"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        times: dict[str, list[float]] = {"python -c 'import torch'": [], "charlm generate": []}
        for _ in range(ROUNDS):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import torch"], check=True)
            times["python -c 'import torch'"].append(time.perf_counter() - start)
            start = time.perf_counter()
            running = subprocess.Popen(
                ["charlm", "generate", "-n", "100000"], cwd=folder, stdout=subprocess.PIPE
            )
            assert running.stdout is not None
            running.stdout.read(1)
            times["charlm generate"].append(time.perf_counter() - start)
            running.kill()
            running.wait()
    print("to the first character, seconds")
    for name, seconds in times.items():
        print(f"  {name:34} {statistics.median(seconds):10.3f}", flush=True)


def long_text(text: str, num_tokens: int) -> None:
    """Time and memory of a long text, a tenth at a time."""
    tokenizer = CharTokenizer.build([text])
    model = lstm(tokenizer, 512, 1)
    pieces = writing(fastest_steps(model, torch.get_num_threads()), tokenizer)
    print(f"1x512 characters, a text of {num_tokens:,} tokens")
    for tenth in range(1, 11):
        start = time.perf_counter()
        for _ in islice(pieces, num_tokens // 10):
            pass
        rate = num_tokens / 10 / (time.perf_counter() - start)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  {tenth * num_tokens // 10:12,} {rate:10,.0f} tokens/s {memory:8.1f} MiB")


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", type=int, help="Write one text of this length instead.")
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8")
    if options.tokens:
        long_text(text, options.tokens)
        return
    parts: tuple[Callable[[str], None], ...] = (characters, words, first_character)
    for part in parts:
        part(text)


if __name__ == "__main__":
    main()
