"""What every Kubernetes user expects beside the control plane: DNS, and a default StorageClass with volumes."""
