"""What sensors are exposed to, how they respond, and what becomes of their numbers on the way."""
