"""Theory handed in as Markdown, LaTeX or PDF: read as text, split by question, numbers read out.

    file -> lines (`markdown`, `latex`, `pdf`) -> sections by question (`split`)
         -> tables and formulas (`tables`, `formulas`) -> what they would earn (`propose`)

Covered: a PDF is read in a process of its own with limits on time, memory and output; Markdown
and LaTeX are only ever looked at line by line. Not covered: pictures, handwriting, and what
LaTeX macros of the student's own stand for.
"""
