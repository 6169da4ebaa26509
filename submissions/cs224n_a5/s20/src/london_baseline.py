def london_baseline(pairs):
    return [place for _, place in pairs].count("London")
