"""A group of commands that says which one was meant."""

from difflib import get_close_matches
from typing import Any

from charlm.cli.groups import TextGroup


class SuggestingGroup(TextGroup):
    """Suggests commands that begin alike, `generate` for `gen`, or are spelt alike."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; where there is none of that name, say which there are."""
        name = args[0]
        known = self.list_commands(ctx)
        missing = name not in known and not name.startswith("-")
        if missing and not ctx.resilient_parsing and (near := similar(name, known)):
            meant = " or ".join(f"'{each}'" for each in near)
            ctx.fail(f"No such command '{name}'. Did you mean {meant}?")
        return super().resolve_command(ctx, args)


def similar(name: str, known: list[str]) -> list[str]:
    """The known names that begin as it does, or it as they; else those spelt much alike."""
    folded = name.lower()
    begun = [each for each in known if each.startswith(folded) or folded.startswith(each)]
    return begun if folded and begun else get_close_matches(folded, known)
