"""Bounded passing of items from one thread to the next."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """A bounded queue that either blocks its writer when full, or lets the newest item push out the oldest.

    With room for one and the newest winning it is what a live camera needs: the reader always gets the latest frame
    and what it had no time for is counted. Blocking, it loses nothing: what a file needs.
    """

    def __init__(self, capacity: int, *, newest_wins: bool) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._newest_wins = newest_wins
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> int:
        """Add an item; return how many were lost by it: 0 or 1. An item put after closing is lost."""
        with self._changed:
            while not self._newest_wins and len(self._items) >= self._capacity and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return 1
            lost = 0
            if len(self._items) >= self._capacity:
                self._items.popleft()
                lost = 1
            self._items.append(item)
            self._changed.notify_all()
            return lost

    def put_extra(self, item: Item) -> None:
        """Add an item beyond the capacity: it waits for no reader and pushes nothing out. For a few, small items."""
        with self._changed:
            if not self._is_closed:
                self._items.append(item)
                self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> Item | None:
        """Return the oldest item; wait for one. None when closed and empty, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closed, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self, *, discard: bool = False) -> int:
        """Take nothing more; return how many items were thrown away.

        What is inside is still handed out, unless discarded. Wakes both sides.
        """
        with self._changed:
            self._is_closed = True
            discarded = len(self._items) if discard else 0
            if discard:
                self._items.clear()
            self._changed.notify_all()
            return discarded

    @property
    def is_finished(self) -> bool:
        """True when closed and empty: nothing will come any more."""
        with self._changed:
            return self._is_closed and not self._items
