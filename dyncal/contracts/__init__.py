"""The wire: versioned messages, their topics and their codec."""
