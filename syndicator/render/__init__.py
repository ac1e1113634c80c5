"""Pure rendering: a neutral value in, bytes or text out. One small module per format; equal values give equal bytes."""
