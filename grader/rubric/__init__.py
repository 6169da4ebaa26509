"""Rubrics: YAML that a person writes, read into checked models."""

from grader.rubric.load import load_rubric
from grader.rubric.model import Check, CheckParams, Mistake, Question, Rubric

__all__ = ["Check", "CheckParams", "Mistake", "Question", "Rubric", "load_rubric"]
