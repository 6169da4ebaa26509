"""What people decide: grades of written answers and of whatever else a machine leaves to them.

    score -> rows (what waits for a person) -> sheet -> a person -> import -> database -> score

Grades are only ever added. The last one for a row counts, as long as the text that it was given
for is still the text that is handed in.
"""
