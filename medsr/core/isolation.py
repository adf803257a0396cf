"""Nothing from the working folder runs: files of any name may lie there, `pickle.py` and `dl/` among them.

Python looks for modules in the working folder first after `python -m` and `python -c`, and so do the children that
`multiprocessing` starts. `import medsr` comes by here: only what Python has loaded by itself may be imported.
"""

# No `from __future__`, no `typing`: both are files that the working folder could stand in for.
import os
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_CHILD = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"


def started_by_python_m() -> bool:
    """Whether Python is just looking for the module of `python -m medsr`: until it has it, argv[0] is `-m`."""
    argv = getattr(sys, "argv", [])
    if argv[:1] != ["-m"]:
        return False
    module = sys.orig_argv[-len(argv)]
    if module.startswith("-"):  # `-mmedsr`, `-ummedsr`
        module = module.partition("m")[2]
    return module == "medsr" or module.startswith("medsr.")


def leave_working_folder() -> None:
    """Take the working folder off `sys.path` where nobody put it there on purpose.

    Those who name it by its whole path in PYTHONPATH, or install a package from there, keep it.
    """
    try:
        here = os.getcwd()
    except OSError:  # removed meanwhile
        here = ""
    wanted = [
        os.path.normpath(folder)
        for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if os.path.isabs(folder)
    ]
    library = os.path.dirname(os.__file__)
    before = sys.path.index(library) if library in sys.path else len(sys.path)
    first = [folder for folder in sys.path[:before] if folder not in ("", here)]
    first[:0] = [folder for folder in (here,) if folder in wanted]
    sys.path[:] = first + [folder for folder in sys.path[before:] if folder]
    if _HOME not in sys.path:  # medsr itself, run from where it lies and not installed: after everything else
        sys.path.append(_HOME)
    if here != _HOME:
        os.environ["PYTHONSAFEPATH"] = "1"  # for children that libraries start; Python 3.11 and later


def isolate_children() -> None:
    """Have the children of `multiprocessing` start without the working folder; they get this process's `sys.path`.

    Their first imports come before they get it.
    """
    from multiprocessing import util

    flags = util._args_from_interpreter_flags  # type: ignore[attr-defined]
    if not hasattr(flags, "safe"):

        def safe() -> list[str]:
            return [*flags(), "-P" if sys.version_info >= (3, 11) else "-I"]

        safe.safe = True  # type: ignore[attr-defined]
        util._args_from_interpreter_flags = safe  # type: ignore[attr-defined]


def command(*arguments: str) -> list[str]:
    """The command line of `medsr ARGUMENTS` as a child of this process, with this process's `sys.path`."""
    return [*program("medsr.cli"), *arguments]


def program(module: str) -> list[str]:
    """The command line that calls `main()` of a module as a child of this process, with this process's `sys.path`."""
    path = [folder for folder in sys.path if folder]
    return [sys.executable, "-c", _CHILD.format(path=path, module=module)]
