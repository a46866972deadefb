"""Where messages go: `open_notifier` and the protocol behind it."""
