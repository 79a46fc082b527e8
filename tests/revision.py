"""Write a revision of the registry's tables: what the metadata has beyond the revisions so far.

    make revision ARGS=orders

writes the next ``rNNNN_orders.py`` beside the others. Read it before you commit it: what is renamed looks removed and
added, and rows that the new tables must begin with are not in it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from alembic import command

from dyncal.adapters.registry import migrations
from dyncal.adapters.registry.database import Database


def write_revision(name: str) -> Path:
    """Return the file that was written."""
    number = f"{int(migrations.REVISIONS[-1]) + 1:04d}"
    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(Database(f"sqlite:///{scratch}/registry.sqlite")) as database,
    ):
        database.prepare()
        with database.write() as connection:
            config = migrations.alembic_config(connection)
            config.set_main_option("file_template", f"r%%(rev)s_{name}")
            made = command.revision(config, f"What {name} need", autogenerate=True, rev_id=number)
    assert made is not None
    assert not isinstance(made, list)
    file = Path(made.path)
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(file)], check=True)
    return file


if __name__ == "__main__":
    sys.stdout.write(f"{write_revision(sys.argv[1])}\n")
