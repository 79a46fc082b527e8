"""Shapes of requests and answers: units in the names, examples in every schema, NaN as null."""
