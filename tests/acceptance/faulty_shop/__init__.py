"""A small shop with deliberate bugs, the same ones behind Flask, FastAPI and Django."""
