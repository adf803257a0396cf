"""medsr: fine-tune super-resolution on your own medical images and run it on your scans.

Every command of the command line is one function here, imported when first used: `import medsr` stays light.
"""

from medsr.core import isolation

if isolation.started_by_python_m():  # before anything else is imported: the working folder comes first by now
    isolation.leave_working_folder()

from typing import TYPE_CHECKING, Any

from medsr.core.version import __version__

if TYPE_CHECKING:
    from medsr.commands.cohort.run import cohort
    from medsr.commands.compare.run import compare
    from medsr.commands.demo import demo
    from medsr.commands.evaluate.lesions.run import evaluate_lesions
    from medsr.commands.evaluate.run import evaluate
    from medsr.commands.export.run import export
    from medsr.commands.finetune import finetune
    from medsr.commands.models.run import models
    from medsr.commands.prepare.run import prepare
    from medsr.commands.reproduce import reproduce
    from medsr.commands.serve.run import serve
    from medsr.commands.upscale.run import upscale
    from medsr.commands.volume.run import volume

_HOME = {
    "upscale": "medsr.commands.upscale.run",
    "volume": "medsr.commands.volume.run",
    "finetune": "medsr.commands.finetune",
    "evaluate": "medsr.commands.evaluate.run",
    "evaluate_lesions": "medsr.commands.evaluate.lesions.run",
    "cohort": "medsr.commands.cohort.run",
    "compare": "medsr.commands.compare.run",
    "export": "medsr.commands.export.run",
    "prepare": "medsr.commands.prepare.run",
    "reproduce": "medsr.commands.reproduce",
    "serve": "medsr.commands.serve.run",
    "models": "medsr.commands.models.run",
    "demo": "medsr.commands.demo",
}
__all__ = [
    "__version__",
    "cohort",
    "compare",
    "demo",
    "evaluate",
    "evaluate_lesions",
    "export",
    "finetune",
    "models",
    "prepare",
    "reproduce",
    "serve",
    "upscale",
    "volume",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'medsr' has no attribute {name!r}")
