"""``python -m dyncal`` is the `dyncal` command."""

from dyncal.cli import main

main()
