"""Clock, errors, backoff, tasks, logs: what every part needs and no domain word."""
