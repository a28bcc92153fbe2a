"""What the page asks beside single claims and listings.

``overview``: figures over time; ``search``: what a word stands for; ``accounts``; ``anatomy``: what a model is made of, drawn by whoever
put the service together.
"""
