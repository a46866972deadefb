"""The simulations are those of the benchmarks, on fewer days."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))
