"""The Invoke tasks, by collection; `tasks.py` gathers them."""
