"""The demo: a real shop under real load, with an hour of made history and real incidents."""
