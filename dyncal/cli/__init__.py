"""The `dyncal` command. Nobody imports this package."""
