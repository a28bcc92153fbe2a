"""The watcher: follows L1, checks every claim of the programs it holds, and disputes the false ones by itself."""
