"""The few-image study: a subject of a few pictures is taught to a text-to-image model, by several methods and priors."""
