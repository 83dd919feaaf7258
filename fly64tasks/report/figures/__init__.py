"""What the report draws: scores against dose, the correlation, the matrix of reconstructions."""
