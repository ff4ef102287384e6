"""`charlm generate`."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli import options
from charlm.cli.options import check_utf8
from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.api import LoadedModel
    from charlm.decoding import DecodingConfig

NOT_SETTINGS = ("checkpoint", "prompt", "seed", "device", "as_json")
BEAM_ONLY = ("length_penalty", "early_stopping")


def generate(
    context: typer.Context,
    checkpoint: options.Checkpoint = None,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What the text begins with.")] = "",
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", "-n", min=1, help="Default: 400.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Below 1 safer, above 1 bolder, 0 greedy. Default: 1."),
    ] = None,
    greedy: Annotated[
        bool | None, typer.Option("--greedy", help="Always the most probable token.")
    ] = None,
    beam: Annotated[
        int | None, typer.Option(min=1, help="Search for the most probable text, N at a time.")
    ] = None,
    length_penalty: Annotated[
        float | None,
        typer.Option(help="A beam's score is log P / length ** this. 0: none. Default: 1."),
    ] = None,
    early_stopping: Annotated[
        bool | None,
        typer.Option("--early-stopping", help="End a beam search at N finished texts."),
    ] = None,
    num_return_sequences: Annotated[
        int | None, typer.Option(min=1, help="How many texts. Default: 1.")
    ] = None,
    allow_other: Annotated[
        bool | None, typer.Option("--allow-other", help="Let <other> be written.")
    ] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Write text: sampled by default, or greedily, or by beam search."""
    given = {k: v for k, v in context.params.items() if k not in NOT_SETTINGS and v is not None}
    check_flags(given, seed)

    from charlm.api import draw_seed, load
    from charlm.decoding import DecodingConfig
    from charlm.display.console import show_note

    config = DecodingConfig(**given)
    lm = load(checkpoint, device)
    check_utf8(prompt, lm.tokenizer.level)
    if unknown := lm.tokenizer.unknown(prompt):
        shown = ", ".join(repr(part) for part in unknown)
        show_note(f"the model has never seen {shown}: read as <other>.")
    seed = draw_seed() if seed is None else seed
    if as_json or config.beam is not None:
        print_whole(lm, prompt, config, seed, as_json)
    else:
        print_stream(lm, prompt, config, seed)


def check_flags(given: dict[str, Any], seed: int | None) -> None:
    """Every flag must have an effect.

    Raises:
        ConfigError: two exclude each other, or one changes nothing.
    """
    greedy = given.get("greedy") or given.get("temperature") == 0
    searches = "beam" in given
    for name in BEAM_ONLY:
        if name in given and not searches:
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"{flag} has no effect without --beam.")
    if given.get("greedy") and given.get("temperature"):
        raise ConfigError("--greedy and --temperature exclude each other; choose one.")
    if searches and ("temperature" in given or given.get("greedy")):
        raise ConfigError("--beam searches and does not sample; leave out --temperature, --greedy.")
    if seed is not None and (searches or greedy):
        raise ConfigError("--seed has no effect without sampling; leave it out.")


def print_stream(lm: "LoadedModel", prompt: str, config: "DecodingConfig", seed: int) -> None:
    """Each text as it comes, a blank line between two."""
    for index in range(config.num_return_sequences):
        sys.stdout.write("\n" * (index > 0) + prompt)
        for piece in lm.stream(prompt, config, seed=seed, index=index):
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
    sys.stdout.flush()


def print_whole(
    lm: "LoadedModel", prompt: str, config: "DecodingConfig", seed: int, as_json: bool
) -> None:
    """Texts when they are complete, as a beam's are only at its end."""
    generations = lm.generate_many(prompt, config, seed=seed)
    if as_json:
        sampled = config.beam is None and not config.is_greedy
        content = {
            "seed": seed if sampled else None,
            "texts": [asdict(generation) for generation in generations],
        }
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        print("\n\n".join(generation.prompt + generation.text for generation in generations))
    sys.stdout.flush()
