"""`rightsize`: what the stages used, what they should ask for, and what that saves."""
