"""Sentences, two of each meaning."""

PAIRS = (
    ("The museum is closed on Mondays.", "You cannot visit the museum on a Monday."),
    ("He forgot his umbrella on the train.", "His umbrella was left behind in the railway carriage."),
    (
        "The bread has to rise for an hour before it goes into the oven.",
        "Let the dough rest for sixty minutes, then bake.",
    ),
    (
        "Heavy rain flooded several streets near the river.",
        "After the downpour, roads along the river were under water.",
    ),
    ("The committee postponed its decision until spring.", "No decision will be made by the panel before the spring."),
    ("Can you recommend a good book about astronomy?", "I am looking for something worth reading on the stars."),
    ("Our cat sleeps most of the day.", "For the greater part of the day, the cat is asleep."),
    ("The bicycle needs a new chain and its brakes adjusted.", "Replace the chain of the bike and set the brakes."),
    ("Prices of vegetables rose sharply this winter.", "Vegetables became much more expensive during the winter."),
    ("She plays the violin in an orchestra.", "She is a violinist with a symphony orchestra."),
    ("The patient should take the tablets twice a day.", "Two times a day, the sick person has to swallow the pills."),
    ("The program crashes when the file is empty.", "An empty file makes the software fail."),
)
SENTENCES = tuple(sentence for pair in PAIRS for sentence in pair)
