"""Self-tuning: which plan serves a model fastest on this machine without answering worse.

``Tuner.plan_of`` is what an engine asks. Nothing here imports torch unless a torch backend is measured.
"""
