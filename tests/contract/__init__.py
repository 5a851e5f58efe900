"""What every store must do: one suite, run on each of `stores.STORES`."""
