"""Nouns that list when they are called bare: ``lexstream deployments`` is ``lexstream deployments list``."""

from typing import Any

from typer.core import TyperGroup


class ListByDefault(TyperGroup):
    """A group whose command is ``list`` unless another one, or help, is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` in front of nothing, or of nothing but options."""
        bare = not args or (args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx))
        return super().parse_args(ctx, ["list", *args] if bare else args)
