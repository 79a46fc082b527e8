"""Alarms in the API service, their only writer: conditions and commands in, state, history and messages out."""
