"""What is measured: each target in its own file, started by the runner, all in front of the same upstream."""
