"""An OPC UA server of corrected values, of how far they can be trusted, and of alarms as conditions (OPC 10000-9)."""
