"""The operators' API /admin/v1: people who sign in, permissions beside the routes, default deny."""
