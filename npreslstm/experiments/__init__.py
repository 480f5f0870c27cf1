"""What compares networks: cross-validation, search, evaluation, the protocol, journals and stores."""
