"""What a user can set, and where each value came from."""

from watchkeeper.settings.settings import Settings
from watchkeeper.settings.sources import Loaded, Origin, load

__all__ = ["Loaded", "Origin", "Settings", "load"]
