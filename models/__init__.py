"""What reads text: encoders, engine, heads, training, evaluation and the model store. Knows nothing of Kafka.

Letters in shapes: ``B`` segments in a micro-batch, ``T`` tokens of a segment, ``H`` hidden width, ``L`` labels,
``F`` features, ``N`` documents.
"""
