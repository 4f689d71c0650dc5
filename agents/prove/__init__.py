"""``lexstream prove``: events in, processes murdered, and an independent count of what came out.

``schedule`` says who dies when, ``murders`` does it; ``events`` says what is published and what has to come of it;
``ledger``, ``checker`` and ``switches`` judge what a reader saw that shares no code with the worker.
"""
