"""Every port, in one file a subject: storage, configuration, bills, people, queries, promises, channels, world."""
