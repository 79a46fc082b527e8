"""What a plant needs: coefficients that are measured, and a page of tables made of them (docs/capacity.md)."""
