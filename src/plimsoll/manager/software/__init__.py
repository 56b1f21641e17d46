"""The software repository's own side: files on disk, and the metadata that the manager signs for them."""
