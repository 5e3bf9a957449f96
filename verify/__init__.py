"""Live checks: they ask the platform that stands, write only objects marked as their own, and restart nothing."""
