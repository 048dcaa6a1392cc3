"""What every room may use: validation, records, bits of torch."""
