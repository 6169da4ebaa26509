"""Executing on other machines, through a Dask cluster.

The seam is the sandbox's own: a box of bytes goes in, frames come out. What leaves this machine is
therefore what enters a sandbox, and no more: no name of a student, no rubric, no reference. A
worker has a sandbox and what students were given. See docs/scaling.md for who trusts whom.
"""
