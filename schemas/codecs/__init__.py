"""How events become bytes and bytes events: JSON, or Avro in Confluent's wire format.

Document events and enriched documents have both forms. Everything else (commands, control events, records, labels)
is JSON only: their readers are Lexstream's own processes, and their values hold parts without a fixed schema.
"""

from schemas.codecs.codec import DocumentCodec, EnrichedCodec

__all__ = ["DocumentCodec", "EnrichedCodec"]
