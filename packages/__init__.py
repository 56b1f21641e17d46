"""What `make packages` runs: self-contained packages of agent and manager for any Linux with glibc 2.28 or later.

An interpreter and its OpenSSL are built once from Debian's sources and kept by content (`interpreter`), pinned wheels
and our own code are laid beside it (`tree`), every ELF file is asked which glibc it needs (`elf`), and nfpm makes .deb
and .rpm of it (`pack`). `docs/packages.md` tells the layout.
"""
