"""The page in the browser: `difflab app` (docs/app.md)."""
