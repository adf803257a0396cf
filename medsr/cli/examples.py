"""An example of each command, for the end of its help."""

from __future__ import annotations

from typing import Any

EXAMPLES = {
    "demo": "medsr demo",
    "finetune": "medsr finetune retina_compact --data photographs --out runs/mine",
    "compare": "medsr compare p3_srgan_small p4_rrdn_small --data photographs",
    "upscale": "medsr upscale photographs --out finer",
    "volume": "medsr volume scan.nii.gz --out finer.nii.gz --report",
    "prepare": "medsr prepare generic_images photographs --out prepared",
    "evaluate": "medsr evaluate folder --data photographs --model medsr-retina-x2",
    "reproduce": "medsr reproduce finer.json",
    "serve": "medsr serve",
    "export": "medsr export medsr-retina-x2 --to onnx --out retina.onnx",
    "models": "medsr models recipes",
    "info": "medsr info scan.nii.gz",
    "cohort volume": "medsr cohort volume bids_folder --out refined",
    "cohort upscale": "medsr cohort upscale photographs --out finer",
    "cohort status": "medsr cohort status refined",
    "cohort retry": "medsr cohort retry refined",
    "weights list": "medsr weights list",
    "weights fetch": "medsr weights fetch realesrgan-x4plus vgg19",
    "weights import": "medsr weights import RealESRGAN_x4plus.pth",
    "weights verify": "medsr weights verify",
    "weights interpolate": "medsr weights interpolate medsr-retina-x2 mine.safetensors --out between.safetensors",
    "weights fusion": "medsr weights fusion medsr-mri --data isotropic_scans --out fusion.safetensors",
    "weights strength": "medsr weights strength mine.safetensors --data photographs --out stronger.safetensors",
}
"""By the words of the command after `medsr`. The files are the user's own."""


def add_examples(app: Any, words: str = "") -> None:
    """Put its example at the end of the help of every command of a typer application that has one."""
    for command in app.registered_commands:
        example = EXAMPLES.get(f"{words}{command.name or command.callback.__name__}")
        if example:
            command.epilog = f"\b\nExample:\n  {example}"
    for group in app.registered_groups:
        add_examples(group.typer_instance, f"{group.name} ")
