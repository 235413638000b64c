"""The models of the study: each role trained here in miniature, or pointed to on the Hub."""
