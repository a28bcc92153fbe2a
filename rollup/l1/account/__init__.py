"""An account on L1: keys, signatures, fees, and transactions that are sent until they are mined."""
