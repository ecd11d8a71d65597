"""Live aggregates: the features of a layer counted in cells, kept up to date change by change."""
