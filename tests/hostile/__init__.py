"""What hostile students try, run for real: see docs/security.md."""
