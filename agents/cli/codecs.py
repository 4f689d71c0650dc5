"""Reading what workers wrote, JSON or Avro, as the settings say where schemas are."""

from typing import TYPE_CHECKING

from schemas.codecs.codec import EnrichedCodec

if TYPE_CHECKING:
    from agents.settings import Settings


def enriched_codec(settings: "Settings") -> EnrichedCodec:
    """Return what decodes enriched documents."""
    if settings.schema_registry_url is None:
        return EnrichedCodec()
    from schemas.codecs.registry import RegistrySchemaIds

    return EnrichedCodec(schemas=RegistrySchemaIds(settings.schema_registry_url.get_secret_value()))
