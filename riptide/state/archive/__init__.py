"""The archive: copies of chosen types' streams in the blob store, made by every worker together."""
