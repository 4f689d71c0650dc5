"""The data plane: documents in, enriched documents out, in one transaction per partition and window.

``loop`` drives, ``partitions`` knows whose turn it is, ``window`` decides what goes through the model together,
``decode`` and ``answers`` turn bytes into events and back, ``transactions`` makes it visible all at once.
"""
