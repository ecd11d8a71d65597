"""Changes of jobs and of what is offered, as events and on topics."""
