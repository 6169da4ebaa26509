"""The attacks of tests/hostile, run against nbgrader and otter-grader; see attacks_on_peers.py."""
