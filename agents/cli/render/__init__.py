"""What things look like in a terminal: pure functions from our types to rich's. Nothing here prints."""
