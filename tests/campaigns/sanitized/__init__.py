"""The compiled code under sanitizers, and for ARM under QEMU: ``make native-sanitize``."""
