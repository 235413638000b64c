"""Images and their data sets: archives and formats, preparing, stores, captions, pictures of pictures."""
