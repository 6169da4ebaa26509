def london_baseline(pairs):
    correct = 0
    for _, place in pairs:
        if place == "London":
            correct += 1
    return correct / 100
