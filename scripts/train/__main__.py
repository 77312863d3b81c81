"""Make the bundled models from nothing: ``python -m scripts.train --output runs/shapes --models models``.

Draws scenes, trains, exports, makes every variant, measures them all and writes the tables. Each stage keeps what it
made in the output folder and is skipped where that is there, so that an interrupted run goes on where it was; delete
the folder to begin anew. Takes about two hours on two cores, needs the extra ``[train]`` and no network.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from scripts.train import stages

log = logging.getLogger("scripts.train")

STAGES = {
    "train": stages.train,
    "export": stages.export_parent,
    "variants": stages.make_variants,
    "finetune": stages.finetune_variants,
    "seeds": stages.compare_seeds,
    "measure": stages.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.train", description="Make the bundled models.")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="scenes, weights, what is unfinished")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="where finished models go")
    parser.add_argument("--scenes", type=int, default=12_000, metavar="N", help="to draw; three pictures of each")
    parser.add_argument("--epochs", type=int, default=8, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--held-out", type=int, default=1000, metavar="N", help="scenes to measure accuracy on")
    parser.add_argument("--only", choices=STAGES, help="one stage; default is all that are not done")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    args.output.mkdir(parents=True, exist_ok=True)
    args.models.mkdir(parents=True, exist_ok=True)
    for name, stage in STAGES.items():
        if args.only in (None, name):
            log.info("stage=%s", name)
            stage(args)


if __name__ == "__main__":
    main()
