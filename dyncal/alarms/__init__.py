"""The life cycle of alarms after ISA-18.2 and IEC 62682: pure, told the time, and the same again from a snapshot."""
