"""What runs in the background: one table of jobs, driven by Celery's clock and by hints, run on one loop a process."""
