"""Workers and servers that are processes of their own: whatever dies or stands still, each job ends once, in a right state."""
