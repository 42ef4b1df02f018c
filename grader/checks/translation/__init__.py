"""What the labs have in common in which packets are translated: packets, what is said of them, and the trial."""
