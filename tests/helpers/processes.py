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

EACH_BY_ITSELF = """
import json, sys
from medsr.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["medsr", *arguments]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    print("ended with", code, file=sys.stderr, flush=True)
"""
"""Runs every list of arguments in one process, too, without `--debug`; what each said on stderr ends with its code."""
