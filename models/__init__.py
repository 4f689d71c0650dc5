"""What reads text: encoders, engine, heads, training, evaluation and the model store. Knows nothing of Kafka.

Letters in shapes: ``B`` segments in a micro-batch, ``T`` tokens of a segment, ``H`` hidden width, ``L`` labels,
``F`` features, ``N`` documents.
"""

import os

# Else ONNX Runtime's builds tell their maker of machines and models (its Privacy.md); it has to stand before they load.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
