"""Changes of jobs and of what is offered, for everybody who may see them: as events, and on topics."""
