"""What is said of the pictures of the miniature: captions, titles, facts."""
