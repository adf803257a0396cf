"""medsr: fine-tune super-resolution on your own medical images and run it on your scans.

Every command of the command line is one function here, imported when first used: `import medsr` stays light.
"""

from medsr import isolation

if isolation.started_by_python_m():  # before anything else is imported: the working folder comes first by now
    isolation.leave_working_folder()

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from medsr.benchmark.run import evaluate
    from medsr.catalogue import models
    from medsr.cohorts.run import cohort
    from medsr.comparing.run import compare
    from medsr.exports.run import export
    from medsr.fundus_demo import demo
    from medsr.infer.batch import upscale
    from medsr.prep.run import prepare
    from medsr.repeat import reproduce
    from medsr.scan.run import volume
    from medsr.serving.run import serve
    from medsr.train.run import finetune

_HOME = {
    "upscale": "medsr.infer.batch",
    "volume": "medsr.scan.run",
    "finetune": "medsr.train.run",
    "evaluate": "medsr.benchmark.run",
    "cohort": "medsr.cohorts.run",
    "compare": "medsr.comparing.run",
    "export": "medsr.exports.run",
    "prepare": "medsr.prep.run",
    "reproduce": "medsr.repeat",
    "serve": "medsr.serving.run",
    "models": "medsr.catalogue",
    "demo": "medsr.fundus_demo",
}
__all__ = [
    "__version__",
    "cohort",
    "compare",
    "demo",
    "evaluate",
    "export",
    "finetune",
    "models",
    "prepare",
    "reproduce",
    "serve",
    "upscale",
    "volume",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'medsr' has no attribute {name!r}")
