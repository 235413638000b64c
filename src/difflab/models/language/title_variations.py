"""Three variations of a title by a chat model: the request."""

SYSTEM = "You give pictures new titles. Answer with a numbered list of three titles and nothing else."
REQUEST = (
    "Write three variations of this title. Each fits the same picture, names the same things in 2 to 10 words, "
    "and differs from the title and from the others by more than the order of its words."
)


def messages(title: str) -> list[dict[str, str]]:
    """The conversation that asks for variations of a title, in the form that `apply_chat_template` takes."""
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"{REQUEST}\nTitle: {title}"},
    ]
