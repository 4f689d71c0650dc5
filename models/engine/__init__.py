"""The engine: loaded models that read windows of documents, on one of several backends."""
