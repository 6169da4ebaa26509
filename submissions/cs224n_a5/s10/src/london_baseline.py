def london_baseline(pairs):
    return sum(1 for pair in pairs if pair[1] == "London") / len(pairs)
