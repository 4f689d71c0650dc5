"""The controller: commands in, records and events out."""
