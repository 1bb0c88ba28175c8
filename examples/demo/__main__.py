"""``python examples/demo``: every operation on real images, checked, timed, and shown in a picture."""

import sys
from pathlib import Path

# What is measured, how, and by which metric, the demonstration has in common with the benchmarks.
_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT / "bench"), str(_CHECKOUT / "examples")]

try:
    from demo.command import main
except ModuleNotFoundError as error:
    print(f"python examples/demo: there is no {error.name} here: pip install '.[demo]'", file=sys.stderr)
    sys.exit(2)

sys.exit(main())
