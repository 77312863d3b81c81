"""Opens a model in a child process first, where the engine may die of a damaged file without taking us along.

tflite-runtime dies of one damaged file in six; LiteRT raises, as far as is known.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from edge_runtime.errors import InvokeError
from edge_runtime.inference.isolated import IsolatedBackend
from edge_runtime.inference.isolated_deadline import Deadline
from edge_runtime.inference.isolated_failures import OPEN_WITHIN_S, does_not_run
from edge_runtime.inference.isolated_process import COMMAND
from edge_runtime.inference.opening import Order
from edge_runtime.inference.threads import available_cores
from edge_runtime.inference.verdicts import NamedEngine, model_key, recall, remember

log = logging.getLogger(__name__)


def probe_once(order: Order, engine: NamedEngine, *, command: Sequence[str] = COMMAND) -> None:
    """Probe a model that this engine has not met; a file that passed once is not tried again.

    That a file failed is not remembered: it may have been the board's memory or another passing trouble.

    Raises:
        ModelError, BackendError: see `probe`.
    """
    if not recall(order.cache, _key(order, engine)).get("opens"):
        probe(order, command=command)
        trust(order, engine)


def trust(order: Order, engine: NamedEngine) -> None:
    """Remember that this engine opens the model."""
    key = _key(order, engine)
    if not recall(order.cache, key).get("opens"):
        remember(order.cache, key, {"opens": True})


def probe(order: Order, *, within_s: float = OPEN_WITHIN_S, command: Sequence[str] = COMMAND) -> None:
    """Return when a child opened the model and invoked it once.

    Raises:
        ModelError: the child died of it, hung, or the engine refuses the file or cannot invoke it.
        BackendError: the child does not start, or falls over before it comes to the model.
    """
    once = replace(order, num_threads=order.num_threads or 1)
    opened_once = Deadline(within_s)  # nothing is to be learned here
    try:
        IsolatedBackend(once, deadline=opened_once, command=command).open(within_s).close()
    except InvokeError as exc:
        raise does_not_run(order, exc) from exc
    log.debug("model probed model=%s engine=%s", order.model.name, order.engine)


def _key(order: Order, engine: NamedEngine) -> str:
    return model_key(order.model, engine, available_cores())
