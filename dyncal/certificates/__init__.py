"""Digital calibration certificates: PTB's DCC 3.3.0 with D-SI 2.2.1, written and read (ADR 0017).

Out: `calibration.certificate_of` → `writer.write_certificate`. In: `reader.read_certificate` →
`responses.frequency_points`, `references.parameter_vector`, `references.stated`;
`certified.certified` for dyncal's own; `signatures.read_signed` for what must have been signed.
"""
