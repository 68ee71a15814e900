"""``python -m infrastructure.main`` is ``medianest``."""

from infrastructure.main import main

main()
