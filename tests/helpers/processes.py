"""Code for processes of their own."""

from __future__ import annotations

ALL_IN_TURN = """
import os, sys
from medsr.cli import main
for line in sys.argv[1:]:
    sys.argv = ["medsr", *line.split(), "--debug"]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    os.write(1, f"ended with {code}\\n".encode())
"""
"""Runs every command line it is given in one process: starting takes longer than what they do."""
