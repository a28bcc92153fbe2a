"""Ways to tell a right claim from a false one."""
