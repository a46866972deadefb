"""The built-in health checks: one module each, imported when the settings name it."""
