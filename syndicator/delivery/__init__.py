"""The engine: claims what is owed, sends it outside any transaction, records what came of it."""
