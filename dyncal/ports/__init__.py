"""Roles that technologies play. A port names the role; `dyncal.adapters` holds who plays it."""
