"""Lives of the whole house under a seeded event loop: thousands of interleavings, kills and faults a minute."""
