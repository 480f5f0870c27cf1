"""The reference: one file a layer, forward and backward side by side, each line with the tag of its
equation in docs/lstm.md.

Read `lstm` first, then `attention`, `batchnorm`, `dense`, `loss`; `batch` says how clips of different
lengths lie side by side. NumPy only. What trains and classifies is `fast`, the same functions for the
stopwatch; ``ResLSTM(backend="reference")`` runs on these.
"""
