"""The op form: the op table, descriptors and their encodings, the program tree."""
