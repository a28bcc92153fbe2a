"""An example model of texts: is a post advertising, or a scam? It reads bytes, so a contract can hand it a text as it is.

Every three bytes in a row, without regard to case, choose a row of a table; the rows are added up. The posts that it is trained
on are written below, so it knows some fifty kinds of sentences and is no moderator to rely on. Training takes a second or two,
when this file is imported.

    touchstone model build examples.moderation:network --samples examples.moderation:samples -o moderation
"""

import itertools

import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

LENGTH = 160
"""Bytes of a text, with zeros behind it."""

ROWS = 4096
ACCEPTABLE, ADVERTISING = 0, 1

NAMES = ("Anna", "Ben", "Carla", "Deniz", "Emil")
THINGS = ("bicycle", "kitchen table", "guitar", "camera", "winter coat")
PLACES = ("the library", "the station", "our street", "the old harbour", "the town hall")
SUMS = ("$500", "$2,000", "10,000 dollars", "5 ETH", "$99")

POSTS = {
    ACCEPTABLE: (
        "Does anybody know when {place} opens on Sundays?",
        "Thanks to everyone who helped at {place} yesterday.",
        "I have lost my {thing} near {place}. Please write if you find it.",
        "{name} and I are looking for someone to play chess with.",
        "What do you think of the new benches at {place}?",
        "My {thing} needs a repair. Who can recommend a workshop?",
        "{name} is giving a talk about birds at {place} tonight.",
        "The meeting is moved to Thursday, {name} will bring the notes.",
        "I disagree with {name}, the trees there should stay.",
        "It rained all day, so we stayed in and baked bread.",
        "Has anyone seen a grey cat around {place}?",
        "We paid {sum} for the roof, and it still leaks.",
        "{name} wrote a good answer to that, see the second page.",
        "The train from {place} was late again this morning.",
        "How do I get the rust off an old {thing}?",
        "I liked the concert, but it was too loud for {name}.",
        "Is the swimming pool closed because of the holidays?",
        "Congratulations to {name} on the exam!",
        "The council discusses {place} next week; come and listen.",
        "I am learning to draw. Here is my first {thing}.",
        "{name}, could you explain the last step once more?",
        "Our team lost three to one, but it was a fair game.",
        "The recipe says two eggs, I used three.",
        "Someone left a {thing} in front of {place}.",
    ),
    ADVERTISING: (
        "Earn {sum} a week from home, no experience needed!",
        "Click here to claim your free {thing} now!",
        "You have won {sum}! Send your details to claim the prize.",
        "Buy now and get 70% off every {thing}, limited offer!",
        "Double your money: send {sum} and get twice as much back.",
        "Best price guaranteed, order your {thing} today at our shop!",
        "Hot deal! Free shipping on every {thing}, click the link.",
        "Make {sum} a day with this one simple trick!",
        "Your account is locked. Verify your password at this link now.",
        "Congratulations, winner! Click the link for your {sum} gift card.",
        "Invest {sum} today and become rich, profit guaranteed!",
        "Cheap {thing} for sale, discount code SAVE50, buy today!",
        "Get followers fast! Visit our site for a special offer.",
        "Act now, only a few left: {thing} at half price!",
        "Work from home and earn {sum} guaranteed, sign up free!",
        "Send us your seed phrase to receive {sum} in free tokens.",
        "Lose weight fast with our miracle pills, order now!",
        "Free trial! Sign up today and win a {thing}!",
        "Cash loans of {sum} without checks, apply now online!",
        "Exclusive offer for you: claim free crypto worth {sum}!",
        "Visit our online shop, the lowest prices for a {thing}!",
        "Limited time: buy one {thing}, get one free, click here!",
        "This broker made me {sum} profit, message me to join!",
        "Win a free {thing}! Just click and enter your password.",
    ),
}


def filled(templates):
    """Every template with every choice of what it names."""
    for template in templates:
        slots = {"name": NAMES, "thing": THINGS, "place": PLACES, "sum": SUMS}
        named = [slot for slot in slots if f"{{{slot}}}" in template]
        for chosen in itertools.product(*(slots[slot] for slot in named)):
            yield template.format(**dict(zip(named, chosen, strict=True)))


def encoded(text):
    """The bytes of a text (LENGTH,) as int8; raises ValueError for a longer one."""
    data = text.encode()
    if len(data) > LENGTH:
        raise ValueError(f"the text has {len(data)} bytes, the model reads {LENGTH}")
    return np.frombuffer(data.ljust(LENGTH, b"\0"), np.int8)


def rows(text):
    """Which row of the table each three bytes of texts (..., LENGTH) choose; row 0 is that of the padding."""
    byte = text.astype(jnp.int32) & 255
    letter = jnp.where((byte >= 65) & (byte <= 90), byte + 32, byte)
    return (letter[..., :-2] * 961 + letter[..., 1:-1] * 31 + letter[..., 2:]) & (ROWS - 1)


def train(held_out=()):
    """The table (ROWS, 2) of scores, from all templates but those at the places ``held_out``."""
    texts, labels = [], []
    for label, templates in POSTS.items():
        kept = [template for place, template in enumerate(templates) if place not in held_out]
        found = list(filled(kept))
        texts += found
        labels += [label] * len(found)
    chosen = np.asarray(rows(np.stack([encoded(text) for text in texts])))
    counts = np.stack([np.bincount(row, minlength=ROWS) for row in chosen])
    counts[:, 0] = 0
    fitted = LogisticRegression(class_weight="balanced", fit_intercept=False, max_iter=1000).fit(counts, labels)
    half = fitted.coef_[0].astype(np.float32) / 2
    return np.stack([-half, half], axis=1)


TABLE = train()


def network(text):
    """Scores (2,), acceptable and advertising, of the bytes (LENGTH,) of one text: int8, as a file has them."""
    return jnp.sum(jnp.asarray(TABLE)[rows(text)], axis=0)


def samples():
    """The inputs that choose the number formats: one array, the texts along the first axis."""
    every = [text for templates in POSTS.values() for text in filled(templates)]
    return np.stack([encoded(text) for text in every[::3]])
