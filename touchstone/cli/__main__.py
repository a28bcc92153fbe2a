"""``python -m touchstone.cli`` is ``touchstone``."""

from touchstone.cli import main

if __name__ == "__main__":
    main()
