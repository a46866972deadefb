"""The pure core: decisions and data without clock, disk, network, thread or environment."""
