"""The prover as a service: ``worker`` runs models and signs, ``archive`` publishes traces, ``app`` is its HTTP, ``shelf`` gets
programs, ``treasury`` keeps its bonds, ``quorum`` plays its part in quorums.
"""
