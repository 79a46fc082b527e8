"""Plants in TOML files: what they may say, the library, and what a good system concludes."""
