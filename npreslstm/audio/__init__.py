"""From sound to features: reading, the short-time spectrum, MFCC, chroma."""
