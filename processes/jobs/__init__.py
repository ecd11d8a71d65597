"""The queue of jobs, kept in the database: every change of a job is one of the operations here."""
