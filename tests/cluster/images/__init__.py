"""The images that run on the cluster: its own two, and the project's, built here and loaded into both nodes."""
