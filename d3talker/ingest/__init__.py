"""From any video of a talking person to the trusted clip: what is kept, whom, and how good it is.

The workflow reads `settings` where no media package is installed, so nothing is imported here.
"""
