"""Scoring what is kept, in processes that can be killed: `judges` outside, `worker` inside."""
