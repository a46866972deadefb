"""Where metrics, issues and alerts are kept: `open_store` and the protocols behind it."""
