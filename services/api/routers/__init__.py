"""Routes by who uses them; thin: they read the request, ask, and shape the answer."""
