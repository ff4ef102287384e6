"""recipe.toml: every setting of a run, so that it can be repeated."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charlm.data import CorpusConfig
from charlm.errors import ConfigError
from charlm.model import ModelConfig, default_cutoffs
from charlm.settings import pick, reason, setting_names, shown
from charlm.text import TextConfig
from charlm.training.config import TrainingConfig
from charlm.untrusted import MAX_RECIPE_BYTES, parse_toml, read_regular

SECTIONS = {
    "corpus": CorpusConfig,
    "text": TextConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
}


@dataclass(frozen=True, slots=True)
class Length:
    """Three ways to say how long, of which a run takes one; `time` is such as "5m"."""

    time: str | None = None
    epochs: float | None = None
    steps: int | None = None


LENGTHS = ("time", "epochs", "steps")
FOLLOWING = {"vocab_size", "num_labels"}  # from the text


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a run; its TOML has a section for each kind."""

    corpus: CorpusConfig
    text: TextConfig
    model: ModelConfig
    training: TrainingConfig

    def to_toml(self) -> str:
        """The content of recipe.toml. Settings that are None are left out: TOML has no None."""
        lines = ["# Repeat this run with `charlm train --recipe recipe.toml`."]
        for section, config in asdict(self).items():
            lines += ["", f"[{section}]"]
            for name, value in config.items():
                if value is not None and value != () and not self._follows(section, name):
                    lines.append(f"{name} = {toml_value(value)}")
        return "\n".join(lines) + "\n"

    def _follows(self, section: str, name: str) -> bool:
        """Whether a setting follows from the text, so that on another one it would be wrong."""
        if section != "model":
            return False
        if name == "softmax_cutoffs":
            return self.model.softmax_cutoffs == default_cutoffs(self.model.vocab_size)
        return name in FOLLOWING


def toml_value(value: str | int | float | bool | tuple[Any, ...]) -> str:
    """A value as TOML writes it, which for these types is how JSON does."""
    return json.dumps(value, ensure_ascii=False)


def own_recipes() -> dict[str, Path]:
    """The recipes that come with charlm, by name."""
    here = Path(__file__).parent / "recipes"  # in a wheel
    checkout = Path(__file__).parents[2] / "recipes"
    folder = here if here.exists() else checkout
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings of a recipe.toml by name, from all sections; it may leave any out.

    Args:
        path: a file, or the name of one of charlm's own.

    Raises:
        ConfigError: it cannot be read, or has a section or a setting that is not known.
    """
    own = own_recipes()
    try:
        found = path if path.exists() else own.get(str(path), path)
        content = parse_toml(read_regular(found, MAX_RECIPE_BYTES))
    except FileNotFoundError:
        known = ", ".join(own)
        raise ConfigError(
            f"{path} does not exist; name a recipe.toml, or one of charlm's own: {known}."
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; name the recipe.toml in it.") from None
    except (OSError, ValueError) as error:  # TOML's errors, and numbers of thousands of digits
        raise ConfigError(f"{path} cannot be read as TOML: {reason(error)}.") from error
    given: dict[str, Any] = {}
    for section, settings in content.items():
        if section not in SECTIONS or not isinstance(settings, dict):
            known = ", ".join(SECTIONS)
            raise ConfigError(f"{path} has an unknown section {shown(section)}; there are {known}.")
        names = known_settings(section)
        for name in settings:
            if name not in names:
                raise ConfigError(f"{path} has an unknown setting {shown(name)} in [{section}].")
        listed = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        given |= pick(SECTIONS[section], listed) | pick(Length, listed)
    return given


def known_settings(section: str) -> set[str]:
    """The names that may stand in a section."""
    names = setting_names(SECTIONS[section])
    if section == "training":
        names |= set(LENGTHS)
    return names - FOLLOWING if section == "model" else names
