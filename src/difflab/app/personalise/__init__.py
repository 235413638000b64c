"""What stands behind the tab Personalise: a visitor's pictures, the job that trains on them, and what came of it."""
